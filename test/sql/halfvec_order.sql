-- order, equality, hashing and aggregates of the type halfvec

SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, halfvec_cmp(a, b) AS cmp
FROM (VALUES ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2]', '[1,2,3]'), ('[2]', '[1,2]'), ('[0,1]', '[-0,1]'),
	('[-1]', '[0]'), ('[1]', '[1.0004]'), ('[1]', '[1.001]')) s (a, b);
SELECT halfvec_hash('[0,1,-0]') = halfvec_hash('[-0,1,0]') AS zeros, halfvec_hash('[1,2]') = halfvec_hash('[2,1]') AS swapped,
	halfvec_hash_extended('[0,1,-0]', 7) = halfvec_hash_extended('[-0,1,0]', 7) AS extended;
CREATE TABLE ord (i int, v halfvec);
INSERT INTO ord SELECT i, ARRAY[i % 10, i % 7] FROM generate_series(1, 1000) i;
INSERT INTO ord VALUES (0, '[0]'), (-1, '[0,0,0]'), (-2, NULL), (-3, '[-0,0]');
SELECT i FROM ord WHERE i <= 0 ORDER BY v, i;
SELECT count(DISTINCT v) FROM ord;
SET enable_sort = off;
SELECT count(*) FROM (SELECT v FROM ord GROUP BY v) s;
RESET enable_sort;
SET enable_hashjoin = off;
SELECT count(*) FROM ord a JOIN ord b USING (v);
SET enable_hashjoin = on;
SET enable_mergejoin = off;
SELECT count(*) FROM ord a JOIN ord b USING (v);
RESET enable_hashjoin;
RESET enable_mergejoin;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE INDEX ord_btree ON ord (v);
EXPLAIN (COSTS OFF) SELECT * FROM ord WHERE v = '[0,0]';
SELECT count(*), min(i) FROM ord WHERE v = '[0,0]';
SELECT count(*) FROM ord WHERE v >= '[9]' AND v < '[9,1]';
DROP INDEX ord_btree;
CREATE INDEX ord_hash ON ord USING hash (v);
EXPLAIN (COSTS OFF) SELECT * FROM ord WHERE v = '[0,0]';
SELECT count(*), min(i) FROM ord WHERE v = '[0,0]';
RESET enable_seqscan;
RESET enable_bitmapscan;

SELECT avg(v), sum(v) FROM ord WHERE i > 0;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::halfvec, NULL, '[3,5,7]']) v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[]::halfvec[]) v;
-- avg adds in double precision, sum in halves
SELECT avg(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v;
SELECT sum(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v;
SELECT avg(v) FROM unnest(ARRAY['[1,2]'::halfvec, '[3]']) v;
SELECT halfvec_accum('{0}', '[1,2,3]'), halfvec_combine('{1,2}', '{3,4}'), halfvec_avg('{2,2,4,6}'), halfvec_avg('{0}') IS NULL AS none;
SELECT halfvec_accum('{1}', '[1]');
SELECT halfvec_combine('{1}', '{1}');
SELECT halfvec_avg('{-1,2}');
SELECT halfvec_avg('{1,70000}');
SELECT halfvec_avg('{1,NaN}');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM ord WHERE i > 0;
SELECT avg(v), sum(v) FROM ord WHERE i > 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE ord;

SELECT amname, opcname, opcdefault, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'halfvec'::regtype AND amname IN ('btree', 'hash') ORDER BY 1;
