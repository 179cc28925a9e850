-- distances and functions of the type vector; values are exact in float4, so
-- that every instruction set gives the same digits

SELECT l2_distance('[0,0]'::vector, '[3,4]'), '[0,0]'::vector <-> '[3,4]' AS op;
SELECT l2_distance('[1,1,1,1,1,1,1,1,1]'::vector, '[1,1,1,1,1,1,1,4,5]');
SELECT l2_distance('[3e38]'::vector, '[-3e38]');
SELECT vector_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::vector, '[3,4]'), '[1,2]'::vector <#> '[3,4]' AS op;
SELECT inner_product('[1,0]'::vector, '[0,1]');
SELECT inner_product('[3e38]'::vector, '[3e38]'), inner_product('[3e38]'::vector, '[-3e38]');
SELECT vector_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::vector, '[2,4]'), '[1,2]'::vector <=> '[2,4]' AS op;
SELECT cosine_distance('[1,0]'::vector, '[0,2]'), cosine_distance('[1,1]'::vector, '[-1,-1]');
SELECT cosine_distance('[3,4]'::vector, '[4,3]')::real;
SELECT cosine_distance('[1,2]'::vector, '[0,0]'), cosine_distance('[0,0]'::vector, '[0,0]');
SELECT l1_distance('[0,0]'::vector, '[3,-4]'), '[0,0]'::vector <+> '[3,-4]' AS op;
SELECT l1_distance('[3e38]'::vector, '[-3e38]');
SELECT vector_spherical_distance('[1,0]', '[0,1]'), vector_spherical_distance('[1,0]', '[-1,0]'),
	vector_spherical_distance('[1,0]', '[1,0]'), vector_spherical_distance('[2,0]', '[2,0]');

-- of different dimensions there is no distance
SELECT l2_distance('[1,2]'::vector, '[3]');
SELECT inner_product('[1,2]'::vector, '[3]');
SELECT cosine_distance('[1,2]'::vector, '[3]');
SELECT l1_distance('[1,2]'::vector, '[3]');
SELECT vector_l2_squared_distance('[1,2]', '[3]');
SELECT vector_negative_inner_product('[1,2]', '[3]');
SELECT vector_spherical_distance('[1,2]', '[3]');
SELECT '[1,2]'::vector <-> '[1,2,3]';
SELECT '[1,2]'::vector <#> '[1,2,3]';
SELECT '[1,2]'::vector <=> '[1,2,3]';
SELECT '[1,2]'::vector <+> '[1,2,3]';
\set VERBOSITY sqlstate
SELECT '[1,2]'::vector <-> '[1,2,3]';
\set VERBOSITY default

-- nothing from nothing
SELECT l2_distance(NULL::vector, '[1]') IS NULL AS l2, '[1]'::vector <=> NULL IS NULL AS cosine,
	l2_normalize(NULL::vector) IS NULL AS normalize, subvector('[1]'::vector, NULL, 1) IS NULL AS sub;

-- every instruction set this machine has agrees with SQL's own arithmetic, at every length
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/at_every_level.sql'
\i :include
CREATE FUNCTION floats_agree(d int) RETURNS boolean LANGUAGE sql AS $$
	SELECT vector_l2_squared_distance(a::vector, b::vector) = l2
		AND a::vector <-> b::vector = sqrt(l2)
		AND inner_product(a::vector, b::vector) = ip
		AND a::vector <#> b::vector = -ip
		AND a::vector <+> b::vector = l1
		AND vector_norm(a::vector) = sqrt(aa)
		AND abs((a::vector <=> b::vector) - (1 - ip / sqrt(aa * bb))) <= 1e-12
	FROM (SELECT array_agg(i * 7 % 17 - 8 ORDER BY i) AS a, array_agg(i * 11 % 13 - 6 ORDER BY i) AS b FROM generate_series(1, d) i) v,
		LATERAL (SELECT sum((x - y) ^ 2)::float8 AS l2, sum(x * y)::float8 AS ip, sum(abs(x - y))::float8 AS l1, sum(x * x)::float8 AS aa, sum(y * y)::float8 AS bb
			FROM unnest(a, b) AS u (x, y)) s
$$;
SELECT at_every_level('floats_agree');
DROP FUNCTION at_every_level, floats_agree;

-- one vector
SELECT vector_dims('[1,2,3]'::vector), vector_dims(array_fill(1, ARRAY[16000])::vector);
SELECT vector_norm('[3,4]'), vector_norm('[0,0]'), vector_norm('[-2]'), vector_norm('[1,1,1,1,1,1,1,3]');
SELECT vector_norm('[3e38,4e37]')::real, vector_norm('[3e-45,4e-45]') > 0 AS tiny;
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,0.25]'::vector), l2_normalize('[0,0]'::vector);
SELECT l2_normalize('[3e38]'::vector), l2_normalize('[1e-45,0]'::vector);
SELECT binary_quantize('[1,0,-1]'::vector), binary_quantize('[-0,1e-45]'::vector);
SELECT binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::vector);
SELECT binary_quantize('[1,2,3,-4,5,6,-7,8]'::vector), length(binary_quantize(array_fill(1, ARRAY[16000])::vector));

-- subvector counts from 1, and leaves out what lies outside
SELECT subvector('[1,2,3,4,5]'::vector, 1, 3), subvector('[1,2,3,4,5]'::vector, 3, 2), subvector('[1,2,3,4,5]'::vector, 5, 1);
SELECT subvector('[1,2,3,4,5]'::vector, 3, 9), subvector('[1,2,3,4,5]'::vector, -1, 3);
SELECT subvector('[1,2,3,4,5]'::vector, 3, 2147483647), subvector('[1,2,3,4,5]'::vector, -2147483644, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 0);
SELECT subvector('[1,2,3,4,5]'::vector, 3, -1);
SELECT subvector('[1,2,3,4,5]'::vector, 6, 1);
SELECT subvector('[1,2,3,4,5]'::vector, -1, 2);
SELECT subvector('[1,2,3,4,5]'::vector, 2147483647, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, -2147483648, -2147483648);

-- of every storage: short header, plain, fetched from the TOAST table
CREATE TABLE stored (v vector);
INSERT INTO stored SELECT (SELECT array_agg(i ORDER BY i) FROM generate_series(1, d) i)::vector
FROM unnest(ARRAY[3, 100, 1500, 16000]) d;
SELECT vector_dims(v), subvector(v, 2, 2), subvector(v, vector_dims(v) - 1, 5),
	v <-> v AS self, inner_product(v, v) > 0 AS positive, vector_dims(v || subvector(v, 1, 1)) AS longer
FROM stored WHERE vector_dims(v) < 16000 ORDER BY 1;
SELECT vector_dims(v), subvector(v, 15999, 10) FROM stored WHERE vector_dims(v) = 16000;
DROP TABLE stored;

-- the planner is told that longer vectors cost more, and those in the TOAST table much more
CREATE TABLE costs (short vector(3), long vector(400), toasted vector(1536), untyped vector);
\set include :srcdir '/include/cost_of.sql'
\i :include
SELECT cost_of('SELECT short <-> ''[1,2,3]'' FROM costs') < cost_of(format('SELECT long <-> %L FROM costs', array_fill(0, ARRAY[400])::vector)) AS longer,
	10 * cost_of('SELECT long <-> long FROM costs') < cost_of('SELECT toasted <-> toasted FROM costs') AS toasted,
	cost_of(format('SELECT untyped <=> %L FROM costs', array_fill(0, ARRAY[1536])::vector)) = cost_of(format('SELECT l2_distance(toasted, %L) FROM costs', array_fill(0, ARRAY[1536])::vector)) AS by_constant,
	cost_of('SELECT untyped <-> untyped FROM costs') > cost_of('SELECT short <-> short FROM costs') AS untyped;
DROP FUNCTION cost_of(text);
DROP TABLE costs;
