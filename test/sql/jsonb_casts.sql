-- casts between jsonb and the types vector and halfvec

SELECT '[1,2.5,-3e-2]'::vector::jsonb AS vector, '[1,2.5,-3e-2]'::halfvec::jsonb AS halfvec;
SELECT ' [1, 2.5, -3e-2, 1E2] '::jsonb::vector AS vector, '[1, 2.5, -3e-2, 1E2]'::jsonb::halfvec AS halfvec;
SELECT ('{"e": [1, 0.1]}'::jsonb -> 'e')::vector(2) AS vector, ('{"e": [1, 0.1]}'::jsonb -> 'e')::halfvec(2) AS halfvec;
SELECT vector_to_jsonb('[1,2]', -1, true), jsonb_to_vector('[1,2]', 2, true), halfvec_to_jsonb('[1,2]', -1, false), jsonb_to_halfvec('[1,2]', -1, true);

-- the ends of the range come back bit for bit; only -0 does not, which jsonb does not have
SELECT v::jsonb, v::jsonb::vector = v AS same, vector_send(v::jsonb::vector) = vector_send(v) AS bits
FROM (VALUES ('[1,0.1,16777217,3.4028235e38,1.1754944e-38,1e-45,-1e-45]'::vector), ('[0,-0]')) t (v);
SELECT h::jsonb, h::jsonb::halfvec = h AS same, halfvec_send(h::jsonb::halfvec) = halfvec_send(h) AS bits
FROM (VALUES ('[1,0.1,2049,65504,-65504,6.1e-5,6e-8,-6e-8]'::halfvec), ('[0,-0]')) t (h);

-- so do numbers of every magnitude, in vectors of every length
CREATE TABLE magnitudes AS
SELECT ARRAY(SELECT (m * power(2::float8, (i * 37 + d) % 265 - 136))::real FROM generate_series(1, d) i, LATERAL (SELECT hashint4extended(i, d) / power(2::float8, 63)) s (m))::vector AS v,
	ARRAY(SELECT (m * power(2::float8, (i * 37 + d) % 40 - 23))::real FROM generate_series(1, d) i, LATERAL (SELECT hashint4extended(i, d) / power(2::float8, 63)) s (m))::halfvec AS h
FROM generate_series(1, 300) d;
SELECT count(*), sum(vector_dims(v)) AS elements, count(*) FILTER (WHERE v <> v::jsonb::vector) AS vectors_differ,
	count(*) FILTER (WHERE h <> h::jsonb::halfvec) AS halfvecs_differ FROM magnitudes;
SELECT max(a[i]) > 1e37 AS large, min(abs(a[i])) < 1e-41 AS small FROM (SELECT v::real[] AS a FROM magnitudes) s, generate_subscripts(a, 1) i;
SELECT max(a[i]) > 60000 AS large, min(abs(a[i])) < 1e-7 AS small FROM (SELECT h::real[] AS a FROM magnitudes) s, generate_subscripts(a, 1) i;

-- a number becomes what it becomes in text: rounded once, and zero if too small
SELECT j::vector, j::vector = j::text::vector AS as_text FROM (VALUES ('[1.00000005960464477539062500001,1e-46,-1e-16000]'::jsonb), ('[0.1000000000000000000000000000000000000000001,1.0]')) t (j);
SELECT j::halfvec, j::halfvec = j::text::halfvec AS as_text FROM (VALUES ('[65519.99,1e-8,-1e-16000]'::jsonb), ('[2.99e-8,1.0]')) t (j);

-- length
SELECT vector_dims(to_jsonb(array_fill(0.5, ARRAY[16000]))::vector), vector_dims(to_jsonb(array_fill(0.5, ARRAY[16000]))::halfvec),
	jsonb_array_length(array_fill(0.5, ARRAY[16000])::vector::jsonb);
SELECT to_jsonb(array_fill(1, ARRAY[16001]))::vector;
SELECT to_jsonb(array_fill(1, ARRAY[16001]))::halfvec;
SELECT '[1,2,3]'::jsonb::vector(3), '[1,2,3]'::jsonb::halfvec(3);
SELECT '[1,2,3]'::jsonb::vector(2);
SELECT '[1,2,3]'::jsonb::halfvec(4);
SELECT '[]'::jsonb::vector;
SELECT '[]'::jsonb::halfvec;

-- what is no array of numbers
SELECT '[1,null]'::jsonb::vector;
SELECT '[[1,2],[3,4]]'::jsonb::vector;
SELECT '[1,[]]'::jsonb::halfvec;
SELECT '[1,"2"]'::jsonb::vector;
SELECT '["NaN"]'::jsonb::halfvec;
SELECT '[1,2,true]'::jsonb::vector;
SELECT '[{}]'::jsonb::vector;
SELECT '{"1": 1}'::jsonb::vector;
SELECT '{}'::jsonb::halfvec;
SELECT '1'::jsonb::vector;
SELECT 'false'::jsonb::halfvec;
SELECT 'null'::jsonb::vector;
SELECT '"[1,2]"'::jsonb::vector;
SELECT ('"[1,2]"'::jsonb #>> '{}')::vector AS string, NULLIF('null'::jsonb, 'null')::vector IS NULL AS null, NULL::jsonb::vector IS NULL, NULL::halfvec::jsonb IS NULL;

-- numbers that are too large
SELECT '[1,3.5e38]'::jsonb::vector;
SELECT '[1,-1e39]'::jsonb::halfvec;
SELECT '[1,-65520]'::jsonb::halfvec;
SELECT '[1,3e38]'::jsonb::halfvec;
SELECT '[1e131000]'::jsonb::vector;
\set VERBOSITY sqlstate
SELECT '[]'::jsonb::vector;
SELECT '[1]'::jsonb::vector(2);
SELECT '[1,null]'::jsonb::vector;
SELECT '[[1]]'::jsonb::vector;
SELECT '["1"]'::jsonb::vector;
SELECT '"1"'::jsonb::vector;
SELECT 'null'::jsonb::vector;
SELECT '{}'::jsonb::vector;
SELECT '[1e39]'::jsonb::vector;
SELECT '[65520]'::jsonb::halfvec;
SELECT to_jsonb(array_fill(1, ARRAY[16001]))::vector;
\set VERBOSITY default

-- in assignments, of values in the TOAST table too, and in ALTER TABLE
CREATE TABLE documents (id int, j jsonb, v vector(3), h halfvec(3));
INSERT INTO documents (id, j) VALUES (1, '[1,2,3]'), (2, '[1,0.1,-3]'), (3, NULL);
UPDATE documents SET v = j, h = j;
INSERT INTO documents (id, j) SELECT 4, array_fill(0.1, ARRAY[9000])::vector;
SELECT id, vector_dims(j::vector), v, h FROM documents ORDER BY id;
DELETE FROM documents WHERE id = 4;
UPDATE documents SET j = h;
ALTER TABLE documents ALTER j TYPE vector(3), ALTER v TYPE jsonb, ALTER h TYPE jsonb;
SELECT * FROM documents ORDER BY id;
ALTER TABLE documents ALTER v TYPE vector(2);
UPDATE documents SET j = '[1,2]'::jsonb WHERE id = 1;
UPDATE documents SET j = '[1,"2",3]'::jsonb WHERE id = 1;
DROP TABLE documents;

-- What the casts must leave as it is in pgvector: a vector is a string for to_jsonb()
-- and its like, which look for a cast to json; records take it as such or as an array.
SELECT to_jsonb('[1,2]'::vector) AS to_jsonb, to_json('[1,2]'::halfvec) AS to_json, jsonb_build_array('[1,2]'::vector) AS build,
	row_to_json(r) AS row, jsonb_agg(v) AS agg FROM (SELECT '[1,2]'::vector AS v) r GROUP BY r;
CREATE TYPE document AS (v vector(2), h halfvec);
SELECT * FROM jsonb_populate_record(NULL::document, '{"v": "[1,2]", "h": [3, 4]}');
SELECT * FROM jsonb_to_record('{"v": "[1,2]", "h": [3, 4]}') AS (v vector(2), h halfvec);
SELECT jsonb_populate_record(NULL::document, '{"v": [1,2,3]}');
DROP TYPE document;

-- nor is a literal or a call resolved in another way
SELECT pg_typeof('[1,2]'::vector || '[3]') AS concat, pg_typeof('[1]'::jsonb || '[3]') AS jsonb_concat, pg_typeof(array_agg(v)) AS agg,
	pg_typeof(COALESCE(v, '[1]')) AS literal, '[1,2]'::vector = '[1,2]' AS equal FROM (VALUES ('[1,2]'::vector)) t (v) GROUP BY v;
SELECT '[1]'::vector = '[1]'::jsonb;
SELECT '[1]'::vector || '[1]'::jsonb;
SELECT COALESCE('[1]'::vector, '[1]'::jsonb);
SELECT l2_distance('[1]'::vector, '[1]'::jsonb);

DO $$
DECLARE
	v vector(2);
	j jsonb;
BEGIN
	j := '[1,0.5]'::vector;
	v := j;
	RAISE NOTICE '% %', j, v;
	v := '[1,2,3]'::jsonb;
EXCEPTION WHEN data_exception THEN
	RAISE NOTICE '%', SQLERRM;
END $$;

SELECT castcontext, castfunc::regprocedure FROM pg_cast WHERE 'jsonb'::regtype IN (castsource, casttarget) AND castfunc <> 0
	AND (castsource IN ('vector'::regtype, 'halfvec'::regtype) OR casttarget IN ('vector'::regtype, 'halfvec'::regtype))
ORDER BY castfunc::regprocedure::text COLLATE "C";
