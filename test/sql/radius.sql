-- WHERE v <-> q < r ORDER BY v <-> q: a scan ends where the bound does, and
-- gives the rows that a sort of the whole table gives

CREATE FUNCTION radius_vec(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1000 ORDER BY j)::vector
   FROM generate_series(1, dim) j $$;

-- what a query costs: pages touched, and rows that the index gave in vain
CREATE FUNCTION radius_cost(query text, OUT pages bigint, OUT removed bigint, OUT cond text) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan -> 0 -> 'Plan';
	pages := (plan ->> 'Shared Hit Blocks')::bigint + (plan ->> 'Shared Read Blocks')::bigint;
	plan := jsonb_path_query_first(plan, 'strict $.** ? (@."Node Type" == "Index Scan" && exists (@."Order By"))');
	removed := coalesce((plan ->> 'Rows Removed by Filter')::bigint, 0);
	cond := plan ->> 'Index Cond';
END $$;

-- the ids that a query gives with the index, without it, and what is different
CREATE FUNCTION radius_ids(query text, with_index bool) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
	seqscan text := current_setting('enable_seqscan');
BEGIN
	PERFORM set_config('enable_seqscan', CASE WHEN with_index THEN 'off' ELSE 'on' END, true),
		set_config('enable_indexscan', with_index::text, true);
	EXECUTE format('SELECT array(SELECT id FROM (%s) s)', query) INTO ids;
	PERFORM set_config('enable_seqscan', seqscan, true), set_config('enable_indexscan', 'on', true);
	RETURN ids;
END $$;

CREATE FUNCTION radius_same(query text, at_least int DEFAULT 0) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	exact int[] := radius_ids(query, false);
	found int[] := radius_ids(query, true);
BEGIN
	IF cardinality(exact) < at_least THEN
		RETURN format('only %s rows', cardinality(exact));
	END IF;
	IF (SELECT array_agg(i ORDER BY i) FROM unnest(exact) i) IS DISTINCT FROM (SELECT array_agg(i ORDER BY i) FROM unnest(found) i) THEN
		RETURN format('%s instead of %s', found, exact);
	END IF;
	RETURN 'same';
END $$;

-- every type, operator and quantizer; bounds between two rows and on one
-- with a search so wide that the graph hides nothing
SET hnsw.ef_search = 400;
SET enable_seqscan = off;
DO $$
DECLARE
	c record;
	d float8[];
	q text;
	r float8;
	form text;
	got text;
BEGIN
	FOR c IN
		SELECT type, opclass, op, quantizer, value FROM (VALUES
			('vector(16)', 'vector_l2_ops', '<->', '{none,rabitq4,sq8}'::text[], 'radius_vec(%s, 16)'),
			('vector(16)', 'vector_ip_ops', '<#>', '{none,rabitq4,sq8}', 'radius_vec(%s, 16)'),
			('vector(16)', 'vector_cosine_ops', '<=>', '{none,rabitq4,sq8}', 'radius_vec(%s, 16)'),
			('vector(16)', 'vector_l1_ops', '<+>', '{none,rabitq4,sq8}', 'radius_vec(%s, 16)'),
			('halfvec(16)', 'halfvec_l2_ops', '<->', '{none,rabitq4}', 'radius_vec(%s, 16)::halfvec(16)'),
			('halfvec(16)', 'halfvec_ip_ops', '<#>', '{none,rabitq4}', 'radius_vec(%s, 16)::halfvec(16)'),
			('halfvec(16)', 'halfvec_cosine_ops', '<=>', '{none,rabitq4}', 'radius_vec(%s, 16)::halfvec(16)'),
			('halfvec(16)', 'halfvec_l1_ops', '<+>', '{none,rabitq4}', 'radius_vec(%s, 16)::halfvec(16)'),
			('sparsevec(16)', 'sparsevec_l2_ops', '<->', '{none}', 'radius_vec(%s, 16)::sparsevec(16)'),
			('sparsevec(16)', 'sparsevec_ip_ops', '<#>', '{none}', 'radius_vec(%s, 16)::sparsevec(16)'),
			('sparsevec(16)', 'sparsevec_cosine_ops', '<=>', '{none}', 'radius_vec(%s, 16)::sparsevec(16)'),
			('sparsevec(16)', 'sparsevec_l1_ops', '<+>', '{none}', 'radius_vec(%s, 16)::sparsevec(16)'),
			('bit(24)', 'bit_hamming_ops', '<~>', '{none}', 'binary_quantize(radius_vec(%s, 24))'),
			('bit(24)', 'bit_jaccard_ops', '<%%>', '{none}', 'binary_quantize(radius_vec(%s, 24))')) o (type, opclass, op, quantizers, value),
			unnest(quantizers) quantizer
	LOOP
		c.op := replace(c.op, '%%', '%');
		EXECUTE format('CREATE TEMP TABLE m (id int, v %s)', c.type);
		EXECUTE format('INSERT INTO m SELECT i, %s FROM generate_series(1, 2000) i', format(c.value, 'i'));
		EXECUTE format('CREATE INDEX ON m USING hnsw (v %s) WITH (quantizer = %L)', c.opclass, c.quantizer);
		FOR i IN 1..2 LOOP
			EXECUTE format('SELECT %s', format(c.value, -i)) INTO q;
			EXECUTE format('SELECT array(SELECT v %1$s %2$L FROM m ORDER BY 1 LIMIT 60)', c.op, q) INTO d;
			FOREACH r IN ARRAY ARRAY[d[5], (d[20] + d[21]) / 2, d[60]] LOOP
				FOREACH form IN ARRAY ARRAY['v %1$s %2$L < %3$L', 'v %1$s %2$L <= %3$L', '%3$L > v %1$s %2$L', '%3$L >= %2$L %1$s v',
											'v %1$s %2$L BETWEEN -1e9 AND %3$L', 'NOT v %1$s %2$L > %3$L',
											'1 - (v %1$s %2$L) >= 1 - %3$L::float8', '-(%2$L %1$s v) > -%3$L::float8', '(v %1$s %2$L) * -1 >= -%3$L::float8', '0.1 - %3$L::float8 <= 0.1 - (v %1$s %2$L)', 'v %1$s %2$L <= %3$L AND id %% 3 > 0'] LOOP
					form := format('SELECT id FROM m WHERE ' || form || ' ORDER BY v %1$s %2$L', c.op, q, r);
					got := radius_same(form);
					IF got <> 'same' THEN
						RAISE '% with % %: %', form, c.opclass, c.quantizer, got;
					END IF;
					IF (radius_cost(form)).cond IS NULL THEN
						RAISE 'no index condition in %', form;
					END IF;
				END LOOP;
			END LOOP;
		END LOOP;
		DROP TABLE m;
	END LOOP;
END $$;

-- ties: rows on the bound are all there, and none is looked at for less than it
CREATE TABLE t (id int, v bit(64));
INSERT INTO t SELECT i, CASE WHEN i <= 5 THEN B'0'::bit(64) WHEN i <= 4000 THEN B'11'::bit(64) ELSE ~ B'0'::bit(64) END FROM generate_series(1, 5000) i;
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
SELECT count(*) FROM (SELECT id FROM t WHERE v <~> B'0'::bit(64) <= 2 ORDER BY v <~> B'0'::bit(64)) s;
SELECT count(*) FROM (SELECT id FROM t WHERE v <~> B'0'::bit(64) < 2 ORDER BY v <~> B'0'::bit(64)) s;
SELECT removed FROM radius_cost('SELECT id FROM t WHERE v <~> B''0''::bit(64) < 2 ORDER BY v <~> B''0''::bit(64)');
DROP TABLE t;

-- the same, each of the tied rows with a node of its own; 2/5 is no float
CREATE TABLE t (id int, v bit(96));
INSERT INTO t SELECT i * 1000 + j, set_bit(set_bit(B'111'::bit(96), 3 + i, 1), 3 + j, 1) FROM generate_series(0, 92) i, generate_series(0, 92) j WHERE i <= j;
CREATE INDEX t_hamming ON t USING hnsw (v bit_hamming_ops);
CREATE INDEX t_jaccard ON t USING hnsw (v bit_jaccard_ops);
SET hnsw.ef_search = 1;
SELECT op AS distance, c.bound, c.removed, count(*) FROM (VALUES ('<~>', 2), ('<%>', 0.4)) o (op, r),
	unnest('{<=,<}'::text[]) compare,
	LATERAL (SELECT format('SELECT id FROM t WHERE v %1$s %2$L %4$s %3$s ORDER BY v %1$s %2$L', op, B'111'::bit(96), r, compare) AS query) s,
	LATERAL (SELECT cond AS bound, removed FROM radius_cost(query)) c,
	LATERAL unnest(radius_ids(query, true)) ids
GROUP BY op, c.bound, c.removed ORDER BY op, c.bound;
DROP TABLE t;

CREATE TABLE t (id int PRIMARY KEY, v vector(16));
INSERT INTO t SELECT i, radius_vec(i, 16) FROM generate_series(1, 5000) i;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'rabitq4');
ANALYZE t;
RESET enable_seqscan;
RESET hnsw.ef_search;

-- the index is taken even without a limit
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> array_fill(0, ARRAY[16])::vector < 1.2 ORDER BY v <-> array_fill(0, ARRAY[16])::vector;

-- it ends: less than what the same query reads whose condition is not understood and tested on each row of the table
SET enable_seqscan = off;
SELECT a.pages < b.pages AS fewer, a.removed, b.removed > 4500 AS all_rows, a.cond, b.cond FROM
	radius_cost('SELECT id FROM t WHERE v <-> array_fill(0, ARRAY[16])::vector < 1.3 ORDER BY v <-> array_fill(0, ARRAY[16])::vector LIMIT 100') a,
	radius_cost('SELECT id FROM t WHERE (v <-> array_fill(0, ARRAY[16])::vector) + 0 < 1.3 ORDER BY v <-> array_fill(0, ARRAY[16])::vector LIMIT 100') b;

-- the query's other forms: what is understood, and what is not
SELECT f.form, c.cond IS NOT NULL AS bounded, CASE WHEN c.cond IS NOT NULL THEN c.removed < 50 END AS ends FROM (VALUES
	('v <-> q < 1.3::real'), ('v <-> q < 2'), ('l2_distance(v, q) < 1.3'), ('l2_distance(q, v) < 1.3'), ('v <-> q <= 0'),
	('v <-> q < 1.3 AND v <-> q < 1.2'), ('v <-> q < 1.3 OR id = 3'), ('v <-> q > 1.3'), ('v <+> q < 1.3'), ('v <-> radius_vec(2, 16) < 1.3'),
	('1 - (v <-> q) > -0.3::real'), ('1 - (v <-> q) < -0.3'), ('(v <-> q) - 1 < -0.3'), ('-(v <-> q) > -1.3'), ('-1 * (v <-> q) > -1.3'), ('-2 * (v <-> q) > -1.3'),
	('v <-> q < random()'), ('v <-> q < id'), ('v <-> q < (SELECT 1.3)'),
	('v <-> q < (SELECT t.id % 2)'), ('v @< 0.5')) f (form),
	radius_cost(replace(format('SELECT id FROM t WHERE %s ORDER BY v <-> q', f.form), 'q', '''[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]''')) c;

-- by themselves the operators say nothing
SELECT count(*) FROM t WHERE v @< 0.5 AND v @<= NULL AND vector_within(v, -1);

-- bounds that are no numbers, that no row meets, or all
SELECT r, a.cond, a.pages < 100 AS at_once, radius_same(query) FROM
	unnest('{NULL,-1,-Infinity,0,1e-300,1e300,Infinity,NaN}'::float8[]) r,
	LATERAL (SELECT format('SELECT id FROM t WHERE v <-> radius_vec(9, 16) <= %s ORDER BY v <-> radius_vec(9, 16)', quote_nullable(r) || '::float8') AS query) s,
	LATERAL radius_cost(query) a;
SELECT count(*) FROM (SELECT id FROM t WHERE v <-> radius_vec(9, 16) < 0 ORDER BY v <-> radius_vec(9, 16)) s;
SELECT count(*) FROM (SELECT id FROM t WHERE v <-> NULL < 1 ORDER BY v <-> NULL) s;

-- parameters: of statements, by plans made for all values and for one
PREPARE p (vector, float8, int) AS SELECT id FROM t WHERE v <-> $1 <= $2 AND id <> $3 ORDER BY v <-> $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p (radius_vec(3, 16), 1.2, 0);
EXECUTE p (radius_vec(3, 16), 1.2, 0);
EXECUTE p (radius_vec(4, 16), 0, 0);
EXECUTE p (radius_vec(4, 16), NULL, 0);
SET plan_cache_mode = force_custom_plan;
EXECUTE p (radius_vec(3, 16), 1.2, 3);
PREPARE s (vector, float8) AS SELECT id FROM t WHERE 1 - (v <-> $1) >= $2 ORDER BY v <-> $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE s (radius_vec(3, 16), -0.4);
EXECUTE s (radius_vec(3, 16), -0.4);
EXECUTE s (radius_vec(3, 16), 'NaN');
EXECUTE s (radius_vec(3, 16), NULL);
DEALLOCATE s;
RESET plan_cache_mode;
DEALLOCATE p;

-- rescans whose bound changes, or whose query does
CREATE TABLE q (id int, v vector(16), r float8);
INSERT INTO q SELECT i, radius_vec(i, 16), CASE WHEN i % 7 > 0 THEN i * 0.03 END FROM generate_series(1, 60) i;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT q.id, s.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < q.r ORDER BY t.v <-> q.v LIMIT 20) s;
SET enable_seqscan = off;
CREATE TEMP TABLE found AS
	SELECT 'both' AS what, q.id, s.id AS t FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < q.r ORDER BY t.v <-> q.v LIMIT 20) s
	UNION ALL
	SELECT 'bound', q.id, s.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> radius_vec(-3, 16) < q.r ORDER BY t.v <-> radius_vec(-3, 16) LIMIT 20) s
	UNION ALL
	SELECT 'query', q.id, s.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < 1.2 ORDER BY t.v <-> q.v LIMIT 20) s
	UNION ALL
	SELECT 'subplan', q.id, s.id FROM q, unnest(ARRAY(SELECT t.id FROM t WHERE q.r > q.v <-> t.v ORDER BY t.v <-> q.v LIMIT 20)) AS s (id);
SET enable_indexscan = off;
SET enable_seqscan = on;
CREATE TEMP TABLE truth AS
	SELECT 'both' AS what, q.id, s.id AS t FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < q.r ORDER BY t.v <-> q.v LIMIT 20) s
	UNION ALL
	SELECT 'bound', q.id, s.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> radius_vec(-3, 16) < q.r ORDER BY t.v <-> radius_vec(-3, 16) LIMIT 20) s
	UNION ALL
	SELECT 'query', q.id, s.id FROM q, LATERAL (SELECT id FROM t WHERE t.v <-> q.v < 1.2 ORDER BY t.v <-> q.v LIMIT 20) s
	UNION ALL
	SELECT 'subplan', q.id, s.id FROM q, unnest(ARRAY(SELECT t.id FROM t WHERE q.r > q.v <-> t.v ORDER BY t.v <-> q.v LIMIT 20)) AS s (id);
RESET enable_indexscan;
SET enable_seqscan = off;
SELECT what, count(*), count(truth.t) AS rows, count(*) FILTER (WHERE truth.t IS NULL OR found.t IS NULL) AS different
FROM truth FULL JOIN found USING (what, id, t) GROUP BY what ORDER BY what;
DROP TABLE found, truth;

-- two scans in one statement, each with a bound of its own
WITH a AS MATERIALIZED (SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.2 ORDER BY v <-> radius_vec(7, 16)),
	b AS MATERIALIZED (SELECT id FROM t WHERE v <-> radius_vec(8, 16) < 0.1 ORDER BY v <-> radius_vec(8, 16))
SELECT (SELECT array_agg(id) FROM a) AS a, (SELECT array_agg(id) FROM b) AS b,
	array(SELECT id FROM t WHERE v <-> radius_vec(9, 16) < 0.1 ORDER BY v <-> radius_vec(9, 16)) AS c;

-- in functions
CREATE FUNCTION radius_sql(q vector, r float8) RETURNS SETOF int LANGUAGE sql STABLE AS
$$ SELECT id FROM t WHERE v <-> q < r ORDER BY v <-> q LIMIT 10 $$;
CREATE FUNCTION radius_pl(q vector, r float8) RETURNS SETOF int LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN QUERY SELECT id FROM t WHERE v <-> q < r ORDER BY v <-> q LIMIT 10; END $$;
SELECT a.pages < 2000, b.pages < 2000 FROM radius_cost('SELECT radius_sql(radius_vec(7, 16), 1.2)') a, radius_cost('SELECT radius_pl(radius_vec(7, 16), 1.2)') b;
SELECT i, array(SELECT radius_sql(radius_vec(i, 16), i * 0.25)), array(SELECT radius_pl(radius_vec(i, 16), i * 0.25)) FROM generate_series(1, 8) i;
DROP FUNCTION radius_sql, radius_pl;

-- cursors, and rows that change under them
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.3 ORDER BY v <-> radius_vec(7, 16);
FETCH 1 FROM c;
INSERT INTO t SELECT 10000 + i, radius_vec(7, 16) FROM generate_series(1, 20) i;
FETCH 2 FROM c;
MOVE ALL IN c;
FETCH 1 FROM c;
CLOSE c;
ROLLBACK;
BEGIN;
SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.4 ORDER BY v <-> radius_vec(7, 16) FOR UPDATE;
ROLLBACK;

-- how scans go on: more rows within the bound than a search finds
SET hnsw.ef_search = 10;
SELECT mode, set_config('hnsw.iterative_scan', mode, false) = mode AS set, cardinality(radius_ids(query, true)) AS rows,
	cardinality(radius_ids(query, true)) > 0.97 * cardinality(radius_ids(query, false)) AS nearly_all
FROM unnest('{strict_order,relaxed_order}'::text[]) mode,
	LATERAL (SELECT 'SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 2.5 ORDER BY v <-> radius_vec(7, 16)' AS query) s;
SET hnsw.iterative_scan = off;
SELECT count(*) < 400 AS as_far_as_found FROM (SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 2.5 ORDER BY v <-> radius_vec(7, 16)) s;
RESET hnsw.iterative_scan;
-- memory for little: passes over the codes end as well
SET work_mem = '64kB';
SELECT cardinality(radius_ids(query, true)) AS rows, radius_same(query) FROM
	(SELECT 'SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 2.8 ORDER BY v <-> radius_vec(7, 16)' AS query) s;
RESET work_mem;
RESET hnsw.ef_search;

-- row security
CREATE ROLE radius_reader;
GRANT SELECT ON t TO radius_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON t USING (id % 2 = 0);
SET ROLE radius_reader;
SELECT (radius_cost('SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.3 ORDER BY v <-> radius_vec(7, 16)')).cond IS NOT NULL AS bounded;
SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.3 ORDER BY v <-> radius_vec(7, 16);
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
SELECT id FROM t WHERE v <-> radius_vec(7, 16) < 1.3 AND id % 2 = 0 ORDER BY v <-> radius_vec(7, 16);
DROP POLICY even ON t;
DROP OWNED BY radius_reader;
DROP ROLE radius_reader;
DROP TABLE t, q;

-- partitions: each scan has the bound
CREATE TABLE t (id int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (1000);
CREATE TABLE t2 (v vector(16), id int);
ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (1000) TO (10000);
INSERT INTO t SELECT i, radius_vec(i, 16) FROM generate_series(1, 3000) i;
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]' < 1.5 ORDER BY v <-> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]';
SELECT radius_same('SELECT id FROM t WHERE v <-> ''[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]'' < 1.6 ORDER BY v <-> ''[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]''', 5);
DROP TABLE t;

-- partial and expression indexes
CREATE TABLE t (id int, a float8[]);
INSERT INTO t SELECT i, radius_vec(i, 16)::float4[]::float8[] FROM generate_series(1, 3000) i;
CREATE INDEX ON t USING hnsw ((a::vector(16)) vector_l2_ops) WHERE id > 1000;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id > 1000 AND a::vector(16) <-> radius_vec(7, 16) < 2.2 ORDER BY a::vector(16) <-> radius_vec(7, 16);
SET hnsw.ef_search = 400;
SELECT radius_same('SELECT id FROM t WHERE id > 1000 AND a::vector(16) <-> radius_vec(7, 16) < 2.2 ORDER BY a::vector(16) <-> radius_vec(7, 16)', 5);
RESET hnsw.ef_search;
DROP TABLE t;

-- cosine: no vector is at a distance from zero
CREATE TABLE t (id int, v vector(3));
INSERT INTO t VALUES (1, '[1,0,0]'), (2, '[0,0,0]'), (3, '[0,1,0]'), (4, '[2,0,0]');
CREATE INDEX ON t USING hnsw (v vector_cosine_ops);
SELECT id FROM t WHERE v <=> '[0,0,0]' < 3 ORDER BY v <=> '[0,0,0]';
SELECT id FROM t WHERE v <=> '[1,0,0]' <= 0 ORDER BY v <=> '[1,0,0]';
DROP TABLE t;

RESET enable_seqscan;
DROP FUNCTION radius_cost, radius_same, radius_ids, radius_vec;
