-- casts of the type vector

SELECT ARRAY[1,2,3]::vector AS int4, ARRAY[1.5,2,3]::vector AS num, '{1,2.5}'::real[]::vector AS real, '{1,2.5}'::float8[]::vector AS double;
SELECT '[1,2.5,-3]'::vector::real[] AS real, '[1,2.5,-3]'::vector::float8[] AS double,
	'[1,2.5,-3.5]'::vector::int[] AS int4, '[1,2.5,-3]'::vector::numeric[] AS num;
SELECT pg_typeof('[1]'::vector::real[]), pg_typeof('[1]'::vector::float8[]), pg_typeof('[1]'::vector::int[]), pg_typeof('[1]'::vector::numeric[]);
SELECT '[0.1]'::vector::real[] AS real, '[0.1]'::vector::float8[] AS double, '[0.1]'::vector::numeric[] AS num;
SELECT ARRAY[16777217,-2147483648]::vector, ARRAY[16777217,-2147483648]::vector::int[];
SELECT vector_to_float4('[1,2]', -1, true), array_to_vector('{1,2}'::real[], -1, true), vector('[1,2]', 2, true);

-- there and back
SELECT v = v::real[]::vector AS real, v = v::float8[]::vector AS double
FROM (SELECT ('[0.1,3.4028235e38,1e-45,' || repeat('0.3,', 2000) || '-7]')::vector AS v) s;
SELECT v = v::int[]::vector AS int4, v = v::numeric[]::vector AS num
FROM (SELECT ('[' || repeat('42,', 2000) || '-7]')::vector AS v) s;

-- bounds and length
SELECT '[5:7]={1,2,3}'::real[]::vector;
SELECT array_dims('[1,2,3]'::vector::real[]), array_dims('[1,2,3]'::vector::numeric[]);
SELECT vector_dims(array_fill(1, ARRAY[16000])::vector);
SELECT array_fill(1, ARRAY[16001])::vector;
SELECT array_fill(1::float8, ARRAY[16001])::vector;

-- type modifiers
SELECT '{1,2,3}'::real[]::vector(3), ARRAY[1,2,3]::vector(3);
SELECT '{1,2,3}'::real[]::vector(2);
SELECT '{1,2,3}'::float8[]::vector(2);
SELECT '{1,2,3}'::int[]::vector(2);
SELECT '{1,2,3}'::numeric[]::vector(2);

-- what no vector can hold
SELECT '{}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::real[]::vector;
SELECT '{1,NULL}'::real[]::vector;
SELECT '{NULL}'::int[]::vector;
SELECT '{1,NULL}'::numeric[]::vector;
SELECT '{1,NaN}'::real[]::vector;
SELECT '{1,NaN}'::float8[]::vector;
SELECT '{1,NaN}'::numeric[]::vector;
SELECT '{Infinity}'::real[]::vector;
SELECT '{1,2,-Infinity}'::float8[]::vector;
SELECT '{4e38}'::float8[]::vector;
SELECT '{4e38}'::numeric[]::vector;
SELECT '{1e-46,-1e-46}'::float8[]::vector AS underflow;
-- and what no integer can
SELECT '[1,3e9]'::vector::int[];
SELECT '[2147483648]'::vector::int[];
SELECT '[-2147483648]'::vector::int[];
\set VERBOSITY sqlstate
SELECT '{}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::real[]::vector;
SELECT '{1,NULL}'::real[]::vector;
SELECT '{1,NaN}'::real[]::vector;
SELECT '{4e38}'::float8[]::vector;
SELECT '{4e38}'::numeric[]::vector;
SELECT '[1,3e9]'::vector::int[];
SELECT array_fill(1, ARRAY[16001])::vector;
\set VERBOSITY default

-- nulls removed leave a null bitmap behind, which is no null
CREATE TABLE casts (r real[], i int[]);
INSERT INTO casts VALUES ('{1,NULL,3}', '{1,NULL,3}');
UPDATE casts SET r[2] = 2, i[2] = 2;
SELECT r::vector, i::vector FROM casts;
DROP TABLE casts;

-- in assignments all four arrays and the vector stand for each other
CREATE TABLE assigned (v vector(2), r real[], d float8[], i int[], n numeric[]);
INSERT INTO assigned (v) SELECT ARRAY[1,2];
INSERT INTO assigned (v) SELECT ARRAY[1.5,2];
INSERT INTO assigned (v) SELECT '{1,2}'::float8[];
UPDATE assigned SET r = v, d = v, i = v, n = v;
SELECT * FROM assigned ORDER BY v;
DROP TABLE assigned;

-- in expressions a vector is a real[] where none of its own functions fits, and no array is a vector
SELECT array_to_string('[1,2]'::vector::real[], ',') AS text, 2 = ANY ('[1,2]'::vector::real[]) AS any;
SELECT '[1,2]'::vector = ARRAY[1,2]::real[];
SELECT l2_distance('{1,2}'::real[], '{1,2}'::real[]);
SELECT castcontext, castsource::regtype, casttarget::regtype FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget)
	AND (castsource::regtype::text LIKE '%[]' OR casttarget::regtype::text LIKE '%[]' OR castsource = casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
