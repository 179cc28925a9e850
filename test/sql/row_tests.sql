-- Conditions outside the index: which of them a scan tests itself, as far as
-- one can see from how often they are called
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

SELECT setseed(0.4);
CREATE TABLE t (id int PRIMARY KEY, v vector(8), n int);
INSERT INTO t SELECT i, ARRAY(SELECT random() FROM generate_series(1, 8 + i * 0))::vector, i FROM generate_series(1, 3000) i;
-- codes, so that a scan has to look at rows anyway
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'sq8');
ANALYZE t;

CREATE SEQUENCE calls;
CREATE FUNCTION half_cheap(n int) RETURNS bool STABLE COST 10 LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('calls'); RETURN n % 2 = 0; END $$;
CREATE FUNCTION half_dear(n int) RETURNS bool STABLE COST 100000 LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('calls'); RETURN n % 2 = 0; END $$;
CREATE FUNCTION half_volatile(n int) RETURNS bool VOLATILE COST 10 LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('calls'); RETURN n % 2 = 0; END $$;

-- rows of a query that goes to the end, how many calls that takes, and whether they are the right ones
CREATE FUNCTION row_calls(condition text, OUT nrows bigint, OUT ncalls bigint, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
	query text := 'SELECT id FROM t WHERE ' || condition || ' ORDER BY v <-> ''[0,1,0,1,0,1,0,1]''';
	ids int[];
	right_ids int[];
BEGIN
	PERFORM setval('calls', 1);
	EXECUTE 'SELECT array_agg(id) FROM (' || query || ' OFFSET 0) s' INTO ids;
	ncalls := nextval('calls') - 2;
	nrows := cardinality(ids);
	SET LOCAL enable_indexscan = off;
	EXECUTE 'SELECT array_agg(id) FROM (' || query || ' OFFSET 0) s' INTO right_ids;
	SET LOCAL enable_indexscan = on;
	same := ids @> right_ids AND ids <@ right_ids;
END $$;

EXPLAIN (COSTS OFF) SELECT id FROM t WHERE half_dear(n) ORDER BY v <-> '[0,1,0,1,0,1,0,1]';
-- by the scan, and by the executor for those that pass
SELECT * FROM row_calls('half_cheap(n)');
-- once for each row
SELECT * FROM row_calls('half_dear(n)');
SELECT * FROM row_calls('half_volatile(n)');
-- once for each row that passes what comes first
SELECT * FROM row_calls('half_dear(n) AND n <= 600');
SELECT * FROM row_calls('half_volatile(n) AND n <= 600');
-- the cheap one by the scan for 600 rows and by the executor for 300, for which it then calls the dear one
SELECT * FROM row_calls('half_dear(n) AND n <= 600 AND half_cheap(n)');
-- subqueries: a result that is computed once (looked at in the scan too if all conditions are), and one for each row
SELECT * FROM row_calls('n NOT IN (SELECT id FROM t WHERE id > 600)');
SELECT * FROM row_calls('half_dear(n) AND n NOT IN (SELECT id FROM t WHERE id > 600)');
SELECT * FROM row_calls('half_dear(n) AND n <= (SELECT max(n) / 5 FROM t)');
SELECT * FROM row_calls('n <= 600 AND (SELECT half_volatile(t.n) OFFSET 0)');

DROP TABLE t;
DROP SEQUENCE calls;
DROP FUNCTION half_cheap, half_dear, half_volatile, row_calls;
