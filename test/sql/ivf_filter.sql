-- Further columns of ivfflat and ivfpq indexes: what is stored, through all that
-- rewrites lists.  test/t/061_filter_recall.pl has searches.
SET enable_seqscan = off;
SET ivfflat.probes = 1000;
SET ivfpq.probes = 1000;

CREATE TABLE f (id int PRIMARY KEY, v vector(8), n int, s text, t timestamptz, tags int[]);
CREATE FUNCTION f_rows(first int, last int) RETURNS SETOF f LANGUAGE sql AS $$
	SELECT i, ARRAY(SELECT ((i::bigint * (j * 37 + 11)) % 101)::float4 FROM generate_series(1, 8) j)::vector,
		CASE WHEN i % 11 = 0 THEN NULL ELSE i % 100 END, 'name ' || i % 7,
		'2024-01-01 00:00 UTC'::timestamptz + i * interval '1 hour', ARRAY[i % 5, i % 13]
	FROM generate_series(first, last) i $$;

-- the vector as one that is wide enough to stand apart from its row in ivfflat
CREATE FUNCTION wide(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE SET search_path = public AS $$
BEGIN
	RETURN v || array_fill(0::real, ARRAY[512])::vector;
END $$;

-- rows that an index scan finds and a sequential scan does not, or the reverse
CREATE FUNCTION f_differ(condition text, form text DEFAULT '%s') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found int[];
	truth int[];
	line text;
	plan text := '';
	query text := format('SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM f WHERE %s ORDER BY %s <-> %s LIMIT 100000) s',
		condition, format(form, 'v'), format(form, '''[1,2,3,4,5,6,7,8]''::vector'));
BEGIN
	PERFORM set_config('enable_sort', 'off', true);
	EXECUTE query INTO found;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line;
	END LOOP;
	IF plan !~ 'Index Scan using fi.*Index Cond' THEN
		RETURN 'no index condition: ' || plan;
	END IF;
	PERFORM set_config('enable_sort', 'on', true);
	PERFORM set_config('enable_indexscan', 'off', true);
	EXECUTE query INTO truth;
	PERFORM set_config('enable_indexscan', 'on', true);
	RETURN CASE WHEN found IS DISTINCT FROM truth THEN
		format('differ: %s rows, should be %s', cardinality(found), cardinality(truth))
		ELSE 'same' END;
END $$;

CREATE VIEW f_conditions (c) AS VALUES ('n = 5'), ('n < 10'), ('n >= 90 AND s = ''name 3'''), ('n IS NULL'),
	('n IS NOT NULL AND t > ''2024-02-01 00:00 UTC'''), ('n IN (1, 2, 77)'), ('s IN (''name 1'', ''name 6'')'),
	('tags && ARRAY[12, 99]'), ('tags @> ARRAY[2, 3]'), ('n = 200'), ('n = 5::bigint'), ('n < 3.0::float8::int');

-- a build, with what comes after it
INSERT INTO f SELECT * FROM f_rows(1, 3000);
CREATE INDEX fi ON f USING ivfflat (v vector_l2_ops, n, s, t, tags) WITH (lists = 20);
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
SELECT * FROM vecidx_check('fi', true);
INSERT INTO f SELECT * FROM f_rows(3001, 4000);
UPDATE f SET n = 5 WHERE id % 50 = 1;
DELETE FROM f WHERE id % 4 = 0;
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
VACUUM f;
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
SELECT * FROM vecidx_check('fi', true);
DROP INDEX fi;

-- the same with codes that stand apart; and lists that are split and shrink
CREATE INDEX fi ON f USING ivfflat ((wide(v)::vector(520)) vector_l2_ops, n, s, t, tags) WITH (lists = 20);
CREATE VIEW f_wide AS SELECT c, f_differ(c, 'wide(%s)::vector(520)') AS differ FROM f_conditions;
SELECT * FROM f_wide WHERE differ <> 'same';
SELECT * FROM vecidx_check('fi', true);
INSERT INTO f SELECT * FROM f_rows(4001, 7000);
UPDATE f SET n = 5 WHERE id % 50 = 1;
DELETE FROM f WHERE id % 4 = 1;
SELECT * FROM f_wide WHERE differ <> 'same';
SELECT * FROM vecidx_check('fi', true);
VACUUM f;
SELECT * FROM f_wide WHERE differ <> 'same';
SELECT * FROM vecidx_check('fi', true);
INSERT INTO f SELECT id + 10000, v, n, s, t, tags FROM f WHERE id % 10 = 2;
SELECT * FROM f_wide WHERE differ <> 'same';
DELETE FROM f WHERE id % 10 > 0;
VACUUM f;
VACUUM f;
SELECT * FROM f_wide WHERE differ <> 'same';
SELECT * FROM vecidx_check('fi', true);
DROP INDEX fi;
-- beginning empty, and of all conditions none
TRUNCATE f;
CREATE INDEX fi ON f USING ivfflat ((wide(v)::vector(520)) vector_l2_ops, n, s, t, tags);
INSERT INTO f SELECT * FROM f_rows(1, 900);
SELECT * FROM f_wide WHERE differ <> 'same';
INSERT INTO f SELECT * FROM f_rows(901, 3000);
SELECT * FROM f_wide WHERE differ <> 'same';
SELECT * FROM vecidx_check('fi', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM f ORDER BY wide(v)::vector(520) <-> wide('[1,2,3,4,5,6,7,8]') LIMIT 100000) s;
SELECT array_agg(d ORDER BY d) = array_agg(d ORDER BY i) AS in_order
FROM (SELECT wide(v) <-> wide('[1,2,3,4,5,6,7,8]') AS d, row_number() OVER () AS i
	FROM (SELECT v FROM f WHERE n < 50 ORDER BY wide(v)::vector(520) <-> wide('[1,2,3,4,5,6,7,8]') LIMIT 500) s) t;
DROP INDEX fi;

-- places of rows that are gone are used again: as many rows as before take no more pages
CREATE TABLE churn (id int, v vector(520), n int);
INSERT INTO churn SELECT i, ARRAY(SELECT ((i::bigint * (j * 37 + 11)) % 101)::float4 FROM generate_series(1, 520) j)::vector, i % 10
FROM generate_series(1, 1200) i;
CREATE INDEX churned ON churn USING ivfflat (v vector_l2_ops, n) WITH (lists = 20);
INSERT INTO churn SELECT id + 10000, v, n FROM churn WHERE id % 4 = 2;
DELETE FROM churn WHERE id > 10000;
VACUUM churn;
INSERT INTO churn SELECT id + 10000, v, n FROM churn WHERE id % 4 = 2;
DELETE FROM churn WHERE id > 10000;
VACUUM churn;
SELECT pg_relation_size('churned') AS size \gset
INSERT INTO churn SELECT id + 10000, v, n FROM churn WHERE id % 4 = 2;
DELETE FROM churn WHERE id > 10000;
VACUUM churn;
INSERT INTO churn SELECT id + 10000, v, n FROM churn WHERE id % 4 = 2;
DELETE FROM churn WHERE id > 10000;
VACUUM churn;
INSERT INTO churn SELECT id + 10000, v, n FROM churn WHERE id % 4 = 2;
DELETE FROM churn WHERE id > 10000;
VACUUM churn;
SELECT pg_relation_size('churned') <= 1.1 * :size AS no_larger;
SELECT * FROM vecidx_check('churned', true);
DROP TABLE churn;

-- codes in blocks; lists that are split and an index that learns, beginning empty
TRUNCATE f;
CREATE INDEX fi ON f USING ivfpq (v vector_l2_ops, n, s, t, tags);
INSERT INTO f SELECT * FROM f_rows(1, 500);
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
INSERT INTO f SELECT * FROM f_rows(501, 6000);
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
DELETE FROM f WHERE id % 3 = 0;
VACUUM f;
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
SELECT * FROM vecidx_check('fi', true);
REINDEX INDEX fi;
SELECT c, f_differ(c) FROM f_conditions WHERE f_differ(c) <> 'same';
SELECT * FROM vecidx_check('fi', true);

-- what the planner is told: EXPLAIN shows the conditions
EXPLAIN (COSTS OFF) SELECT id FROM f WHERE n = 5 AND s <> 'name 2' ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 3;
-- a query vector without a distance: any order, but only rows that meet the condition
SELECT count(*), count(*) FILTER (WHERE n = 5) FROM (SELECT n FROM f WHERE n = 5 ORDER BY v <-> NULL LIMIT 10000) s;
-- without an order the index is of no use
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM f WHERE n = 5;
SET enable_seqscan = off;
DROP INDEX fi;

-- the other ways to make one
CREATE INDEX fi ON f USING ivfflat (v vector_l2_ops, n) WHERE id > 1000;
SELECT f_differ('n = 5 AND id > 1000');
DROP INDEX fi;
CREATE INDEX CONCURRENTLY fi ON f USING ivfpq (v vector_l2_ops, (n + 1));
SELECT f_differ('n + 1 = 6');
DROP INDEX fi;

DROP VIEW f_wide, f_conditions;
DROP FUNCTION f_differ, f_rows, wide;
DROP TABLE f;
