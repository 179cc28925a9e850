-- Conditions that go with the distance, or against it: a look at the nearest
-- rows decides between the vector index and the index of the condition

-- 10 topics, each in its part of a circle; few rows a page, so that a bitmap scan takes long
CREATE TABLE f (id int, v vector(3) NOT NULL, topic int, other int, name text, data jsonb) WITH (fillfactor = 10);
INSERT INTO f SELECT i, ARRAY[cos(a), sin(a), i % 7 / 100.0]::vector, i % 10, i * 7919 % 40000, 'n' || i % 10, jsonb_build_object('topic', i % 10)
FROM (SELECT i, 2 * pi() * (i % 10 + 0.4 * sin(i)) / 10 AS a FROM generate_series(1, 40000) i) s;
CREATE INDEX f_topic ON f (topic);
CREATE INDEX f_name ON f (name COLLATE "C");
CREATE INDEX f_data ON f ((data -> 'topic'));
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops);
VACUUM ANALYZE f;
-- as if there were four times as many rows to go through
SET cpu_operator_cost = 0.01;

-- the index that a plan scans
CREATE FUNCTION probe_scan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (SELECT string_agg(coalesce(n ->> 'Index Name', n ->> 'Node Type'), ', ')
		FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Node Type"))') n WHERE n ->> 'Node Type' ~ '(Seq|Index) Scan$' OR n ? 'Index Name');
END $$;
-- the same for a topic of the query, one beside it and one that is far, under some condition with the topic as %1$s and the query's vector as %2$s
CREATE FUNCTION probe_scans(condition text, q text DEFAULT '''[1,0,0]''', OUT own text, OUT beside text, OUT far text) LANGUAGE sql AS $$
	SELECT probe_scan(format(statement, 0)), probe_scan(format(statement, 1)), probe_scan(format(statement, 5))
	FROM (SELECT 'SELECT id FROM f WHERE ' || condition || ' ORDER BY v <-> ' || q || ' LIMIT 10' AS statement) s;
$$;

SELECT * FROM probe_scans('topic = %s');
SELECT * FROM probe_scans('topic = %s AND other < 30000');
SELECT * FROM probe_scans('name = ''n%s'' COLLATE "C"');
SELECT * FROM probe_scans('topic IN (%1$s, 77)');
-- an order that rises with the distance
SELECT probe_scan('SELECT id FROM f WHERE topic = 0 ORDER BY 1 - (v <-> ''[1,0,0]'') DESC LIMIT 10'),
	probe_scan('SELECT id FROM f WHERE topic = 5 ORDER BY 1 - (v <-> ''[1,0,0]'') DESC LIMIT 10'),
	probe_scan('SELECT id FROM f WHERE topic = 5 ORDER BY v <-> ''[1,0,0]'', id LIMIT 10');
-- not asked
SET vecidx.plan_probe = off;
SELECT * FROM probe_scans('topic = %s');
RESET vecidx.plan_probe;
-- not known while planning: the vector
SELECT * FROM probe_scans('topic = %s', '(SELECT v FROM f WHERE id = 0)');
-- not for planning to run: functions that could fail, or tell of rows
CREATE FUNCTION probe_loud(int) RETURNS bool LANGUAGE plpgsql STABLE COST 0.01 AS $$ BEGIN RAISE NOTICE 'asked'; RETURN true; END $$;
SELECT * FROM probe_scans('topic = %s AND probe_loud(other)');
SELECT * FROM probe_scans('topic = %s AND 1 / (topic - topic) > 0');
SELECT * FROM probe_scans('1 / (topic - topic) > %s');
SELECT * FROM probe_scans('data -> ''topic'' = ''%s''');
-- nor where scans count for other transactions
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM probe_scans('topic = %s');
SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'f_v'::regclass;
COMMIT;

-- parameters of custom plans are known, those of generic ones are not
PREPARE p (int, vector) AS SELECT id FROM f WHERE topic = $1 ORDER BY v <-> $2 LIMIT 10;
SET plan_cache_mode = force_custom_plan;
SELECT probe_scan('EXECUTE p (0, ''[1,0,0]'')'), probe_scan('EXECUTE p (5, ''[1,0,0]'')');
SET plan_cache_mode = force_generic_plan;
SELECT probe_scan('EXECUTE p (0, ''[1,0,0]'')'), probe_scan('EXECUTE p (5, ''[1,0,0]'')');
RESET plan_cache_mode;
DEALLOCATE p;
-- so a statement is not planned for any values where these decide; but without a condition, or with one that nothing else finds
PREPARE index_decides (int, vector) AS SELECT id FROM f WHERE topic = $1 ORDER BY v <-> $2 LIMIT 1;
PREPARE range_decides (int, vector) AS SELECT id FROM f WHERE other < 40000 AND topic < $1 ORDER BY v <-> $2 LIMIT 1;
PREPARE vector_decides (vector) AS SELECT id FROM f WHERE topic = 3 ORDER BY v <-> $1 LIMIT 1;
PREPARE no_other_index (int, vector) AS SELECT id FROM f WHERE other < $1 ORDER BY v <-> $2 LIMIT 1;
PREPARE no_condition (vector) AS SELECT id FROM f ORDER BY v <-> $1 LIMIT 1;
DO $$
BEGIN
	FOR i IN 1..7 LOOP
		EXECUTE 'EXECUTE index_decides (0, ''[1,0,0]'')';
		EXECUTE 'EXECUTE range_decides (5, ''[1,0,0]'')';
		EXECUTE 'EXECUTE vector_decides (''[0,1,0]'')';
		EXECUTE 'EXECUTE no_other_index (10000, ''[1,0,0]'')';
		EXECUTE 'EXECUTE no_condition (''[1,0,0]'')';
	END LOOP;
END $$;
SELECT name, generic_plans, custom_plans FROM pg_prepared_statements ORDER BY name;
DEALLOCATE ALL;

-- row security: the policy's own condition, and a user's
CREATE ROLE regress_probe_user;
GRANT SELECT ON f TO regress_probe_user;
CREATE POLICY own ON f USING (topic = current_setting('probe.topic')::int);
ALTER TABLE f ENABLE ROW LEVEL SECURITY;
SET ROLE regress_probe_user;
SET probe.topic = 0;
SELECT * FROM probe_scans('probe_loud(other + %s)');
SET probe.topic = 5;
SELECT * FROM probe_scans('probe_loud(other + %s)');
RESET ROLE;
ALTER TABLE f DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON f;
DROP OWNED BY regress_probe_user;
DROP ROLE regress_probe_user;

-- in a table of two parts, each for itself
CREATE TABLE parts (LIKE f) PARTITION BY RANGE (topic);
ALTER TABLE parts ATTACH PARTITION f FOR VALUES FROM (0) TO (100);
CREATE TABLE g PARTITION OF parts FOR VALUES FROM (100) TO (200);
SELECT probe_scan('SELECT id FROM parts WHERE topic = 0 ORDER BY v <-> ''[1,0,0]'' LIMIT 10'), probe_scan('SELECT id FROM parts WHERE topic = 5 ORDER BY v <-> ''[1,0,0]'' LIMIT 10');
ALTER TABLE parts DETACH PARTITION f;
DROP TABLE parts;

-- other access methods; conditions in the index beside those outside
DROP INDEX f_v;
CREATE INDEX f_v ON f USING ivfpq (v vector_l2_ops);
SELECT * FROM probe_scans('topic = %s');
DROP INDEX f_v;
CREATE INDEX f_v ON f USING ivfflat (v vector_l2_ops);
SELECT * FROM probe_scans('topic = %s');
DROP INDEX f_v;
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops, other);
SELECT * FROM probe_scans('topic = %s AND other >= 10000');
SELECT * FROM probe_scans('topic = %s AND other = ANY (ARRAY(SELECT * FROM generate_series(0, 30000)))');

-- rows that nobody sees any more tell nothing
DELETE FROM f WHERE topic = 0;
SELECT * FROM probe_scans('topic = %s');
VACUUM f;
SELECT * FROM probe_scans('topic = 1 + %s');

-- a vector that cannot be compared is no error of planning, nor of a query that compares none
SELECT * FROM probe_scans('topic = %s', q => '''[1,2]''');
SELECT id FROM f WHERE topic = -1 ORDER BY v <-> '[1,2]' LIMIT 10;
SELECT id FROM f WHERE topic = 1 ORDER BY v <-> '[1,2]' LIMIT 10;

-- the settings of searches are what they were
SELECT name, setting FROM pg_settings WHERE setting <> boot_val AND name ~ '[.](ef_search|iterative_scan|probes|rerank)$' ORDER BY name;

DROP TABLE f;
DROP FUNCTION probe_scan, probe_scans, probe_loud;
