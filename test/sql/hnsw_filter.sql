-- Values of filter columns in an hnsw index, through whatever happens to rows.
-- vecidx_check(index, true) compares each value with the table's; what scans
-- do with them is in hnsw_filter_search.sql, damaged pages are in test/t/010_damage.pl.
SET client_min_messages = warning;

CREATE FUNCTION some_vector(seed int, dim int DEFAULT 12) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT '[' || string_agg(round(sin(seed * 12.9898 + i * 78.233)::numeric, 4)::text, ',') || ']'
	   FROM generate_series(1, dim) i $$;

-- codes of every width, an array, and NULLs
CREATE TABLE items (id int, v vector(12), flag bool, small int2, tenant int4, big int8, at timestamptz, name text, mark uuid, price numeric, tags int4[]);
CREATE FUNCTION some_items(first int, last int) RETURNS SETOF items LANGUAGE sql STABLE AS $$
	SELECT i, some_vector(i)::vector, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, NULLIF(i % 100, 7), i % 50, i,
		'2026-01-01 00:00Z'::timestamptz + i * interval '1 hour', CASE WHEN i % 11 > 0 THEN 'name ' || i END,
		md5(i::text)::uuid, i / 8.0, CASE WHEN i % 13 > 0 THEN ARRAY[i % 5, i % 7] END
	FROM generate_series(first, last) i $$;

INSERT INTO items SELECT * FROM some_items(1, 1500);
CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, flag, small, tenant, big, at, name, mark, price, tags);
SELECT * FROM vecidx_check('items_idx', true);

-- rows come: onto pages that are there, and onto new ones
INSERT INTO items SELECT * FROM some_items(1501, 5000);
SELECT * FROM vecidx_check('items_idx', true);
-- not those without a vector, whatever their values are
INSERT INTO items (id, flag, tenant) VALUES (5001, true, 1), (5002, NULL, NULL);
-- nor those that are rolled back; VACUUM takes away what they left
BEGIN;
INSERT INTO items SELECT * FROM some_items(6000, 6100);
ROLLBACK;
SELECT * FROM vecidx_check('items_idx', true);
VACUUM items;
SELECT * FROM vecidx_check('items_idx', true);

-- rows change: a filter column, another, the vector, to NULL and back
UPDATE items SET tenant = tenant + 1, name = NULL WHERE id % 10 = 0;
UPDATE items SET id = -id WHERE id % 10 = 1;
UPDATE items SET v = some_vector(id + 100000)::vector WHERE id % 10 = 2;
UPDATE items SET v = NULL WHERE id % 100 = 3;
UPDATE items SET flag = NOT flag, v = some_vector(id)::vector WHERE id % 100 = 3;
SELECT * FROM vecidx_check('items_idx', true);

-- and go; their places are used again
DELETE FROM items WHERE id % 3 = 0;
SELECT * FROM vecidx_check('items_idx', true);
VACUUM items;
SELECT * FROM vecidx_check('items_idx', true);
SELECT pg_relation_size('items_idx') AS size \gset
INSERT INTO items SELECT * FROM some_items(10001, 11500);
SELECT pg_relation_size('items_idx') = :size AS same_size;
SELECT * FROM vecidx_check('items_idx', true);
-- several times over, so that a number has had many values
DO $$
BEGIN
	FOR i IN 1 .. 5 LOOP
		UPDATE items SET tenant = (tenant * 7 + i) % 1000, small = CASE WHEN i % 2 = 0 THEN i END WHERE id % 4 = i % 4;
	END LOOP;
END $$;
VACUUM items;
INSERT INTO items SELECT * FROM some_items(20001, 20500);
SELECT * FROM vecidx_check('items_idx', true);
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> some_vector(1)::vector) s) = (SELECT count(v) FROM items) AS all_there;
RESET enable_seqscan;

-- built again: in one piece, past its memory, by several processes, beside writers
REINDEX INDEX items_idx;
SELECT * FROM vecidx_check('items_idx', true);
SET maintenance_work_mem = '1MB';
REINDEX INDEX items_idx;
SELECT * FROM vecidx_check('items_idx', true);
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
ALTER TABLE items SET (parallel_workers = 2);
REINDEX INDEX items_idx;
SELECT * FROM vecidx_check('items_idx', true);
RESET maintenance_work_mem;
REINDEX INDEX items_idx;
SELECT * FROM vecidx_check('items_idx', true);
RESET min_parallel_table_scan_size;
RESET max_parallel_maintenance_workers;
REINDEX INDEX CONCURRENTLY items_idx;
SELECT * FROM vecidx_check('items_idx', true);
TRUNCATE items;
INSERT INTO items SELECT * FROM some_items(1, 300);
SELECT * FROM vecidx_check('items_idx', true);

-- A rewritten table, and a column that becomes another type.
VACUUM FULL items;
ALTER TABLE items ALTER tenant TYPE int8;
SELECT * FROM vecidx_check('items_idx', true);
ALTER TABLE items ALTER name TYPE varchar(100);
ALTER TABLE items ALTER name TYPE text;
INSERT INTO items SELECT id, v, flag, small, tenant::int8, big, at, name, mark, price, tags FROM some_items(301, 400);
SELECT * FROM vecidx_check('items_idx', true);
DROP TABLE items CASCADE;

-- The check does see what is wrong: this index is on a function that is not as immutable as it says.
CREATE FUNCTION shifted(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN i + coalesce(NULLIF(current_setting('test.shift', true), ''), '0')::int; END $$;
CREATE TABLE lies (id int, v vector(12));
INSERT INTO lies SELECT i, some_vector(i)::vector FROM generate_series(1, 3) i;
CREATE INDEX lies_idx ON lies USING hnsw (v vector_l2_ops, shifted(id), id);
SELECT * FROM vecidx_check('lies_idx', true);
SET test.shift = 1;
SELECT slot, problem FROM vecidx_check('lies_idx', true) ORDER BY 1;
CREATE INDEX lies_ivfflat ON lies USING ivfflat (v vector_l2_ops, id, shifted(id)) WITH (lists = 1);
CREATE INDEX lies_ivfpq ON lies USING ivfpq (v vector_cosine_ops, shifted(id)) WITH (lists = 1);
SELECT * FROM vecidx_check('lies_ivfflat', true) UNION ALL SELECT * FROM vecidx_check('lies_ivfpq', true);
RESET test.shift;
SELECT i, slot, problem FROM unnest('{lies_ivfflat,lies_ivfpq}'::regclass[]) i, vecidx_check(i, true) ORDER BY 1, 2;

-- One vector many times, with values of its own each: all are found, built and inserted.
CREATE TABLE twins (id int, v vector(4), a int);
INSERT INTO twins SELECT i, '[1,2,3,4]', i FROM generate_series(1, 5000) i;
INSERT INTO twins SELECT i, some_vector(i, 4)::vector, 0 FROM generate_series(5001, 6000) i;
CREATE INDEX twins_idx ON twins USING hnsw (v vector_l2_ops, a);
SELECT * FROM vecidx_check('twins_idx', true);
INSERT INTO twins SELECT i, '[1,2,3,4]', -i FROM generate_series(1, 3000) i;
SELECT * FROM vecidx_check('twins_idx', true);
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT a), max(d) FROM (SELECT a, v <-> '[1,2,3,4]' AS d FROM twins ORDER BY v <-> '[1,2,3,4]' LIMIT 8000) s;
SELECT count(*) FROM (SELECT a FROM twins ORDER BY v <-> '[1,2,3,4]') s;
RESET enable_seqscan;
DELETE FROM twins WHERE a % 2 = 0;
VACUUM twins;
SELECT * FROM vecidx_check('twins_idx', true);

-- Equal values too: one node for all of them, however they come.  (A node for each would take some 60 pages.)
TRUNCATE twins;
INSERT INTO twins SELECT i, '[1,2,3,4]', NULL FROM generate_series(1, 2000) i;
SELECT pg_relation_size('twins_idx') < 20 * 8192 AS few_pages;
UPDATE twins SET id = id + 1;
SELECT pg_relation_size('twins_idx') < 20 * 8192 AS few_pages;
UPDATE twins SET a = 5;
SELECT pg_relation_size('twins_idx') < 20 * 8192 AS few_pages;
SELECT * FROM vecidx_check('twins_idx', true);
REINDEX INDEX twins_idx;
SELECT pg_relation_size('twins_idx') < 20 * 8192 AS few_pages;
SELECT * FROM vecidx_check('twins_idx', true);

-- as many columns as an index can have, of the widest codes: few nodes to a page
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE many (id int, v vector(4), %s)', string_agg(format('c%s int8[]', i), ', ')) FROM generate_series(1, 31) i);
	EXECUTE (SELECT format('CREATE INDEX many_idx ON many USING hnsw (v vector_l2_ops, %s)', string_agg(format('c%s', i), ', ')) FROM generate_series(1, 31) i);
	EXECUTE (SELECT format('INSERT INTO many SELECT j, some_vector(j, 4)::vector, %s FROM generate_series(1, 100) j',
		string_agg(format('CASE WHEN j %% %s > 0 THEN ARRAY[j, %1$s]::int8[] END', i), ', ')) FROM generate_series(1, 31) i);
END $$;
SELECT * FROM vecidx_check('many_idx', true);
REINDEX INDEX many_idx;
SELECT * FROM vecidx_check('many_idx', true);

-- records that do not stand on code pages, and other types of vectors
CREATE TABLE kinds (id int, s sparsevec(50), h halfvec(12), b bit(12), a int2, t text);
INSERT INTO kinds SELECT i, some_vector(i, 50)::vector::sparsevec, some_vector(i)::vector::halfvec, binary_quantize(some_vector(i)::vector), i % 20, i
	FROM generate_series(1, 400) i;
CREATE INDEX kinds_s ON kinds USING hnsw (s sparsevec_l2_ops, a, t);
CREATE INDEX kinds_h ON kinds USING hnsw (h halfvec_cosine_ops, t, a);
CREATE INDEX kinds_b ON kinds USING hnsw (b bit_hamming_ops, a);
INSERT INTO kinds SELECT i, some_vector(i, 50)::vector::sparsevec, some_vector(i)::vector::halfvec, binary_quantize(some_vector(i)::vector), NULL, i
	FROM generate_series(401, 800) i;
DELETE FROM kinds WHERE id % 3 = 0;
VACUUM kinds;
UPDATE kinds SET a = a + 1, t = repeat('long ', 10) || t;
SELECT i, p.* FROM unnest('{kinds_s,kinds_h,kinds_b}'::regclass[]) i, vecidx_check(i, true) p;

-- values out of line and compressed
CREATE TABLE toasted (id int, v vector(4), t text);
ALTER TABLE toasted ALTER t SET STORAGE EXTERNAL;
CREATE INDEX toasted_idx ON toasted USING hnsw (v vector_l2_ops, t);
INSERT INTO toasted SELECT i, some_vector(i, 4)::vector, i || repeat('x', 3000 * (i % 5)) FROM generate_series(1, 100) i;
ALTER TABLE toasted ALTER t SET STORAGE EXTENDED;
INSERT INTO toasted SELECT i, some_vector(i, 4)::vector, i || repeat('x', 3000 * (i % 5)) FROM generate_series(101, 200) i;
SELECT * FROM vecidx_check('toasted_idx', true);
REINDEX INDEX toasted_idx;
SELECT * FROM vecidx_check('toasted_idx', true);

-- partial, on partitions, unlogged, temporary
CREATE TABLE parts (id int, v vector(12), a int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (200);
CREATE UNLOGGED TABLE part2 PARTITION OF parts FOR VALUES FROM (200) TO (1000);
CREATE INDEX parts_idx ON parts USING hnsw (v vector_l2_ops, a);
CREATE INDEX part1_partial ON part1 USING hnsw (v vector_ip_ops, a, id) WHERE a < 10;
CREATE TEMP TABLE temporary (id int, v vector(12), a int);
CREATE INDEX temporary_idx ON temporary USING hnsw (v vector_l2_ops, a);
INSERT INTO parts SELECT i, some_vector(i)::vector, i % 30 FROM generate_series(1, 999) i;
INSERT INTO temporary SELECT * FROM parts;
UPDATE parts SET id = 1000 - id, a = a + 3 WHERE id % 7 = 0;
UPDATE temporary SET a = a + 3 WHERE id % 7 = 0;
DELETE FROM parts WHERE id % 4 = 0;
DELETE FROM temporary WHERE id % 4 = 0;
VACUUM parts, temporary;
INSERT INTO parts SELECT i, some_vector(i)::vector, i % 30 FROM generate_series(1, 999, 4) i;
INSERT INTO temporary SELECT i, some_vector(i)::vector, i % 30 FROM generate_series(1, 999, 4) i;
SELECT i, p.* FROM unnest('{part1_v_a_idx,part2_v_a_idx,part1_partial,temporary_idx}'::regclass[]) i, vecidx_check(i, true) p;

-- a column that says NULL only, and one that is dropped: its index goes with it
CREATE INDEX lone ON temporary USING hnsw (v vector_l2_ops, (NULL::int));
SELECT * FROM vecidx_check('lone', true);
ALTER TABLE temporary DROP a;
SELECT to_regclass('temporary_idx') IS NULL AS gone;

DROP TABLE lies, twins, many, kinds, toasted, parts, temporary;
DROP FUNCTION shifted, some_vector;
