-- casts of the type halfvec

SELECT ARRAY[1,2,3]::halfvec AS int4, ARRAY[1.5,2,0.1]::halfvec AS num, '{1,2.5}'::real[]::halfvec AS real, '{1,0.1}'::float8[]::halfvec AS double;
SELECT '[1,0.1,-3]'::halfvec::real[] AS real, '[1,0.1,-3]'::halfvec::float8[] AS double,
	'[1,2.5,-3.5]'::halfvec::int[] AS int4, '[1,2.5,-3]'::halfvec::numeric[] AS num;
SELECT '[1,0.1,65519]'::vector::halfvec AS half, '[1,0.1,-3]'::halfvec::vector AS vector;
SELECT halfvec_to_float4('[1,2]', -1, true), array_to_halfvec('{1,2}'::real[], -1, true), halfvec('[1,2]', 2, true),
	vector_to_halfvec('[1,2]', 2, false), halfvec_to_vector('[1,2]', 2, false);

-- runs of every length, the conversion's last elements included
SELECT count(*) FROM generate_series(1, 100) d, LATERAL (SELECT array_agg(i ORDER BY i) AS a FROM generate_series(1, d) i) s
WHERE a::halfvec::int[] <> a OR a::real[]::halfvec::real[] <> a::real[] OR a::vector::halfvec::vector <> a::vector
	OR a::float8[]::halfvec::text <> a::vector::text OR vector_dims(a::halfvec) <> d;

-- length
SELECT vector_dims(array_fill(1, ARRAY[16000])::vector::halfvec::vector);
SELECT array_fill(1, ARRAY[16001])::halfvec;
SELECT '{1,2,3}'::real[]::halfvec(3), ARRAY[1,2,3]::halfvec(3), '[1,2,3]'::vector::halfvec(3), '[1,2,3]'::halfvec::vector(3);
SELECT '{1,2,3}'::real[]::halfvec(2);
SELECT '{1,2,3}'::int[]::halfvec(2);
SELECT '[1,2,3]'::vector::halfvec(2);
SELECT '[1,2,3]'::halfvec::vector(2);

-- what no halfvec can hold
SELECT '{}'::real[]::halfvec;
SELECT '{{1,2},{3,4}}'::real[]::halfvec;
SELECT '{1,NULL}'::real[]::halfvec;
SELECT '{1,NaN}'::real[]::halfvec;
SELECT '{1,NaN}'::numeric[]::halfvec;
SELECT '{Infinity}'::float8[]::halfvec;
SELECT '{1,65520}'::real[]::halfvec;
SELECT '{-70000}'::int[]::halfvec;
SELECT '{1e6}'::float8[]::halfvec;
SELECT '{1e6}'::numeric[]::halfvec;
SELECT '{4e38}'::float8[]::halfvec;
SELECT '[1,2,65520]'::vector::halfvec;
SELECT ('[' || repeat('1,', 99) || '-3e38]')::vector::halfvec;
SELECT '{1e-8,-1e-8}'::float8[]::halfvec AS underflow;
\set VERBOSITY sqlstate
SELECT '{1,65520}'::real[]::halfvec;
SELECT '[65520]'::vector::halfvec;
SELECT '{1,NaN}'::real[]::halfvec;
SELECT '{1,NULL}'::real[]::halfvec;
\set VERBOSITY default

-- to sparsevec and back
SELECT '[0,0.1,0,3.5,-0]'::halfvec::sparsevec AS sparse, '{1:0.1,3:65519}/4'::sparsevec::halfvec AS half, '{}/2'::sparsevec::halfvec(2) AS zero,
	vector_dims('{1:1}/16000'::sparsevec::halfvec) AS long;
SELECT '[1,2]'::halfvec::sparsevec(3);
SELECT '{1:1}/3'::sparsevec::halfvec(2);
SELECT '{1:1}/16001'::sparsevec::halfvec;
SELECT '{2:65520}/3'::sparsevec::halfvec;

-- in assignments
CREATE TABLE assigned (h halfvec(2), v vector(2), r real[], d float8[], i int[], n numeric[]);
INSERT INTO assigned (h) VALUES (ARRAY[1,2]), (ARRAY[1.5,2]), ('{1,2}'::real[]), ('[3,4]'::vector);
UPDATE assigned SET v = h, r = h, d = h, i = h, n = h;
SELECT * FROM assigned ORDER BY h;
DROP TABLE assigned;

-- beside a halfvec, a vector is one
SELECT '[1,2]'::halfvec <-> '[1,2.0001]'::vector AS left, '[1,2]'::vector = '[1,2]'::halfvec AS right;
SELECT castcontext, castsource::regtype, casttarget::regtype FROM pg_cast
WHERE 'halfvec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
