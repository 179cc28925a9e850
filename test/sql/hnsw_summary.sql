-- Summaries of filter pages: scans pass pages by, and find each row all the same,
-- whatever happens to rows.  vecidx_check() knows of each node whether its page's
-- summary has it.
SET client_min_messages = warning;
CREATE SCHEMA summary;
SET search_path = summary, public;
SET max_parallel_workers_per_gather = 0;

-- few columns, so that a page has many rows: those that come in order, those that do not, NULLs
CREATE TABLE items (id int, v vector(3), tenant int, at timestamptz, kind "char", name text);
CREATE FUNCTION some_items(first int, last int) RETURNS SETOF items LANGUAGE sql STABLE AS $$
	SELECT i, ARRAY[i % 101, i % 103, i % 107 + 1]::vector, CASE WHEN i % 10 > 0 THEN (i::bigint * 7919 % 1009 % 300)::int END,
		'2026-01-01 00:00Z'::timestamptz + i * interval '1 minute', chr(97 + i % 5)::"char", 'name ' || i / 40
	FROM generate_series(first, last) i $$;
CREATE TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
	('tenant = 7'), ('tenant = 299'), ('tenant = 300'), ('tenant = -1'), ('tenant IN (3, 500, 600)'), ('tenant IN (500, 600)'),
	('tenant BETWEEN 280 AND 400'), ('tenant > 299'), ('tenant < 0'), ('tenant >= 299'), ('tenant <= 0'),
	('tenant IS NULL'), ('tenant IS NOT NULL AND at < ''2026-01-01 03:00Z'''), ('tenant IS NULL AND at < ''2026-01-01 03:00Z'''),
	('at >= ''2026-01-05 00:00Z'''), ('at < ''2026-01-01 00:10Z'''), ('at < ''2025-12-31 23:00Z'''), ('at = ''2026-01-02 00:00Z'''),
	('at > ''2026-01-03 00:00Z'' AND tenant = 77'), ('at < ''2026-01-03 00:00Z'' AND kind = ''b'''), ('kind = ''x'''), ('kind > ''c'''),
	('name = ''name 33'''), ('name = ''nobody'''), ('name IN (''name 1'', ''name 99'', ''name 190'')'),
	('tenant = ANY (ARRAY(SELECT generate_series(1, 299, 3)))'), ('tenant = ANY (ARRAY(SELECT generate_series(300, 500)))');

-- Conditions that the index has other rows for than the table; none, unless something is wrong.
CREATE FUNCTION differ() RETURNS TABLE (condition text, by_index bigint, by_table bigint) LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT * FROM conditions ORDER BY n LOOP
		condition := c.condition;
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_sort = off;
		EXECUTE format('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items WHERE %s ORDER BY v <-> ''[50,50,50]'') s WHERE id IS NOT NULL', c.condition) INTO by_index, by_table;
		IF by_index <> by_table THEN
			RAISE 'rows come twice: %', c.condition;
		END IF;
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_indexscan = off;
		EXECUTE format('SELECT count(*) FROM items WHERE v IS NOT NULL AND %s', c.condition) INTO by_table;
		SET LOCAL enable_indexscan = on;
		IF by_index <> by_table THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;

-- built
INSERT INTO items SELECT * FROM some_items(1, 6000);
CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant, at, kind, name);
ANALYZE items;
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE tenant = 7 ORDER BY v <-> '[50,50,50]' LIMIT 10;
RESET enable_seqscan;
RESET enable_sort;
SELECT * FROM differ();
SELECT * FROM vecidx_check('items_idx', true);

-- rows come, onto pages that are there and new ones, with codes below and above
INSERT INTO items SELECT * FROM some_items(6001, 9000);
INSERT INTO items SELECT id, v, tenant - 1000, at - interval '1 year', 'A', 'other ' || name FROM some_items(9001, 9100);
INSERT INTO conditions (condition) VALUES ('tenant < -900'), ('tenant = -990'), ('at < ''2025-06-01'''), ('kind = ''A'''), ('name = ''other name 226''');
SELECT * FROM differ();
SELECT * FROM vecidx_check('items_idx', true);

-- change, go, and their places are used again
UPDATE items SET tenant = tenant + 1000 WHERE id % 7 = 0;
UPDATE items SET tenant = NULL, at = at + interval '10 years' WHERE id % 11 = 0;
INSERT INTO conditions (condition) VALUES ('tenant = 1007'), ('at > ''2030-01-01''');
SELECT * FROM differ();
DELETE FROM items WHERE id % 3 = 0;
VACUUM items;
INSERT INTO items SELECT id, v, tenant + 5000, at + interval '20 years', 'z', 'late ' || name FROM some_items(20001, 21500);
INSERT INTO conditions (condition) VALUES ('tenant = 5007'), ('at > ''2040-01-01'''), ('kind = ''z'''), ('name = ''late name 510''');
SELECT * FROM differ();
SELECT * FROM vecidx_check('items_idx', true);

-- past the build's memory
SET maintenance_work_mem = '1MB';
REINDEX INDEX items_idx;
SELECT * FROM differ();
SELECT * FROM vecidx_check('items_idx', true);
RESET maintenance_work_mem;

-- one column; beginning empty; unlogged; nothing but NULLs
DROP INDEX items_idx;
TRUNCATE items;
ALTER TABLE items SET UNLOGGED;
CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant);
SELECT * FROM differ();
INSERT INTO items (id, v) SELECT id, v FROM some_items(1, 3000);
SELECT * FROM differ();
INSERT INTO items SELECT * FROM some_items(3001, 6000);
SELECT * FROM differ();
SELECT * FROM vecidx_check('items_idx', true);

DROP SCHEMA summary CASCADE;
