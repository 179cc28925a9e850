-- order, equality, hashing and the catalog entries of the type sparsevec

-- as arrays with all their zeros
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, sparsevec_cmp(a, b) AS cmp
FROM (VALUES ('{1:1,2:2,3:3}/3'::sparsevec, '{1:1,2:2,3:3}/3'::sparsevec), ('{1:1,3:1}/3', '{1:1,2:1}/3'), ('{2:1}/3', '{2:-1}/3'),
	('{2:-1}/3', '{}/3'), ('{}/3', '{2:-1}/3'), ('{}/3', '{3:1}/3'), ('{}/2', '{}/3'), ('{1:1}/1', '{1:1,2:-5}/2'), ('{1:1}/1', '{1:1,2:5}/2'),
	('{1:2}/1', '{1:1,2:5}/2'), ('{1:1,3:3}/3', '{1:1,2:-1}/2'), ('{1:1,2:2}/4', '{1:1,2:2,4:-4}/4'), ('{3:1}/3', '{5:1}/5')) t (a, b);
SELECT '{}/1'::sparsevec = NULL IS NULL AS eq, sparsevec_cmp('{}/1', NULL) IS NULL AS cmp;

CREATE TABLE sord (i int, v sparsevec);
INSERT INTO sord SELECT i, ('{' || i % 10 + 1 || ':' || i % 7 - 3 || '}/20')::sparsevec FROM generate_series(1, 1000) i;
INSERT INTO sord VALUES (-1, '{}/1'), (-2, NULL), (-3, '{1:1,2:2}/2'), (-4, '{1:1,2:2}/3');
INSERT INTO sord SELECT -10 - i, ('{' || string_agg(j || ':' || i, ',') || '}/5000')::sparsevec FROM generate_series(1, 3) i, generate_series(1, 1500) j GROUP BY i;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/plan_has.sql'
\i :include

-- sorted and unsorted, hashed and plain
SELECT DISTINCT v FROM sord WHERE i > -10 ORDER BY v DESC LIMIT 10;
SELECT i FROM sord WHERE i <= 0 ORDER BY v, i;
SELECT count(DISTINCT v) FROM sord;
SET enable_hashagg = off;
SELECT plan_has('SELECT v FROM sord GROUP BY v', 'Sort') AS sorted;
SELECT count(*) FROM (SELECT v FROM sord GROUP BY v) s;
RESET enable_hashagg;
SET enable_sort = off;
SELECT plan_has('SELECT v FROM sord GROUP BY v', 'HashAggregate') AS hashed;
SELECT count(*) FROM (SELECT v FROM sord GROUP BY v) s;
RESET enable_sort;

-- joins: nested loop, hash and merge find the same
SET enable_mergejoin = off;
SET enable_hashjoin = off;
SELECT count(*) FROM sord a JOIN sord b USING (v);
SET enable_nestloop = off;
SET enable_hashjoin = on;
SELECT plan_has('SELECT FROM sord a JOIN sord b USING (v)', 'Hash Join') AS hashed, count(*) FROM sord a JOIN sord b USING (v);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT plan_has('SELECT FROM sord a JOIN sord b USING (v)', 'Merge Join') AS merged, count(*) FROM sord a JOIN sord b USING (v);
RESET enable_mergejoin;
RESET enable_hashjoin;
RESET enable_nestloop;

-- indexes
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE INDEX sord_btree ON sord (v) WHERE i > -10;
SELECT plan_has('SELECT FROM sord WHERE v = ''{1:1}/20'' AND i > -10', 'sord_btree') AS used, count(*) FROM sord WHERE v = '{1:1}/20' AND i > -10;
SELECT count(*) FROM sord WHERE v > '{}/1' AND v <= '{1:1}/20' AND i > -10;
DROP INDEX sord_btree;
CREATE INDEX sord_hash ON sord USING hash (v);
SELECT plan_has('SELECT FROM sord WHERE v = ''{1:1}/20''', 'sord_hash') AS used, count(*) FROM sord WHERE v = '{1:1}/20';
SELECT count(*) FROM sord a, sord b WHERE a.i = -12 AND b.v = a.v;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP TABLE sord;
DROP FUNCTION plan_has(text, text);
CREATE TABLE suniq (v sparsevec UNIQUE);
INSERT INTO suniq VALUES ('{1:1}/2'), ('{1:1}/3'), (NULL), (NULL);
INSERT INTO suniq VALUES ('{1:1,2:0}/2');
DROP TABLE suniq;

-- equal vectors hash equal; position, value and dimensions all count
SELECT sparsevec_hash('{1:1,2:0}/3') = sparsevec_hash('{1:1}/3') AS zeros, sparsevec_hash('{1:1}/3') = sparsevec_hash('{2:1}/3') AS moved,
	sparsevec_hash('{1:1}/3') = sparsevec_hash('{1:2}/3') AS other, sparsevec_hash('{1:1}/3') = sparsevec_hash('{1:1}/4') AS longer;
SELECT count(DISTINCT sparsevec_hash_extended('{1:1}/3', seed)) AS seeds FROM unnest(ARRAY[0, 1, -1, 9223372036854775807]) seed;
SELECT sparsevec_hash_extended('{1:1}/3', 0) & 4294967295 = sparsevec_hash('{1:1}/3')::bigint & 4294967295 AS low_bits;
