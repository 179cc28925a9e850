-- hnsw on halfvec; what does not depend on the type is in hnsw

-- deterministic pseudo-random values that a half holds exactly
CREATE FUNCTION hnsw_half(i int, dim int) RETURNS halfvec LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1024 ORDER BY j)::halfvec
   FROM generate_series(1, dim) j $$;

-- whether an index scan gives the k nearest distances that a sort gives, in order
CREATE FUNCTION hnsw_recall(tab text, op text, q halfvec, k int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	found float8[];
	exact float8[];
	line text;
	plan text := '';
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	FOR line IN EXECUTE format('EXPLAIN SELECT v FROM %s ORDER BY v %s %L LIMIT %s', tab, op, q, k) LOOP
		plan := plan || line;
	END LOOP;
	IF plan NOT LIKE '%Index Scan using%' THEN
		RAISE 'no index scan: %', plan;
	END IF;
	EXECUTE format('SELECT array(SELECT v %2$s %3$L FROM %1$s ORDER BY v %2$s %3$L LIMIT %4$s)', tab, op, q, k) INTO found;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
	EXECUTE format('SELECT array(SELECT v %2$s %3$L FROM %1$s WHERE v IS NOT NULL ORDER BY 1 LIMIT %4$s)', tab, op, q, k) INTO exact;
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	IF found <> (SELECT array_agg(d ORDER BY d) FROM unnest(found) d) THEN
		RAISE 'not in order: %', found;
	END IF;
	IF cardinality(found) <> cardinality(exact) THEN
		RAISE '% rows instead of %', cardinality(found), cardinality(exact);
	END IF;
	RETURN (SELECT count(*) FROM unnest(found) d WHERE d <= exact[cardinality(exact)])::float8 / cardinality(exact);
END $$;

SET enable_seqscan = off;

-- small, with equal rows, NULLs, and a query of another length
CREATE TABLE t (id int, v halfvec(3));
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_v ON t USING hnsw (v halfvec_l2_ops);
SELECT * FROM t ORDER BY v <-> '[1,2,3]' LIMIT 5;
INSERT INTO t VALUES (1, '[1,2,3]'), (2, '[1,2,3]'), (3, NULL), (4, '[3,3,3]'), (5, '[0,0,0]');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT v, v <-> '[1,2,3]' AS d FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10;
SELECT id FROM t ORDER BY v <-> '[3,3,2]'::vector LIMIT 1;
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> NULL LIMIT 10) s;
DELETE FROM t;
VACUUM t;
INSERT INTO t VALUES (6, '[9,9,9]');
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10;
SELECT * FROM vecidx_check('t_v', true);
DROP TABLE t;
CREATE TABLE t (v halfvec);
CREATE INDEX ON t USING hnsw (v halfvec_l2_ops);
DROP TABLE t;

-- cosine: zero vectors are left to other plans
CREATE TABLE t (id int, v halfvec(3));
INSERT INTO t VALUES (1, '[1,0,0]'), (2, '[0,0,0]'), (3, '[0,1,0]'), (4, '[2,0,0]');
CREATE INDEX t_v ON t USING hnsw (v halfvec_cosine_ops);
INSERT INTO t VALUES (5, '[0,0,0]'), (6, '[-1,0,0]'), (7, '[5.9604645e-8,0,0]');
SELECT round((v <=> '[1,0.125,0]')::numeric, 4), count(*) FROM (SELECT v FROM t ORDER BY v <=> '[1,0.125,0]' LIMIT 10) s GROUP BY 1 ORDER BY 1;
SELECT * FROM vecidx_check('t_v', true);
DROP TABLE t;

-- every metric and quantizer, built and inserted, before and after VACUUM
CREATE TABLE m (id int, v halfvec(40)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_half(i, 40) FROM generate_series(1, 500) i;
SELECT format('CREATE INDEX m_%s_%s ON m USING hnsw (v halfvec_%s_ops) WITH (quantizer = %L)', metric, quantizer, metric, quantizer)
FROM unnest(ARRAY['l2', 'ip', 'cosine', 'l1']) metric, unnest(ARRAY['none', 'rabitq4', 'sq8']) quantizer \gexec
INSERT INTO m SELECT i, hnsw_half(i, 40) FROM generate_series(501, 800) i;
INSERT INTO m VALUES (801, NULL);
DELETE FROM m WHERE id % 10 = 0;
CREATE FUNCTION check_all() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	r float8;
BEGIN
	FOR c IN SELECT relname, substring(pg_get_indexdef(indexrelid) FROM 'halfvec_(\w+)_ops') AS metric
		FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 'm'::regclass
	LOOP
		-- the others out of the way
		UPDATE pg_index SET indisvalid = indexrelid = c.relname::regclass WHERE indrelid = 'm'::regclass;
		SELECT avg(hnsw_recall('m', CASE c.metric WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' WHEN 'cosine' THEN '<=>' ELSE '<+>' END,
			hnsw_half(-i, 40), 10)) INTO r FROM generate_series(1, 10) i;
		IF r < 0.9 THEN
			RETURN format('recall %s with %s', r, c.relname);
		END IF;
		IF EXISTS (SELECT FROM vecidx_check(c.relname::regclass, true)) THEN
			RETURN format('%s is damaged', c.relname);
		END IF;
		UPDATE pg_index SET indisvalid = true WHERE indrelid = 'm'::regclass;
	END LOOP;
	RETURN 'good';
END $$;
SELECT check_all();
VACUUM m;
INSERT INTO m SELECT i, hnsw_half(i, 40) FROM generate_series(1000, 1100) i;
SELECT check_all();
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v <-> hnsw_half(-1, 40) LIMIT 5000) s;
DROP FUNCTION check_all();
DROP TABLE m;

-- as wide as the type allows, where the code fits a page
CREATE TABLE wide (id int, v halfvec(16000)) WITH (autovacuum_enabled = off);
CREATE INDEX ON wide USING hnsw (v halfvec_l2_ops) WITH (quantizer = 'none');
INSERT INTO wide SELECT i, hnsw_half(i, 16000) FROM generate_series(1, 12) i;
CREATE INDEX wide_v ON wide USING hnsw (v halfvec_l2_ops);
INSERT INTO wide SELECT i, hnsw_half(i, 16000) FROM generate_series(13, 20) i;
SELECT id FROM wide ORDER BY v <-> hnsw_half(5, 16000) LIMIT 1;
SELECT id FROM wide ORDER BY v <-> hnsw_half(15, 16000) LIMIT 1;
DELETE FROM wide WHERE id = 15;
VACUUM wide;
SELECT count(*), count(id = 15 OR NULL) FROM (SELECT id FROM wide ORDER BY v <-> hnsw_half(15, 16000) LIMIT 30) s;
SELECT hnsw_recall('wide', '<->', hnsw_half(-3, 16000), 5) AS recall;
SELECT * FROM vecidx_check('wide_v', true);
DROP TABLE wide;

-- the ends of the range: no overflow among floats, no row lost
CREATE TABLE t (id int, v halfvec(40));
INSERT INTO t SELECT i, array_fill(CASE WHEN i % 2 = 0 THEN 65504 ELSE -65504 END, ARRAY[40])::halfvec FROM generate_series(1, 10) i;
INSERT INTO t SELECT i, array_fill(i * 6e-8, ARRAY[40])::halfvec FROM generate_series(11, 20) i;
CREATE INDEX ON t USING hnsw (v halfvec_l2_ops) WITH (quantizer = 'rabitq4');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_half(1, 40) LIMIT 100) s;
DROP TABLE t;

-- half the memory for the table's vectors: an index on their cast
CREATE TABLE t (id int, v vector(20));
INSERT INTO t SELECT i, hnsw_half(i, 20) FROM generate_series(1, 300) i;
CREATE INDEX t_v ON t USING hnsw ((v::halfvec(20)) halfvec_cosine_ops);
INSERT INTO t SELECT i, hnsw_half(i, 20) FROM generate_series(301, 400) i;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v::halfvec(20) <=> hnsw_half(7, 20) LIMIT 1;
SELECT id FROM t ORDER BY v::halfvec(20) <=> hnsw_half(7, 20) LIMIT 1;
SELECT id FROM t ORDER BY v::halfvec(20) <=> hnsw_half(333, 20) LIMIT 1;
-- or of a part of them, with a slice as good as subvector
CREATE INDEX t_part ON t USING hnsw ((v[1:8]::halfvec(8)) halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v[1:8]::halfvec(8) <-> hnsw_half(7, 8) LIMIT 1;
SELECT id FROM t ORDER BY v[1:8]::halfvec(8) <-> hnsw_half(7, 8) LIMIT 1;
DROP TABLE t;

RESET enable_seqscan;
DROP FUNCTION hnsw_recall(text, text, halfvec, int);
DROP FUNCTION hnsw_half(int, int);
