-- order, equality and hashing of the type vector

SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, vector_cmp(a, b) AS cmp
FROM (VALUES ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2,3]', '[1,2,4]'), ('[1,2,4]', '[1,2,3]'),
	('[1,2]', '[1,2,3]'), ('[1,2,3]', '[1,2]'), ('[1,2]', '[2,3,4]'), ('[2,3]', '[1,2,3]'),
	('[0,1]', '[-0,1]'), ('[-0]', '[0]'), ('[-1]', '[0]')) s (a, b);
SELECT '[1]'::vector = NULL IS NULL AS eq, vector_cmp('[1]', NULL) IS NULL AS cmp;

CREATE TABLE ord (i int, v vector);
INSERT INTO ord SELECT i, ARRAY[i % 10, i % 7] FROM generate_series(1, 1000) i;
INSERT INTO ord VALUES (0, '[0]'), (-1, '[0,0,0]'), (-2, NULL), (-3, '[-0,0]');
INSERT INTO ord SELECT -10 - i, array_fill(i, ARRAY[1500])::vector FROM generate_series(1, 3) i;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/plan_has.sql'
\i :include

-- sorted and unsorted, hashed and plain
SELECT DISTINCT vector_dims(v), subvector(v, 1, 2) FROM ord WHERE i < 0 AND vector_dims(v) > 1 ORDER BY 1, 2;
SELECT i, subvector(v, 1, 1) FROM ord WHERE i <= 0 ORDER BY v, i;
SELECT i FROM ord WHERE i <= 0 ORDER BY v DESC, i;
SELECT count(DISTINCT v) FROM ord;
SET enable_hashagg = off;
SELECT plan_has('SELECT v FROM ord GROUP BY v', 'Sort');
SELECT count(*) FROM (SELECT v FROM ord GROUP BY v) s;
SET enable_hashagg = on;
SET enable_sort = off;
SELECT plan_has('SELECT v FROM ord GROUP BY v', 'HashAggregate');
SELECT count(*) FROM (SELECT v FROM ord GROUP BY v) s;
RESET enable_sort;
RESET enable_hashagg;

-- joins: nested loop, hash and merge find the same
SET enable_mergejoin = off;
SET enable_hashjoin = off;
SELECT count(*) FROM ord a JOIN ord b USING (v);
SET enable_nestloop = off;
SET enable_hashjoin = on;
SELECT plan_has('SELECT FROM ord a JOIN ord b USING (v)', 'Hash Join');
SELECT count(*) FROM ord a JOIN ord b USING (v);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT plan_has('SELECT FROM ord a JOIN ord b USING (v)', 'Merge Join');
SELECT count(*) FROM ord a JOIN ord b USING (v);
RESET enable_mergejoin;
RESET enable_hashjoin;
RESET enable_nestloop;

-- indexes
CREATE INDEX ord_btree ON ord (v) WHERE vector_dims(v) < 1000;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT plan_has('SELECT FROM ord WHERE v = ''[0,0]'' AND vector_dims(v) < 1000', 'ord_btree');
SELECT count(*), min(i) FROM ord WHERE v = '[0,0]' AND vector_dims(v) < 1000;
SELECT count(*) FROM ord WHERE v >= '[9]' AND v < '[9,1]' AND vector_dims(v) < 1000;
DROP INDEX ord_btree;
CREATE INDEX ord_hash ON ord USING hash (v);
SELECT plan_has('SELECT FROM ord WHERE v = ''[0,0]''', 'ord_hash');
SELECT count(*), min(i) FROM ord WHERE v = '[0,0]';
SELECT count(*) FROM ord WHERE v = array_fill(2, ARRAY[1500])::vector;
SELECT count(*) FROM ord WHERE v = '[1,1,1,1]';
DROP INDEX ord_hash;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP TABLE ord;
DROP FUNCTION plan_has(text, text);
CREATE TABLE uniq (v vector UNIQUE);
INSERT INTO uniq VALUES ('[1,2]'), ('[1,2,3]'), (NULL), (NULL), ('[0]');
INSERT INTO uniq VALUES ('[1,2]');
INSERT INTO uniq VALUES ('[-0]') ON CONFLICT DO NOTHING;
SELECT * FROM uniq ORDER BY v;
DROP TABLE uniq;

-- equal vectors hash equal, with every seed
SELECT vector_hash('[0,1,-0]') = vector_hash('[-0,1,0]') AS zeros, vector_hash('[1,2]') = vector_hash('[1,2]') AS same,
	vector_hash('[1,2]') = vector_hash('[2,1]') AS swapped, vector_hash('[0]') = vector_hash('[0,0]') AS longer;
SELECT bool_and(vector_hash_extended('[0,1,-0]', seed) = vector_hash_extended('[-0,1,0]', seed)) AS zeros,
	count(DISTINCT vector_hash_extended('[0,1,-0]', seed)) AS seeds
FROM unnest(ARRAY[0, 1, -1, 9223372036854775807]) seed;
SELECT vector_hash_extended('[1,2,-0]', 0) & 4294967295 = vector_hash('[1,2,0]')::bigint & 4294967295 AS low_bits;
CREATE TABLE parts (v vector(2)) PARTITION BY HASH (v);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT ARRAY[i % 10, 0] FROM generate_series(1, 100) i;
INSERT INTO parts VALUES ('[-0,-0]');
SELECT count(*) FROM parts WHERE v = '[0,0]';
SELECT count(DISTINCT tableoid) FROM parts WHERE v = '[0,0]';
SELECT count(DISTINCT tableoid) FROM parts;
DROP TABLE parts;

-- the operator classes are complete, and the operators say truly what they are to each other
SELECT amname, opcname, opcdefault, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'vector'::regtype AND amname IN ('btree', 'hash') ORDER BY 1;
SELECT oprname, oprleft::regtype, oprright::regtype, oprresult::regtype, oprcom::regoperator, oprnegate::regoperator,
	oprcanmerge AS merge, oprcanhash AS hash, proname, oprrest, oprjoin
FROM pg_operator JOIN pg_proc p ON p.oid = oprcode WHERE 'vector'::regtype IN (oprleft, oprright) AND oprleft IN ('vector'::regtype, 'float8'::regtype)
	AND oprright IN ('vector'::regtype, 'float8'::regtype)
ORDER BY oprname COLLATE "C", oprleft::regtype::text COLLATE "C", oprright::regtype::text COLLATE "C";
