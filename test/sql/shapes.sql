-- Queries that are ordered by something else than a bare distance: what becomes
-- an index scan, what must not, and that the rows are those of a sorted table.

CREATE FUNCTION shapes_vec(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1000 ORDER BY j)::vector
   FROM generate_series(1, dim) j $$;

-- q in a query stands for a vector
CREATE FUNCTION shapes_q(query text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(query, '\mq\M', format('%L::vector', shapes_vec(77, 16)), 'g') $$;

-- the nodes of a plan that read or sort
CREATE FUNCTION shapes_plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) ' || shapes_q(query) INTO plan;
	RETURN (SELECT string_agg(CASE WHEN node ? 'Order By' THEN 'index' ELSE lower(node ->> 'Node Type') END, ', ' ORDER BY n)
		FROM jsonb_path_query(plan, 'strict $.** ? (@."Node Type" like_regex "Scan|Sort|Merge Append" && @."Node Type" != "Subquery Scan")')
			WITH ORDINALITY AS nodes (node, n));
END $$;

CREATE FUNCTION shapes_rows(query text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	EXECUTE format('SELECT array(SELECT s::text FROM (%s) s)', shapes_q(query)) INTO result;
	RETURN result;
END $$;

-- the plan, and whether the rows are the same without indexes, in the same order
CREATE FUNCTION shapes_try(query text, OUT plan text, OUT rows text) LANGUAGE plpgsql AS $$
DECLARE
	exact text[];
	found text[];
BEGIN
	plan := shapes_plan(query);
	found := shapes_rows(query);
	PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true);
	exact := shapes_rows(query);
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
	rows := CASE WHEN found = exact THEN cardinality(exact) || ' same' ELSE format('%s instead of %s', found, exact) END;
END $$;

-- a search so wide that the graph hides nothing
SET hnsw.ef_search = 400;
SET enable_seqscan = off;
SET max_parallel_workers_per_gather = 0;

-- n: the column may be NULL; each vector stands there three times
CREATE TABLE t (id int PRIMARY KEY, v vector(16) NOT NULL, n vector(16), category int, words tsvector);
INSERT INTO t SELECT i, shapes_vec(i, 16), CASE WHEN i % 10 > 0 THEN shapes_vec(i / 3, 16) END, i % 7,
	to_tsvector('simple', 'number' || i % 5 || ' word' || i % 11)
	FROM generate_series(1, 1500) i;
CREATE INDEX t_l2 ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_ip ON t USING hnsw (v vector_ip_ops);
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops);
CREATE INDEX t_l1 ON t USING hnsw (v vector_l1_ops);
CREATE INDEX t_n ON t USING hnsw (n vector_cosine_ops);
ANALYZE t;

-- what rises or falls with a distance
SELECT form, (shapes_try(format('SELECT %s AS s FROM t ORDER BY %s LIMIT 12', regexp_replace(form, ' (ASC|DESC)( NULLS (FIRST|LAST))?$', ''), form))).*
FROM unnest(ARRAY[
	'v <=> q ASC', 'q <=> v ASC', 'v <=> q ASC NULLS FIRST',
	'1 - (v <=> q) DESC', '1 - (q <=> v) DESC', '(1 - (v <=> q)) * 100 DESC', '100 * (1 - (v <=> q)) DESC', '1 - (v <=> q) / 2 DESC', '(2 - (v <=> q)) / 2 DESC',
	'1 - (v <=> q) DESC NULLS LAST', '(v <=> q) - 1 ASC', '(v <=> q) + 1 ASC', '1 + (v <=> q) ASC', '- (v <=> q) DESC', '+ (v <=> q) ASC', '(v <=> q) * -2 DESC', '-2 * (v <=> q) DESC', '(v <=> q) / -2 DESC',
	'(v <#> q) * -1 DESC', '-(v <#> q) DESC', '(v <#> q) ASC',
	'1 / (1 + (v <-> q)) DESC', '1.0 / ((v <-> q) + 1.0) DESC', '-1 / (1 + (v <-> q)) ASC', '1 / (1 + (v <-> q)) * -3 ASC', '1 / (-1 - (v <-> q)) ASC', '2 - 1 / (2 + (v <-> q) / 2) ASC', '1 / (1 + 1 / (1 + (v <-> q))) ASC',
	'sqrt(v <-> q) ASC', '(v <-> q)::real ASC', '1 - (v <=> q)::real DESC', '(1 - (v <=> q))::real DESC', '((v <=> q)::real * 2)::float8 ASC', '(v <=> q)::numeric ASC', '1 - (v <=> q)::numeric DESC',
	'round((1 - (v <=> q))::numeric, 2) DESC', 'round((v <-> q)::numeric) ASC', '(1 - (v <=> q))::numeric(5,3) DESC', '((v <-> q) * 1000)::int ASC', '((v <-> q) * 1000)::bigint ASC',
	'round(v <-> q) ASC', 'floor(10 * (v <-> q)) ASC', 'ceil(v <-> q) ASC', 'trunc(v <-> q) ASC', '-((v <-> q)::numeric * -3) ASC',
	'greatest(0, 1 - (v <=> q)) DESC', 'least(1, greatest(v <=> q, 0)) ASC', 'coalesce(1 - (v <=> q), 0) DESC',
	'l2_distance(v, q) ASC', 'l2_distance(q, v) ASC', 'vector_l2_squared_distance(v, q) ASC', 'cosine_distance(v, q) ASC', '1 - cosine_distance(v, q) DESC',
	'inner_product(v, q) DESC', 'inner_product(q, v) DESC', '-inner_product(v, q) ASC', 'vector_negative_inner_product(v, q) ASC', 'inner_product(v, q) * -1 ASC', 'l1_distance(v, q) ASC']) form;

-- what does not, or the other way
SELECT form, shapes_plan(format('SELECT id FROM t ORDER BY %s LIMIT 12', form))
FROM unnest(ARRAY[
	'v <=> q DESC', '1 - (v <=> q) ASC', '(v <=> q) - 1 DESC', '(v <=> q) * -1 ASC', '(v <=> q) / -1 ASC', 'inner_product(v, q) ASC', '1 / (1 + (v <-> q)) ASC',
	'(v <=> q) + 0 ASC', '0 + (v <=> q) ASC', '(v <=> q) - 0 ASC', '(v <=> q) * 0 ASC', '(v <=> q) * ''NaN'' ASC', '(v <=> q) * ''Infinity'' ASC', '1 / (1 + (v <#> q)) DESC', '1 / ((v <-> q) - 1) DESC', '1 / (1 + (v <-> q)::numeric) DESC', '(v <-> q)::numeric / 3 ASC',
	'(v <=> q) * id ASC', '(v <=> q) + id ASC', '(v <=> q) + random() ASC', '(v <=> q) + (v <-> q) ASC', '(v <=> v) ASC', 'abs(v <#> q) ASC', 'power(v <-> q, 2) ASC', 'exp(v <-> q) ASC',
	'vector_spherical_distance(v, q) ASC', 'greatest(v <=> q, id) ASC', 'coalesce(v <=> q, id) ASC', 'CASE WHEN id > 5 THEN v <=> q END ASC', '((v <=> q) || '''') ASC']) form;

-- NULLs: an index does not have them, so where they come first there must be none
SELECT form, (shapes_try(format('SELECT 1 - (n <=> q) AS s FROM t WHERE %s LIMIT 12', form))).* FROM unnest(ARRAY[
	'true ORDER BY 1 - (n <=> q) DESC', 'true ORDER BY 1 - (n <=> q) DESC NULLS LAST', 'true ORDER BY n <=> q', 'true ORDER BY n <=> q NULLS FIRST',
	'n IS NOT NULL ORDER BY 1 - (n <=> q) DESC', 'n IS NOT NULL AND category = 3 ORDER BY n <=> q NULLS FIRST', '1 - (n <=> q) > 0.2 ORDER BY 1 - (n <=> q) DESC', 'n <=> q < 0.9 ORDER BY 1 - (n <=> q) DESC',
	'vector_dims(n) = 16 ORDER BY 1 - (n <=> q) DESC', 'n IS NOT NULL OR id = 10 ORDER BY 1 - (n <=> q) DESC', 'true ORDER BY greatest(0, 1 - (n <=> q)) DESC NULLS LAST', 'true ORDER BY coalesce(n <=> q, 0)',
	'n IS NOT NULL ORDER BY coalesce(1 - (n <=> q), 0) DESC']) form;
-- no distance at all
SELECT (shapes_try('SELECT 1 FROM t ORDER BY 1 - (v <=> (SELECT shapes_vec(77, 16) WHERE false)) DESC LIMIT 3')).plan;

-- a second key: n has each vector up to three times, so ties reach over the limit
SELECT form, (shapes_try(format('SELECT id, 1 - (n <=> q) AS s FROM t WHERE n IS NOT NULL ORDER BY %s', form))).* FROM unnest(ARRAY[
	'n <=> q, id LIMIT 10', 'n <=> q, id DESC LIMIT 10', 'n <=> q, id LIMIT 10 OFFSET 4', '1 - (n <=> q) DESC, id DESC LIMIT 11', 'n <=> q, category, id LIMIT 10', 'n <=> q NULLS FIRST, id LIMIT 10',
	'round((n <=> q)::numeric, 2), id LIMIT 50', '((n <=> q) * 10)::int, id LIMIT 100', 'n <=> q, id LIMIT 1400', 'id, n <=> q LIMIT 3']) form;
-- keys that are one and the same, or constant
SELECT shapes_plan('SELECT id FROM t WHERE category = 3 ORDER BY category, v <=> shapes_vec(77, 16), v <=> shapes_vec(77, 16), category LIMIT 3');

-- OFFSET: whatever is skipped, in one order
SELECT form, (shapes_try(format('SELECT id FROM t ORDER BY v <=> q %s', form))).* FROM unnest(ARRAY[
	'LIMIT 10 OFFSET 10', 'LIMIT 10 OFFSET 100', 'LIMIT 10 OFFSET 1000', 'LIMIT 10 OFFSET 1495', 'LIMIT 10 OFFSET 2000', 'OFFSET 1490', 'FETCH FIRST 5 ROWS WITH TIES']) form;

-- a bound, by the same expression as the order
SELECT form, (shapes_try('SELECT id FROM t WHERE ' || form)).* FROM unnest(ARRAY[
	'1 - (v <=> q) > 0.4 ORDER BY 1 - (v <=> q) DESC', '1 - (v <=> q) > 0.4 ORDER BY 1 - (v <=> q) DESC, id', 'v <=> q < 0.6 ORDER BY 1 - (v <=> q) DESC', 'inner_product(v, q) > 2 ORDER BY inner_product(v, q) DESC',
	'(v <#> q) * -1 > 2 ORDER BY inner_product(v, q) DESC']) form;
-- bounds on a row's own value, which tell > from >=, and where doubles end, in whatever form: as a constant, and as a parameter where that is understood
CREATE FUNCTION shapes_bounds(form text, comparison text, direction text, OUT understood text, OUT of_parameter text, OUT tried int, OUT different int) LANGUAGE plpgsql AS $$
DECLARE
	type text;
	bound text;
	op text;
	query text;
	cond text;
	exact int[];
	found int[];
	plan jsonb;
BEGIN
	tried := 0;
	different := 0;
	EXECUTE shapes_q(format('SELECT pg_typeof(%s) FROM t LIMIT 1', form)) INTO type;
	FOR bound IN EXECUTE shapes_q(format('SELECT (%s)::text FROM t WHERE id IN (77, 1105, 645, 716, 3, 1000) '
		'UNION ALL SELECT unnest(''{Infinity,-Infinity,NaN,1e308,-1e308,0}''::text[]) WHERE %L = ''double precision''', form, type)) LOOP
		FOREACH op IN ARRAY ARRAY[comparison, comparison || '='] LOOP
			query := shapes_q(format('SELECT id FROM t WHERE %s %s %L::%s ORDER BY %s %s', form, op, bound, type, form, direction));
			EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
			understood := coalesce(jsonb_path_exists(plan, 'strict $.** ? (exists (@."Order By"))."Index Cond"'), false);
			EXECUTE format('SELECT array(SELECT id FROM (%s) s ORDER BY id)', query) INTO found;
			EXECUTE format('SELECT array(SELECT id FROM t WHERE %s %s %L::%s ORDER BY id)', shapes_q(form), op, bound, type) INTO exact;
			tried := tried + 1;
			different := different + (found <> exact)::int;

			EXECUTE format('PREPARE shapes_bound (%s) AS ', type) || shapes_q(format('SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM t WHERE %s %s $1 ORDER BY %s %s OFFSET 0) s', form, op, form, direction));
			PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
			EXECUTE format('EXPLAIN (FORMAT JSON) EXECUTE shapes_bound (%L)', bound) INTO plan;
			of_parameter := jsonb_path_exists(plan, 'strict $.** ? (exists (@."Order By"))."Index Cond"');
			EXECUTE format('EXECUTE shapes_bound (%L)', bound) INTO found;
			PERFORM set_config('plan_cache_mode', 'auto', true);
			DEALLOCATE shapes_bound;
			different := different + (coalesce(found, '{}') <> exact)::int;
		END LOOP;
	END LOOP;
END $$;
SELECT f.*, b.* FROM (VALUES
	('1 - (v <=> q)', '>', 'DESC'), ('(1 - (v <=> q)) * 100', '>', 'DESC'), ('1 - (v <=> q) / 2', '>', 'DESC'), ('1 + (v <=> q)', '<', 'ASC'), ('(v <-> q) - 3', '<', 'ASC'), ('(v <-> q) * -3', '>', 'DESC'), ('(v <-> q) / -0.7', '>', 'DESC'),
	('inner_product(v, q)', '>', 'DESC'), ('-inner_product(q, v)', '<', 'ASC'), ('3 * inner_product(v, q) - 1', '>', 'DESC'), ('l1_distance(v, q)', '<', 'ASC'), ('vector_l2_squared_distance(v, q)', '<', 'ASC'),
	('1 / (1 + (v <-> q))', '>', 'DESC'), ('100 / (0.5 + (v <-> q) * 2)', '>', 'DESC'), ('-1 / (1 + (v <-> q))', '<', 'ASC'), ('sqrt(v <-> q)', '<', 'ASC'), ('(v <-> q)::real', '<', 'ASC'), ('1 - (v <=> q)::real', '>', 'DESC'), ('(v <=> q)::real * 3::real', '<', 'ASC'), ('(1 - (v <=> q))::numeric', '>', 'DESC'),
	('round((1 - (v <=> q))::numeric, 2)', '>', 'DESC'), ('(v <-> q)::numeric(6,1)', '<', 'ASC'), ('round((v <-> q)::numeric, -1)', '<', 'ASC'), ('((v <-> q) * 100)::int', '<', 'ASC'), ('floor(10 * (v <-> q))', '<', 'ASC'), ('-ceil(v <-> q)', '>', 'DESC'), ('coalesce(1 - (v <=> q), 0)', '>', 'DESC'), ('greatest(1 - (v <=> q), 0)', '>', 'DESC'))
	f (form, comparison, direction), shapes_bounds(form, comparison, direction) b;
DROP FUNCTION shapes_bounds;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE 1 - (v <=> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]') > 0.5 ORDER BY 1 - (v <=> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]') DESC, id LIMIT 10;

-- distances that are named in one query and used in another
SELECT form, (shapes_try(form)).* FROM unnest(ARRAY[
	'SELECT * FROM (SELECT id, v <=> q AS d FROM t) s WHERE d < 0.6 ORDER BY d LIMIT 10',
	'SELECT * FROM (SELECT id, 1 - (v <=> q) AS s FROM t) s WHERE s > 0.4 ORDER BY s DESC LIMIT 10',
	'WITH s AS (SELECT id, category, 1 - (v <=> q) AS s FROM t) SELECT * FROM s WHERE category = 2 ORDER BY s DESC LIMIT 10',
	'WITH s AS (SELECT id, 1 - (v <=> q) AS s FROM t ORDER BY s DESC LIMIT 10) SELECT * FROM s WHERE s > 0.4 ORDER BY id',
	'WITH s AS MATERIALIZED (SELECT id, 1 - (v <=> q) AS s FROM t) SELECT * FROM s ORDER BY s DESC LIMIT 10',
	'SELECT * FROM (SELECT id, v <=> q AS d FROM t ORDER BY d LIMIT 20) s WHERE d < 0.5 ORDER BY d LIMIT 10',
	'SELECT * FROM (SELECT id, v <=> q AS d FROM t ORDER BY v <=> q OFFSET 0) s WHERE d < 0.6 ORDER BY d LIMIT 10',
	'SELECT * FROM (SELECT id, v <=> q AS d FROM t OFFSET 0) s WHERE d < 0.6 ORDER BY d LIMIT 10',
	'SELECT id, row_number() OVER (ORDER BY 1 - (v <=> q) DESC) AS r FROM t ORDER BY r LIMIT 10',
	'SELECT id, rank() OVER (ORDER BY v <=> q) AS r FROM t LIMIT 10',
	'SELECT min(v <=> q), (SELECT max(inner_product(v, q)) FROM t) FROM t',
	'(SELECT id, 1 - (v <=> q) AS s FROM t UNION ALL SELECT -id, 1 - (n <=> q) FROM t) ORDER BY s DESC NULLS LAST LIMIT 10',
	'(SELECT id, 1 - (v <=> q) AS s FROM t WHERE category = 1 UNION ALL SELECT id, 1 - (v <=> q) FROM t WHERE category = 2) ORDER BY s DESC LIMIT 10',
	'SELECT DISTINCT ON (category) category, id FROM t ORDER BY category, v <=> q',
	'SELECT a.id, b.id AS b FROM t a JOIN t b ON b.id = a.id + 1 ORDER BY 1 - (a.v <=> q) DESC LIMIT 10']) form;
-- the farthest: no index goes backwards, but the opposite vector is a vector too
SELECT form, (shapes_try('SELECT id FROM t ORDER BY ' || form || ' LIMIT 10')).* FROM unnest(ARRAY['v <=> q DESC', 'v <=> (q * -1)', 'v <#> q DESC', 'v <#> (q * -1)']) form;
SELECT shapes_rows('SELECT id FROM t ORDER BY v <=> q DESC LIMIT 10') = shapes_rows('SELECT id FROM t ORDER BY v <=> (q * -1) LIMIT 10') AS same;
-- what asks for all rows, or for equal ones side by side, is none of an approximate index's affair
SELECT form, t.plan ~ 'index' AS index, t.rows FROM unnest(ARRAY[
	'SELECT DISTINCT ON (1 - (v <=> q)) id FROM t ORDER BY 1 - (v <=> q) DESC LIMIT 5',
	'SELECT DISTINCT round((v <=> q)::numeric, 1) AS r FROM t ORDER BY r LIMIT 5',
	'SELECT round((v <=> q)::numeric, 1) AS r, count(*) FROM t GROUP BY r ORDER BY r LIMIT 5',
	'SELECT string_agg(id::text, '','' ORDER BY 1 - (v <=> q) DESC) FROM t',
	'(SELECT round((v <=> q)::numeric, 1) AS r FROM t UNION SELECT round((v <-> q)::numeric, 1) FROM t) ORDER BY r LIMIT 5']) form, shapes_try(form) t;
-- a table whose rows an outer join fills up with NULLs
SELECT (shapes_try('SELECT a.id, b.id AS b FROM t a LEFT JOIN t b ON b.id = a.id + 1400 ORDER BY 1 - (b.v <=> q) DESC, a.id LIMIT 10')).rows;

-- nearest of each group, of each row of another table
SELECT form, (shapes_try(form)).* FROM unnest(ARRAY[
	'SELECT c, s.id FROM generate_series(0, 6) c, LATERAL (SELECT id FROM t WHERE category = c ORDER BY v <=> q LIMIT 2) s ORDER BY c, id',
	'SELECT i, s.id, s.s FROM generate_series(1, 8) i, LATERAL (SELECT id, 1 - (v <=> shapes_vec(i * 3, 16)) AS s FROM t ORDER BY s DESC LIMIT 3) s ORDER BY i, s DESC',
	'SELECT i, s.id FROM generate_series(1, 8) i, LATERAL (SELECT id FROM t ORDER BY inner_product(v, shapes_vec(i * 3, 16)) DESC LIMIT 3 OFFSET 1) s ORDER BY i, id',
	'SELECT i, s.id FROM generate_series(1, 8) i LEFT JOIN LATERAL (SELECT id FROM t WHERE n IS NOT NULL ORDER BY n <=> shapes_vec(i * 3, 16), id LIMIT 4) s ON true ORDER BY i, id',
	'SELECT i, (SELECT id FROM t ORDER BY 1 - (v <=> shapes_vec(i * 3, 16)) DESC LIMIT 1) FROM generate_series(1, 8) i',
	'SELECT i, s.id FROM generate_series(1, 8) i, LATERAL (SELECT id FROM t ORDER BY i - (v <=> shapes_vec(i * 3, 16)) DESC LIMIT 1) s ORDER BY i',
	'SELECT a.id, s.id AS b FROM t a, LATERAL (SELECT id FROM t b WHERE b.id <> a.id ORDER BY 1 - (a.v <=> b.v) DESC LIMIT 2) s WHERE a.id < 20 ORDER BY 1, 2']) form;

-- prepared statements, by plans for all values
SET plan_cache_mode = force_generic_plan;
PREPARE p1 (vector, int, int) AS SELECT id FROM t WHERE category <> $2 ORDER BY 1 - (v <=> $1) DESC LIMIT $3;
PREPARE p2 (vector, float8) AS SELECT id FROM t ORDER BY $2 - (v <=> $1) DESC LIMIT 5;
PREPARE p3 (vector, float8) AS SELECT id FROM t ORDER BY $2 * (v <=> $1) DESC LIMIT 5;
PREPARE p4 (vector) AS SELECT id FROM t WHERE n IS NOT NULL ORDER BY n <=> $1, id LIMIT 5;
SELECT form, shapes_plan('EXECUTE ' || form) FROM unnest('{"p1(q, 1, 5)","p2(q, 1)","p3(q, 1)",p4(q)}'::text[]) form;
EXECUTE p1 (shapes_vec(77, 16), 3, 5);
EXECUTE p1 (shapes_vec(78, 16), 3, 4);
EXECUTE p2 (shapes_vec(77, 16), 1);
EXECUTE p4 (shapes_vec(77, 16));
DEALLOCATE ALL;
SET plan_cache_mode = force_custom_plan;
PREPARE p4 (vector) AS SELECT id FROM t WHERE n IS NOT NULL ORDER BY n <=> $1, id LIMIT 5;
EXECUTE p4 (shapes_vec(77, 16));
DEALLOCATE ALL;
RESET plan_cache_mode;

-- through functions and views
CREATE FUNCTION shapes_similarity(a vector, b vector) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT 1 - (a <=> b)';
CREATE FUNCTION shapes_opaque(a vector, b vector) RETURNS float8 LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN 1 - (a <=> b); END';
CREATE VIEW shapes_view AS SELECT id, v AS embedding FROM t WHERE category = 3;
CREATE VIEW shapes_barrier WITH (security_barrier) AS SELECT id, v AS embedding FROM t WHERE category = 3;
SELECT form, (shapes_try(form)).* FROM unnest(ARRAY[
	'SELECT id FROM t ORDER BY shapes_similarity(v, shapes_vec(77, 16)) DESC LIMIT 5', 'SELECT id FROM t ORDER BY shapes_opaque(v, shapes_vec(77, 16)) DESC LIMIT 5',
	'SELECT id FROM shapes_view ORDER BY 1 - (embedding <=> q) DESC LIMIT 5', 'SELECT id FROM shapes_barrier ORDER BY 1 - (embedding <=> q) DESC LIMIT 5',
	'SELECT id FROM t TABLESAMPLE SYSTEM (100) ORDER BY 1 - (v <=> q) DESC LIMIT 5',
	'SELECT id FROM t WHERE false ORDER BY 1 - (v <=> q) DESC LIMIT 5']) form;
DROP VIEW shapes_view, shapes_barrier;

-- row security: its conditions are filters of such a scan as of any other
CREATE ROLE shapes_reader;
GRANT SELECT ON t TO shapes_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON t USING (id % 2 = 0);
SET ROLE shapes_reader;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (v <=> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]') DESC LIMIT 5;
SELECT (shapes_try('SELECT id FROM t ORDER BY 1 - (v <=> shapes_vec(77, 16)) DESC LIMIT 5')).*;
SELECT (shapes_try('SELECT id FROM t WHERE n IS NOT NULL AND shapes_opaque(v, v) > 0 ORDER BY n <=> shapes_vec(77, 16), id LIMIT 5')).*;
RESET ROLE;
DROP POLICY even ON t;
DROP OWNED BY shapes_reader;
DROP ROLE shapes_reader;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;

-- rows are locked, cursors go on
BEGIN;
SELECT id FROM t ORDER BY 1 - (v <=> shapes_vec(77, 16)) DESC LIMIT 2 FOR UPDATE;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY 1 - (v <=> shapes_vec(77, 16)) DESC;
FETCH 3 FROM c;
FETCH 3 FROM c;
ROLLBACK;

-- the planner chooses by cost: a small table is read and sorted
RESET enable_seqscan;
CREATE TABLE small AS SELECT id, v FROM t WHERE id < 20;
CREATE INDEX ON small USING hnsw (v vector_cosine_ops);
ANALYZE small;
SELECT shapes_plan('SELECT id FROM small ORDER BY 1 - (v <=> shapes_vec(77, 16)) DESC NULLS LAST LIMIT 5'), shapes_plan('SELECT id FROM t ORDER BY 1 - (v <=> shapes_vec(77, 16)) DESC LIMIT 5');
DROP TABLE small;
-- in a new session, whose first query it is
\c -
EXPLAIN (COSTS OFF) SELECT s.id FROM t a, LATERAL (SELECT id FROM t ORDER BY 1 - (v <=> a.v) DESC LIMIT 5) s WHERE a.id = 1;
SET hnsw.ef_search = 400;
SET max_parallel_workers_per_gather = 0;
-- as dear as the plain order
CREATE FUNCTION shapes_cost(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN jsonb_path_query_first(plan, 'strict $.** ? (exists (@."Order By"))."Total Cost"');
END $$;
SELECT shapes_cost('SELECT id FROM t ORDER BY v <=> shapes_vec(77, 16) LIMIT 5') = shapes_cost('SELECT id FROM t ORDER BY cosine_distance(v, shapes_vec(77, 16)) LIMIT 5') AS same_cost;
DROP FUNCTION shapes_cost;
SET enable_seqscan = off;
DROP TABLE t;

-- partitions, one of them with its columns in another order
CREATE TABLE p (id int, v vector(16) NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (400);
CREATE TABLE p2 (v vector(16) NOT NULL, id int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (400) TO (800);
INSERT INTO p SELECT i, shapes_vec(i, 16) FROM generate_series(1, 799) i;
CREATE INDEX ON p USING hnsw (v vector_cosine_ops);
ANALYZE p;
SELECT form, (shapes_try(form)).* FROM unnest(ARRAY[
	'SELECT id FROM p ORDER BY v <=> q LIMIT 10', 'SELECT id FROM p ORDER BY v <=> q LIMIT 10 OFFSET 300', 'SELECT id FROM p ORDER BY 1 - (v <=> q) DESC LIMIT 10',
	'SELECT id FROM p ORDER BY cosine_distance(v, shapes_vec(77, 16)) LIMIT 10', 'SELECT id FROM p ORDER BY v <=> q, id LIMIT 10', 'SELECT id FROM p WHERE id < 300 ORDER BY 1 - (v <=> q) DESC LIMIT 10',
	'SELECT id FROM p WHERE v <=> q < 0.6 ORDER BY 1 - (v <=> q) DESC LIMIT 60', 'SELECT id FROM p ORDER BY round((v <=> q)::numeric, 5), id LIMIT 10',
	'SELECT i, s.id FROM generate_series(1, 10) i, LATERAL (SELECT id FROM p ORDER BY 1 - (v <=> shapes_vec(i * 3, 16)) DESC LIMIT 3) s ORDER BY i, id',
	'(SELECT id, 1 - (v <=> q) AS s FROM p1 UNION ALL SELECT id, 1 - (v <=> q) FROM p2) ORDER BY s DESC LIMIT 10',
	'SELECT * FROM (SELECT id, v FROM p1 UNION ALL SELECT id, v FROM p2) s ORDER BY 1 - (v <=> q) DESC LIMIT 10']) form;
EXPLAIN (COSTS OFF) SELECT id FROM p ORDER BY 1 - (v <=> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]') DESC LIMIT 10;
PREPARE s (vector, int) AS SELECT id FROM p WHERE id < $2 ORDER BY 1 - (v <=> $1) DESC LIMIT 5;
SET plan_cache_mode = force_generic_plan;
EXECUTE s (shapes_vec(77, 16), 400);
EXECUTE s (shapes_vec(77, 16), 800);
RESET plan_cache_mode;
DEALLOCATE s;
DROP TABLE p;

-- inheritance
CREATE TABLE parent (id int, v vector(16) NOT NULL);
CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent SELECT i, shapes_vec(i, 16) FROM generate_series(1, 300) i;
INSERT INTO child SELECT i, shapes_vec(i, 16), i FROM generate_series(301, 600) i;
CREATE INDEX ON parent USING hnsw (v vector_l2_ops);
CREATE INDEX ON child USING hnsw (v vector_l2_ops);
SELECT (shapes_try('SELECT id FROM parent ORDER BY 1 / (1 + (v <-> shapes_vec(77, 16))) DESC LIMIT 10')).*;
DROP TABLE parent CASCADE;

-- expression and partial indexes, other types
CREATE TABLE t (id int, v vector(16), nn vector(16) NOT NULL, h halfvec(16) NOT NULL, s sparsevec(16) NOT NULL, b bit(16) NOT NULL, a float8[] NOT NULL);
INSERT INTO t SELECT i, v, v, v, v, binary_quantize(v), v::float4[] FROM (SELECT i, shapes_vec(i, 16) AS v FROM generate_series(1, 600) i) s;
CREATE INDEX ON t USING hnsw ((v::halfvec(16)) halfvec_cosine_ops) WHERE id > 100;
CREATE INDEX ON t USING hnsw ((nn::halfvec(16)) halfvec_l2_ops);
CREATE INDEX ON t USING hnsw ((binary_quantize(nn)::bit(16)) bit_hamming_ops);
CREATE INDEX ON t USING ivfflat (h halfvec_cosine_ops) WITH (lists = 1);
CREATE INDEX ON t USING ivfpq (h halfvec_ip_ops) WITH (lists = 1);
CREATE INDEX ON t USING hnsw (s sparsevec_ip_ops);
CREATE INDEX ON t USING hnsw (b bit_jaccard_ops);
CREATE INDEX ON t USING hnsw ((a::vector(16)) vector_l2_ops);
CREATE INDEX ON t USING hnsw (v vector_l1_ops) WHERE v IS NOT NULL;
ANALYZE t;
SELECT form, (shapes_try(format('SELECT %s LIMIT 10', form))).* FROM unnest(ARRAY[
	'id FROM t WHERE id > 100 ORDER BY (v::halfvec(16)) <=> q::halfvec(16)', 'id FROM t WHERE id > 100 ORDER BY 1 - (v::halfvec(16) <=> q::halfvec(16)) DESC NULLS LAST',
	'id FROM t WHERE id > 100 ORDER BY 1 - (v::halfvec(16) <=> q::halfvec(16)) DESC', 'id FROM t WHERE id > 100 AND v IS NOT NULL ORDER BY 1 - (v::halfvec(16) <=> q::halfvec(16)) DESC',
	'id FROM t ORDER BY 1 - (v::halfvec(16) <=> q::halfvec(16)) DESC NULLS LAST', 'id FROM t ORDER BY 1 - (nn::halfvec(16) <-> q::halfvec(16)) DESC', 'id FROM t ORDER BY l2_distance(nn::halfvec(16), q::halfvec(16)), id',
	'id FROM t ORDER BY binary_quantize(nn)::bit(16) <~> binary_quantize(q)::bit(16), id', '(16 - (binary_quantize(nn)::bit(16) <~> binary_quantize(q)::bit(16)))::int AS d FROM t ORDER BY d DESC',
	'id FROM t ORDER BY cosine_distance(h, q::halfvec)', 'id FROM t ORDER BY 1 - (q::halfvec <=> h) DESC', 'id FROM t ORDER BY inner_product(h, q::halfvec) DESC', 'id FROM t ORDER BY inner_product(s, q::sparsevec) DESC',
	'1 - jaccard_distance(b, binary_quantize(q)) AS d FROM t ORDER BY d DESC', 'id FROM t ORDER BY jaccard_distance(b, binary_quantize(q)), id',
	'id FROM t ORDER BY 1 - (a::vector(16) <-> q) DESC', 'id FROM t ORDER BY 1 - (a::vector(16) <-> q) DESC NULLS LAST', 'id FROM t ORDER BY l1_distance(v, q)', 'id FROM t WHERE v IS NOT NULL ORDER BY -l1_distance(v, q) DESC']) form;
DROP TABLE t;

-- a zero vector has no cosine distance: it is in no index, and NaN comes after all numbers, first where they fall
CREATE TABLE t (id int, v vector(2) NOT NULL);
INSERT INTO t VALUES (1, '[1,0]'), (2, '[0,0]'), (3, '[0,1]');
CREATE INDEX ON t USING hnsw (v vector_cosine_ops);
SELECT id, 1 - (v <=> '[1,0]') AS s FROM t ORDER BY s DESC LIMIT 5;
SELECT id, v <=> '[1,0]' AS d FROM t ORDER BY d LIMIT 5;
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT id, 1 - (v <=> '[1,0]') AS s FROM t ORDER BY s DESC LIMIT 5;
SELECT id, v <=> '[1,0]' AS d FROM t ORDER BY d LIMIT 5;
RESET enable_indexscan;
SET enable_seqscan = off;
DROP TABLE t;

-- reciprocal rank fusion
SELECT rrf_score(1), rrf_score(10), rrf_score(1, 60), rrf_score(rank => 3, rrf_k => 0), rrf_score(NULL), rrf_score(NULL, 60), rrf_score(9223372036854775807, 2147483647);
SELECT rrf_score(0);
SELECT rrf_score(-1, 60);
SELECT rrf_score(1, -1);
SELECT rrf_score(NULL, -1);
SELECT rrf_score(1, NULL);
SELECT pg_typeof(rrf_score(row_number() OVER ()));
CREATE TABLE t (id int PRIMARY KEY, v vector(16), words tsvector);
INSERT INTO t SELECT i, shapes_vec(i, 16), to_tsvector('simple', repeat('needle ', i % 4) || 'hay' || i % 13) FROM generate_series(1, 500) i;
CREATE INDEX ON t USING hnsw (v vector_cosine_ops);
CREATE INDEX ON t USING gin (words);
ANALYZE t;
SELECT (shapes_try($$
	WITH near AS (
		SELECT id, row_number() OVER (ORDER BY d) AS rank
		FROM (SELECT id, v <=> shapes_vec(77, 16) AS d FROM t ORDER BY d LIMIT 20) s
	), words AS (
		SELECT id, row_number() OVER (ORDER BY r DESC, id) AS rank
		FROM (SELECT id, ts_rank_cd(words, query) AS r FROM t, to_tsquery('simple', 'needle & hay1') query WHERE words @@ query ORDER BY r DESC, id LIMIT 20) s
	)
	SELECT id, rrf_score(near.rank) + rrf_score(words.rank) AS score
	FROM near FULL JOIN words USING (id) ORDER BY score DESC, id LIMIT 10 $$)).rows;
DROP TABLE t;

RESET enable_seqscan;
RESET max_parallel_workers_per_gather;
RESET hnsw.ef_search;
DROP FUNCTION shapes_try, shapes_rows, shapes_plan, shapes_q, shapes_vec, shapes_similarity, shapes_opaque;
