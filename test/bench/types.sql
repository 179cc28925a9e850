-- What the functions of the vector type take: each query three times, take the
-- best.  Also runs against pgvector (-v extension=vector), each in a scratch
-- database of its own:
--	psql -X -v extension=vecidx -v dims=100 -v rows=20000 -f test/bench/types.sql
\set QUIET 1
\pset tuples_only on
DROP EXTENSION IF EXISTS :extension;
CREATE EXTENSION :extension;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- texts of float4 and of float8 values, not compressed
CREATE TEMP TABLE text4 (t text);
CREATE TEMP TABLE text8 (t text);
ALTER TABLE text4 ALTER t SET STORAGE external;
ALTER TABLE text8 ALTER t SET STORAGE external;
INSERT INTO text8 SELECT (SELECT '[' || string_agg((random() * 2 - 1)::text, ',') || ']' FROM generate_series(1, :dims) WHERE r IS NOT NULL)
FROM generate_series(1, :rows) r;
INSERT INTO text4 SELECT t::vector::text FROM text8;
CREATE TEMP TABLE vectors AS SELECT t::vector AS v FROM text4;
\timing on
\echo reading the texts alone
SELECT count(t || '') FROM text4;
SELECT count(t || '') FROM text4;
SELECT count(t || '') FROM text4;
\echo text of float4 to vector
SELECT count(t::vector) FROM text4;
SELECT count(t::vector) FROM text4;
SELECT count(t::vector) FROM text4;
\echo text of float8 to vector
SELECT count(t::vector) FROM text8;
SELECT count(t::vector) FROM text8;
SELECT count(t::vector) FROM text8;
\echo vector to text
SELECT count(v::text) FROM vectors;
SELECT count(v::text) FROM vectors;
SELECT count(v::text) FROM vectors;
\echo vector to binary
SELECT count(vector_send(v)) FROM vectors;
SELECT count(vector_send(v)) FROM vectors;
SELECT count(vector_send(v)) FROM vectors;
\echo vector to real[] and back
SELECT count(v::real[]::vector) FROM vectors;
SELECT count(v::real[]::vector) FROM vectors;
SELECT count(v::real[]::vector) FROM vectors;
\echo l2 distance
SELECT max(v <-> v) FROM vectors;
SELECT max(v <-> v) FROM vectors;
SELECT max(v <-> v) FROM vectors;
\echo sum of two
SELECT count(v + v) FROM vectors;
SELECT count(v + v) FROM vectors;
SELECT count(v + v) FROM vectors;
\echo avg
SELECT avg(v) IS NULL FROM vectors;
SELECT avg(v) IS NULL FROM vectors;
SELECT avg(v) IS NULL FROM vectors;
\echo vector_dims
SELECT max(vector_dims(v)) FROM vectors;
SELECT max(vector_dims(v)) FROM vectors;
SELECT max(vector_dims(v)) FROM vectors;
\echo sort
SELECT count(*) FROM (SELECT v FROM vectors ORDER BY v OFFSET 1) s;
SELECT count(*) FROM (SELECT v FROM vectors ORDER BY v OFFSET 1) s;
SELECT count(*) FROM (SELECT v FROM vectors ORDER BY v OFFSET 1) s;
