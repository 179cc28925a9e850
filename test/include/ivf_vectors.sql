\set ECHO none
-- vectors in 40 clusters, on a deterministic pseudo-random path, the same everywhere
CREATE FUNCTION ivf_noise(i int, j int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT (((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float8 / 1000 $$;
CREATE FUNCTION ivf_vec(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg(round((ivf_noise((i % 40 + 40) % 40 + 7000, j) + 0.4 * ivf_noise(i, j))::numeric, 3)::float4 ORDER BY j)::vector
   FROM generate_series(1, dim) j $$;
\set ECHO all
