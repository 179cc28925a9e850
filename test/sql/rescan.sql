-- one scan with many queries: each gives what a scan of its own would, by every access method
\set ECHO queries

-- rows in clusters, and queries among which are a NULL, a zero vector, and the same one twice
CREATE TABLE items (id int PRIMARY KEY, part int, v vector(8));
INSERT INTO items SELECT i, i % 5, ARRAY(SELECT sin(i * 0.37 * j) + cos(i % 20 * j) * 2 FROM generate_series(1, 8) j)::vector
	FROM generate_series(1, 700) i;
CREATE TABLE queries (id int PRIMARY KEY, part int, k int, radius float8, v vector(8));
INSERT INTO queries SELECT i, i % 6, (ARRAY[3, 1, 90, 0, 7])[1 + i % 5], (ARRAY[2, 0.5, 4])[1 + i % 3],
	CASE WHEN i % 11 = 5 THEN NULL WHEN i % 11 = 7 THEN array_fill(0, ARRAY[8])::vector
		ELSE ARRAY(SELECT sin(i / 2 * 5.1 * j) + cos(i / 2 % 20 * j) * 2 FROM generate_series(1, 8) j)::vector END
	FROM generate_series(1, 30) i;
ANALYZE items, queries;

-- What a query gives, in its order, by the index items_v or by sorting the table.
CREATE FUNCTION answers(query text, by_index bool) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	found text[];
	line text;
	indexed bool := false;
BEGIN
	PERFORM set_config('enable_indexscan', by_index::text, true), set_config('enable_seqscan', (NOT by_index)::text, true),
		set_config('enable_sort', (NOT by_index)::text, true);
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		indexed := indexed OR line LIKE '%Index Scan using items_v on items%';
	END LOOP;
	IF indexed <> by_index THEN
		RAISE 'another plan: %', query;
	END IF;
	EXECUTE 'SELECT array_agg(s::text) FROM (' || query || ') s' INTO found;
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true);
	RETURN found;
END $$;

-- Share of the answers that are the same by the index and by a sort.
CREATE FUNCTION share_exact(query text) RETURNS float8 LANGUAGE sql AS $$
	SELECT (count(*) FILTER (WHERE a = b))::float8 / count(*) FROM unnest(answers(query, true), answers(query, false)) AS x (a, b)
$$;

-- Or the same by one scan for all queries and by a scan for each.
CREATE FUNCTION share_fresh(query text) RETURNS float8 LANGUAGE sql AS $$
	SELECT (count(*) FILTER (WHERE a = b))::float8 / count(*)
	FROM unnest(answers(query, true), (SELECT array_agg(a ORDER BY id, n) FROM queries,
		unnest(answers(replace(query, 'queries q', format('(SELECT * FROM queries WHERE id = %s) q', id)), true)) WITH ORDINALITY AS u (a, n))) AS x (a, b)
$$;

-- Cosine has no distances from a zero vector; it is asked for all the same, in between.
CREATE FUNCTION shown(float8[], q vector) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT CASE WHEN vector_norm(q) = 0 THEN NULL ELSE array(SELECT round(d::numeric, 4) FROM unnest($1) d) END
$$;

-- %1$s is the operator
CREATE TABLE shapes (name text, query text);
INSERT INTO shapes VALUES
	('lateral', 'SELECT q.id, n.n, shown(ARRAY[n.d], q.v) FROM queries q LEFT JOIN LATERAL
		(SELECT row_number() OVER () AS n, s.d FROM (SELECT t.v %1$s q.v AS d FROM items t ORDER BY t.v %1$s q.v LIMIT 3) s) n ON true
		ORDER BY q.id, n.n'),
	('as many as the query says', 'SELECT q.id, shown(array(SELECT t.v %1$s q.v FROM items t ORDER BY t.v %1$s q.v LIMIT q.k), q.v)
		FROM queries q ORDER BY q.id'),
	('with a condition', 'SELECT q.id, shown(array(SELECT t.v %1$s q.v FROM items t WHERE t.part = q.part ORDER BY t.v %1$s q.v LIMIT 5), q.v)
		FROM queries q ORDER BY q.id'),
	('within a distance', 'SELECT q.id, shown(array(SELECT t.v %1$s q.v FROM items t WHERE t.v %1$s q.v < q.radius ORDER BY t.v %1$s q.v LIMIT 50), q.v)
		FROM queries q ORDER BY q.id'),
	('all rows', 'SELECT q.id, shown(array(SELECT t.v %1$s q.v FROM items t ORDER BY t.v %1$s q.v), q.v) FROM queries q ORDER BY q.id'),
	('two scans of one index', 'SELECT q.id, shown(array(SELECT t.v %1$s n.v FROM items t ORDER BY t.v %1$s n.v LIMIT 4), q.v)
		FROM queries q LEFT JOIN LATERAL (SELECT t.v FROM items t WHERE t.part = q.part ORDER BY t.v %1$s q.v LIMIT 1) n ON vector_norm(q.v) > 0 ORDER BY q.id');


CREATE FUNCTION check_shapes(what text, kinds text[]) RETURNS TABLE (index text, operator text, shape text, share float8) LANGUAGE plpgsql AS $$
DECLARE
	kind text;
	metric record;
BEGIN
	FOREACH kind IN ARRAY kinds LOOP
		FOR metric IN SELECT * FROM (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>')) m (name, operator) LOOP
			-- a graph by inner products has rows that nothing leads to
			CONTINUE WHEN kind LIKE 'hnsw%' AND metric.name = 'ip';
			EXECUTE format('CREATE INDEX items_v ON items USING ' || kind, format('(v vector_%s_ops)', metric.name));
			FOR shape IN SELECT s.name FROM shapes s LOOP
				EXECUTE format('SELECT share_%s(%L)', what, format((SELECT s.query FROM shapes s WHERE s.name = shape), metric.operator)) INTO share;
				index := kind;
				operator := metric.operator;
				RETURN NEXT;
			END LOOP;
			DROP INDEX items_v;
		END LOOP;
	END LOOP;
END $$;

-- looking into everything: what a sort gives (estimates of long codes are nearly, but not quite always, good enough for that)
-- (plans without sorts seem dear enough to compile)
SET jit = off;
SET hnsw.ef_search = 1000;
SET ivfflat.probes = 100;
SET ivfpq.probes = 100;
SELECT * FROM check_shapes('exact', ARRAY['hnsw %s', 'ivfflat %s WITH (lists = 12)']) WHERE share < 1;
SELECT * FROM check_shapes('exact', ARRAY['ivfpq %s WITH (lists = 12, bits = 8)', 'ivfpq %s WITH (lists = 12, quantizer = pq, m = 8, bits = 8)']) WHERE share < 0.9;
-- looking into little: what a scan for each query gives
SET hnsw.ef_search = 5;
SET ivfflat.probes = 1;
SELECT * FROM check_shapes('fresh', ARRAY['hnsw %s WITH (m = 4)', 'ivfflat %s WITH (lists = 12)']) WHERE share < 1;
SET hnsw.iterative_scan = off;
SET ivfflat.iterative_scan = off;
SELECT * FROM check_shapes('fresh', ARRAY['hnsw %s WITH (m = 4)', 'ivfflat %s WITH (lists = 12)']) WHERE share < 1;
SET hnsw.iterative_scan = relaxed_order;
SET ivfflat.iterative_scan = relaxed_order;
SELECT * FROM check_shapes('fresh', ARRAY['hnsw %s WITH (m = 4)', 'ivfflat %s WITH (lists = 12)']) WHERE share < 1;
RESET hnsw.iterative_scan;
RESET ivfflat.iterative_scan;

-- one plan with several parameters; a cursor that goes back; each against a sort
CREATE FUNCTION back_and_forth(query text, move text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	step text;
	found text := '';
	id int;
BEGIN
	OPEN c SCROLL FOR EXECUTE query;
	FOREACH step IN ARRAY move LOOP
		EXECUTE format('FETCH %s FROM %I', step, c) INTO id;
		found := found || coalesce(id::text, '-') || ' ';
	END LOOP;
	CLOSE c;
	RETURN found;
END $$;
SET ivfflat.probes = 100;
CREATE FUNCTION nearest(q vector, n int) RETURNS int[] LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
	RETURN array(SELECT id FROM items ORDER BY v <-> q LIMIT n);
END $$;
CREATE FUNCTION nearest_of_all() RETURNS TABLE (a int[], b int[], c int, d int[], e int[]) LANGUAGE sql AS $$
	SELECT nearest('[1,2,3,4,5,6,7,8]', 5), nearest('[0,0,0,0,0,0,0,0]', 3), cardinality(nearest(NULL, 4)), nearest('[1,2,3,4,5,6,7,8]', 0),
		nearest('[8,7,6,5,4,3,2,1]', 5)
$$;
SELECT * FROM nearest_of_all();
SET enable_seqscan = off;
SET enable_sort = off;
DO $$
DECLARE
	kind text;
	found text;
BEGIN
	FOREACH kind IN ARRAY ARRAY['hnsw (v vector_l2_ops)', 'ivfflat (v vector_l2_ops)', 'ivfpq (v vector_l2_ops) WITH (bits = 8)'] LOOP
		EXECUTE 'CREATE INDEX items_v ON items USING ' || kind;
		found := back_and_forth('SELECT id FROM items ORDER BY v <-> ''[1,2,3,4,5,6,7,8]''',
			ARRAY['NEXT', 'ABSOLUTE 5', 'FIRST', 'RELATIVE 3', 'PRIOR', 'ABSOLUTE 0', 'NEXT', 'LAST', 'NEXT', 'ABSOLUTE 2', 'ABSOLUTE 701', 'PRIOR']);
		RAISE NOTICE '%', found;
		DROP INDEX items_v;
	END LOOP;
END $$;
CREATE INDEX items_v ON items USING ivfflat (v vector_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 5;
SELECT * FROM nearest_of_all();
-- a cursor that outlives its transaction
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 5;
FETCH 2 FROM held;
COMMIT;
FETCH ALL FROM held;
CLOSE held;
DROP TABLE items, queries, shapes;
DROP FUNCTION answers, share_exact, share_fresh, shown, check_shapes, back_and_forth, nearest, nearest_of_all;
