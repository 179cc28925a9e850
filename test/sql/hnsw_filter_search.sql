-- Searches of hnsw indexes under conditions on further columns: the rows of a
-- sort of the table, whatever way the search takes

CREATE TABLE filtered (id int, v vector(6), n int, part int, topic text, flag bool, maybe int);

-- topic: where the vector lies; n: anywhere; maybe: mostly NULL
INSERT INTO filtered
	SELECT id, v, (id::bigint * 7919 % 1000)::int, id % 5, CASE WHEN (v::real[])[1] > 0.4 THEN 'right' WHEN (v::real[])[1] < -0.4 THEN 'left' ELSE 'middle' END,
		CASE WHEN id % 7 = 0 THEN NULL ELSE id % 2 = 0 END, CASE WHEN id % 10 = 0 THEN id % 30 END
	FROM (SELECT i AS id, (SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1000 ORDER BY j)
		FROM generate_series(1, 6) j)::vector AS v FROM generate_series(1, 4000) i) r;
-- equal vectors, with equal values and with others
INSERT INTO filtered SELECT id + 4000, v, n + id % 2, part, topic, flag, maybe FROM filtered WHERE id <= 100;
-- a NULL vector is not in the index
INSERT INTO filtered VALUES (5001, NULL, 1, 1, 'left', true, 1), (5002, '[0,0,0,0,0,0]', 1, 1, 'left', true, 1);
SET max_parallel_maintenance_workers = 0;
CREATE INDEX filtered_v ON filtered USING hnsw (v vector_l2_ops, n, part, topic, flag, maybe);
VACUUM ANALYZE filtered;

CREATE FUNCTION filtered_ids(query text, with_index bool) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
	plan text;
BEGIN
	PERFORM set_config('enable_seqscan', CASE WHEN with_index THEN 'off' ELSE 'on' END, true),
		set_config('enable_indexscan', with_index::text, true), set_config('enable_bitmapscan', 'off', true);
	IF with_index THEN
		EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
		IF plan !~ 'Index Cond' OR (plan ~ '"Filter"' AND plan !~ '@<') OR plan ~ '"Sort"' THEN
			RAISE EXCEPTION '%: %', query, plan;
		END IF;
	END IF;
	EXECUTE format('SELECT array(SELECT id FROM (%s) s)', query) INTO ids;
	RETURN ids;
END $$;

-- how many of five queries give other rows than a sort; of all rows that pass, the same set in any order
CREATE FUNCTION filtered_wrong(cond text, lim int, OUT rows int, OUT wrong int) LANGUAGE plpgsql AS $$
DECLARE
	query text;
	found int[];
	exact int[];
BEGIN
	rows := 0;
	wrong := 0;
	FOR i IN 1..5 LOOP
		query := replace(format('SELECT id FROM filtered WHERE %s ORDER BY v <-> QUERY', cond),
			'QUERY', format('''[%s,%s,0.1,0.5,-0.2,0.3]''', i * 0.4 - 1, 0.7 - i * 0.3));
		IF lim IS NOT NULL THEN
			query := query || ' LIMIT ' || lim;
		END IF;
		exact := filtered_ids(query, false);
		found := filtered_ids(query, true);
		IF lim IS NULL THEN
			exact := array(SELECT unnest(exact) ORDER BY 1);
			found := array(SELECT unnest(found) ORDER BY 1);
		END IF;
		rows := rows + cardinality(found);
		wrong := wrong + (found <> exact AND
			/* rows of equal vectors come in any order */
			(cardinality(found) <> cardinality(exact) OR array(SELECT v FROM unnest(found) WITH ORDINALITY u(id, o) JOIN filtered USING (id) ORDER BY o) <>
			 array(SELECT v FROM unnest(exact) WITH ORDINALITY u(id, o) JOIN filtered USING (id) ORDER BY o)))::int;
	END LOOP;
END $$;

CREATE VIEW conditions AS SELECT * FROM unnest(ARRAY[
	'n < 1000000', 'n < 500', 'n >= 300 AND n < 400', 'n < 10', 'n = 7', 'n = -1', 'n IN (1, 5, 900, 12345)',
	'part = 3', 'part = ANY(''{1,2}'') AND n < 250', 'topic = ''left''', 'topic = ''right'' AND part = 4', 'topic > ''middle''',
	'flag', 'NOT flag', 'flag IS NULL', 'flag IS NOT NULL', 'maybe IS NULL', 'maybe IS NOT NULL', 'maybe = 20', 'maybe < 10 AND flag IS NULL',
	'n < (SELECT NULL::int)', 'n < 500 AND n > 500']) WITH ORDINALITY AS c(cond, number);

-- passes over the codes, and searches of the graph too wide to miss anything
SET hnsw.ef_search = 400;
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, 10) f ORDER BY number;

-- all rows, and no other, when more are asked for than the first search brings, whatever memory there is
SET hnsw.ef_search = 10;
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, NULL) f ORDER BY number;
SET work_mem = '64kB';
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, NULL) f WHERE number <= 4 ORDER BY number;
RESET work_mem;
SET hnsw.iterative_scan = relaxed_order;
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, NULL) f WHERE number <= 9 ORDER BY number;

-- one round: as many rows as ef_search, if so many pass
SET hnsw.iterative_scan = off;
SELECT cond, f.rows FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, 100) f WHERE number <= 9 ORDER BY number;
RESET hnsw.iterative_scan;
SET hnsw.max_scan_tuples = 30;
SELECT cond, f.rows FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, 100) f WHERE number BETWEEN 3 AND 9 ORDER BY number;
RESET hnsw.max_scan_tuples;
RESET hnsw.ef_search;

-- where no distance is defined: any order, but no row that does not pass
SET enable_seqscan = off;
SELECT count(*), min(n), max(n) FROM (SELECT n FROM filtered WHERE n BETWEEN 10 AND 20 ORDER BY v <-> NULL LIMIT 1000) s;
SELECT count(*), min(n), max(n) FROM filtered WHERE n BETWEEN 10 AND 20 AND v IS NOT NULL;

-- a bound on the distance beside them
SELECT * FROM filtered_wrong('n < 500 AND v <-> QUERY < 0.9', NULL);
SELECT * FROM filtered_wrong('topic = ''left'' AND v <-> QUERY <= 0.7', 20);

-- other conditions for each outer row
CREATE FUNCTION nearest_of_parts(with_index bool) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_seqscan', CASE WHEN with_index THEN 'off' ELSE 'on' END, true),
		set_config('enable_indexscan', with_index::text, true);
	RETURN (SELECT string_agg(format('%s %s %s: %s', p, below, t, dists), ' / ' ORDER BY p, below, t)
		FROM generate_series(0, 4, 2) p, unnest(ARRAY[2, 60, 900, NULL]) below, unnest(ARRAY['left', 'right']) t,
			LATERAL (SELECT array(SELECT round((v <-> '[0.2,0,0.1,0.5,-0.2,0.3]')::numeric, 5) FROM filtered
				WHERE part = p AND n < below AND topic = t AND v IS NOT NULL
				ORDER BY v <-> '[0.2,0,0.1,0.5,-0.2,0.3]' LIMIT 4) AS dists) s);
END $$;
SELECT nearest_of_parts(true) = nearest_of_parts(false) AS same;

-- rows that come, go and change
DELETE FROM filtered WHERE part = 2 OR n IN (7, 8);
UPDATE filtered SET n = n + 2000 WHERE part = 3 AND n < 500;
INSERT INTO filtered SELECT id + 6000, v, 7, 2, 'new', true, NULL FROM filtered WHERE id <= 300;
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, NULL) f WHERE number <= 9 ORDER BY number;
VACUUM filtered;
INSERT INTO filtered SELECT id + 9000, v, 8, 2, 'newest', true, NULL FROM filtered WHERE id <= 1000;
SELECT cond, f.* FROM conditions, filtered_wrong('v IS NOT NULL AND ' || cond, NULL) f WHERE number <= 9 ORDER BY number;
SELECT * FROM filtered_wrong('v IS NOT NULL AND topic = ''new''', NULL);
SELECT * FROM filtered_wrong('v IS NOT NULL AND n >= 2000 AND part = 3', NULL);
SELECT * FROM vecidx_check('filtered_v');

-- temporary tables; codes of other kinds, those that stand elsewhere among them
CREATE TEMP TABLE t_filtered AS SELECT * FROM filtered WHERE v IS NOT NULL;
CREATE INDEX ON t_filtered USING hnsw (v vector_cosine_ops, n) WITH (quantizer = 'none');
SELECT count(*), max(n) FROM (SELECT n FROM t_filtered WHERE n < 100 ORDER BY v <=> '[0.2,0,0.1,0.5,-0.2,0.3]') s;
SELECT count(*), max(n) FROM t_filtered WHERE n < 100 AND v <> '[0,0,0,0,0,0]';
CREATE TABLE s_filtered AS SELECT id, v::sparsevec(6) AS v, n, (v::real[])[1] > 0 AS side FROM filtered WHERE v IS NOT NULL;
CREATE INDEX ON s_filtered USING hnsw (v sparsevec_l2_ops, side, n);
SELECT count(*), max(n) FROM (SELECT n FROM s_filtered WHERE n < 100 AND side ORDER BY v <-> '{1:0.2,4:0.5}/6') s;
SELECT count(*), max(n) FROM s_filtered WHERE n < 100 AND side;

DROP TABLE filtered, t_filtered, s_filtered CASCADE;
DROP FUNCTION filtered_ids, filtered_wrong, nearest_of_parts;
