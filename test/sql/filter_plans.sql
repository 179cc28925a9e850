-- What the planner chooses where a query has conditions beside its distance:
-- the vector index, or the index of a condition and a sort, or the whole table

CREATE TABLE f (id int, v vector(8), u int, k int, note text);
INSERT INTO f SELECT i, ARRAY(SELECT sin(i * (j + 0.37) * (j + 1)) FROM generate_series(1, 8) j)::vector, i * 7919 % 20000, i % 20, repeat('x', 300)
FROM generate_series(1, 20000) i;
CREATE INDEX f_u ON f (u);
VACUUM ANALYZE f;

-- the indexes that a plan scans, or that it scans the table
CREATE FUNCTION filter_scans(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (SELECT string_agg(coalesce(n ->> 'Index Name', n ->> 'Node Type') || CASE WHEN n ? 'Filter' THEN ', filter' ELSE '' END, ', ')
		FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Node Type"))') n WHERE n ->> 'Node Type' ~ '(Seq|Index) Scan$' OR n ? 'Index Name');
END $$;

CREATE FUNCTION filter_choices(OUT met text, OUT scans text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT round(100.0 * n / 20000, 2) || ' %', filter_scans(format('SELECT id FROM f WHERE u < %s ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10', n))
	FROM unnest('{20000,10000,2000,200,20,2}'::int[]) n;
$$;

-- the column in the index
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops, u, k);
SELECT * FROM filter_choices();
-- two conditions; values that planning does not know; OFFSET
SELECT filter_scans('SELECT id FROM f WHERE u < 2000 AND k = 3 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10'),
	filter_scans('SELECT id FROM f WHERE u < 2000 AND k IN (3, 4) ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10 OFFSET 50');
SET plan_cache_mode = force_generic_plan;
PREPARE p (int, vector) AS SELECT id FROM f WHERE u < $1 ORDER BY v <-> $2 LIMIT 10;
SELECT filter_scans('EXECUTE p (2, ''[1,0,0,0,0,0,0,0]'')');
DEALLOCATE p;
RESET plan_cache_mode;
-- some neighbours of each of some rows
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM f a, LATERAL (SELECT id FROM f b WHERE b.k = a.k AND b.u > 100 ORDER BY b.v <-> a.v LIMIT 3) b WHERE a.u < 5;
-- all rows in order: not one by one
SELECT filter_scans('SELECT id FROM f WHERE u < 10000 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]''');
DROP INDEX f_v;

-- the column outside
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops);
SELECT * FROM filter_choices();
DROP INDEX f_u;
SELECT * FROM filter_choices();
DROP INDEX f_v;

-- a partial index, of which a condition leaves all
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops, u) WHERE k = 3;
SELECT filter_scans('SELECT id FROM f WHERE k = 3 AND u < 10000 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10');
SELECT filter_scans('SELECT id FROM f WHERE k = 4 AND u < 10000 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10');

DROP TABLE f;
DROP FUNCTION filter_choices, filter_scans;
