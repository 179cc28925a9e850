-- Hamming and Jaccard distance of the type bit

-- bits that differ
SELECT hamming_distance('111', '111'), hamming_distance('111', '110'), hamming_distance('111', '000');
SELECT B'1010' <~> B'0101' AS all_four, B'1010' <~> B'1000' AS one, B'' <~> B'' AS none;
SELECT hamming_distance(NULL, '1') IS NULL AS left, hamming_distance('1', NULL) IS NULL AS right;

-- bits not shared, of those that either has; nothing shared is 1 apart, even nothing at all
SELECT jaccard_distance('1111', '1111'), jaccard_distance('1111', '1110'), jaccard_distance('1111', '1000');
SELECT B'1100' <%> B'1000' AS half, B'1100' <%> B'0011' AS nothing_shared, B'000' <%> B'000' AS zeros, B'' <%> B'' AS none;
SELECT B'1110' <%> B'0111' AS half, B'0111' <%> B'1110' AS turned;
SELECT jaccard_distance(NULL, '1') IS NULL AS left, jaccard_distance('1', NULL) IS NULL AS right;

-- what does not match
SELECT hamming_distance('111', '00');
SELECT B'1111' <%> B'000';
SELECT B'11111111' <~> B'1111111';
\set VERBOSITY sqlstate
SELECT hamming_distance('111', '00');
\set VERBOSITY default

-- varbit is taken for bit
SELECT hamming_distance('111', '000'::varbit(4)), jaccard_distance('1111', '1000'::varbit(5));
SELECT hamming_distance('111', '0000'::varbit(4));

-- every length up to 700 bits and some long ones, against bits counted in SQL
CREATE TABLE bits (n int, a varbit, b varbit);
INSERT INTO bits
SELECT n, string_agg(CASE WHEN i::bigint * i % 7 < 3 THEN '1' ELSE '0' END, '' ORDER BY i)::varbit,
	string_agg(CASE WHEN (i * 31 + n) % 5 < 2 THEN '1' ELSE '0' END, '' ORDER BY i)::varbit
FROM (SELECT generate_series(1, 700) UNION ALL VALUES (1536), (8192), (64000), (100003)) l (n), generate_series(1, n) i
GROUP BY n;
SELECT count(*) AS rows,
	count(*) FILTER (WHERE a <~> b <> bit_count(a # b)) AS hamming_wrong,
	count(*) FILTER (WHERE a <%> b <> 1 - bit_count(a & b)::float8 / greatest(bit_count(a | b), 1)) AS jaccard_wrong
FROM bits;
DROP TABLE bits;

-- vectors by their signs
CREATE TABLE signs (id int, v vector(3));
INSERT INTO signs VALUES (1, '[1,-1,1]'), (2, '[1,1,1]'), (3, '[-1,1,-1]'), (4, '[0,0,0]'), (5, NULL);
SELECT id, binary_quantize(v) AS bits, binary_quantize(v)::bit(3) <~> B'101' AS hamming,
	round((binary_quantize(v)::bit(3) <%> B'101')::numeric, 4) AS jaccard
FROM signs ORDER BY binary_quantize(v)::bit(3) <~> B'101', id;
DROP TABLE signs;

-- values that are toasted
CREATE TABLE wide (id int, b bit(64000));
ALTER TABLE wide ALTER b SET STORAGE external;
INSERT INTO wide SELECT i, repeat(CASE WHEN i = 1 THEN '10' ELSE '11' END, 32000)::bit(64000) FROM generate_series(1, 2) i;
SELECT x.id, y.id, x.b <~> y.b AS hamming, x.b <%> y.b AS jaccard FROM wide x, wide y ORDER BY 1, 2;
DROP TABLE wide;

-- each instruction set that this machine has says the same
CREATE FUNCTION distances(level text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a bit(1003) := repeat('1101000', 144)::bit(1003);
	b bit(1003) := repeat('10110', 201)::bit(1003);
BEGIN
	PERFORM set_config('vecidx.simd', level, true);
	RETURN format('%s %s', a <~> b, round((a <%> b)::numeric, 10));
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN distances('auto');
END $$;
SELECT level, distances(level) = distances('auto') AS same FROM unnest(ARRAY['scalar', 'baseline', 'avx2', 'avx512']) level;
SELECT distances('auto');
DROP FUNCTION distances(text);

-- the contract with clients and dumps
SELECT p.oid::regprocedure, prorettype::regtype, provolatile, proisstrict, proparallel, proleakproof
FROM pg_proc p WHERE proname IN ('hamming_distance', 'jaccard_distance') ORDER BY 1;
SELECT o.oid::regoperator, oprresult::regtype, oprcom::regoperator, oprcode
FROM pg_operator o WHERE oprname IN ('<~>', '<%>') AND oprleft = 'bit'::regtype ORDER BY oprname COLLATE "C";
