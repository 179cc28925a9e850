-- hnsw on halfvec; what does not depend on the type is in hnsw

-- deterministic pseudo-random values that a half holds exactly
CREATE FUNCTION hnsw_half(i int, dim int) RETURNS halfvec LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1024 ORDER BY j)::halfvec
   FROM generate_series(1, dim) j $$;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

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
SELECT hnsw_check_all('m', array(SELECT hnsw_half(-i, 40)::text FROM generate_series(1, 10) i));
VACUUM m;
INSERT INTO m SELECT i, hnsw_half(i, 40) FROM generate_series(1000, 1100) i;
SELECT hnsw_check_all('m', array(SELECT hnsw_half(-i, 40)::text FROM generate_series(1, 10) i));
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v <-> hnsw_half(-1, 40) LIMIT 5000) s;
DROP TABLE m;

-- as wide as the type allows: codes on their page, and records that need several
CREATE TABLE m (id int, v halfvec(16000)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_half(i, 16000) FROM generate_series(1, 12) i;
CREATE INDEX ON m USING hnsw (v halfvec_l2_ops);
CREATE INDEX ON m USING hnsw (v halfvec_cosine_ops) WITH (quantizer = 'none');
CREATE INDEX ON m USING hnsw (v halfvec_ip_ops) WITH (quantizer = 'sq8');
INSERT INTO m SELECT i, hnsw_half(i, 16000) FROM generate_series(13, 20) i;
SELECT id FROM m ORDER BY v <-> hnsw_half(5, 16000) LIMIT 1;
SELECT id FROM m ORDER BY v <=> hnsw_half(5, 16000) LIMIT 1;
SELECT id FROM m ORDER BY v <-> hnsw_half(15, 16000) LIMIT 1;
SELECT id FROM m ORDER BY v <=> hnsw_half(15, 16000) LIMIT 1;
DELETE FROM m WHERE id = 15;
VACUUM m;
SELECT count(*), count(id = 15 OR NULL) FROM (SELECT id FROM m ORDER BY v <-> hnsw_half(15, 16000) LIMIT 30) s;
SELECT count(*), count(id = 15 OR NULL) FROM (SELECT id FROM m ORDER BY v <=> hnsw_half(15, 16000) LIMIT 30) s;
INSERT INTO m SELECT i, hnsw_half(i, 16000) FROM generate_series(21, 22) i;
SELECT hnsw_recall('m', '<->', hnsw_half(-3, 16000)::text, 5) AS l2, hnsw_recall('m', '<=>', hnsw_half(-3, 16000)::text, 5) AS cosine,
	hnsw_recall('m', '<#>', hnsw_half(-3, 16000)::text, 5) AS ip;
SELECT indexrelid::regclass, problem FROM pg_index, vecidx_check(indexrelid, true) WHERE indrelid = 'm'::regclass;
DROP TABLE m;

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
DROP FUNCTION hnsw_check_all, hnsw_recall;
DROP FUNCTION hnsw_half(int, int);
