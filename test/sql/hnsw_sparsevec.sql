-- hnsw on sparse vectors; what does not depend on the type is in hnsw

-- n elements (about) that are not zero, more of them among the first dimensions
CREATE FUNCTION hnsw_sparse(i int, n int, dim int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS
$$ SELECT format('{%s}/%s', string_agg(at || ':' || x, ','), dim)::sparsevec
   FROM (SELECT 1 + floor((h / 4294967296.0) ^ 2 * dim)::int AS at, (1 + max(h) % 1000) / 1000.0 AS x
      FROM (SELECT ('x' || substr(md5(format('%s %s', i, j)), 1, 8))::bit(32)::int::bigint + 2147483648 AS h
         FROM generate_series(1, n) j) s GROUP BY 1) s $$;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

SET enable_seqscan = off;

-- small, with equal rows, NULLs, zero vectors, and a query of other dimensions
CREATE TABLE t (id int, v sparsevec(10));
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING hnsw (v sparsevec_l2_ops) WITH (quantizer = 'rabitq4');
CREATE INDEX t_l2 ON t USING hnsw (v sparsevec_l2_ops) WITH (quantizer = 'none');
CREATE INDEX t_cosine ON t USING hnsw (v sparsevec_cosine_ops);
SELECT * FROM t ORDER BY v <-> '{1:1}/10' LIMIT 5;
INSERT INTO t VALUES (1, '{1:1,2:2}/10'), (2, '{1:1,2:2}/10'), (3, NULL), (4, '{}/10'), (5, '{10:3}/10');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '{1:1}/10' LIMIT 3;
SELECT v, v <-> '{1:1}/10' AS d FROM t ORDER BY v <-> '{1:1}/10' LIMIT 10;
SELECT v, v <=> '{1:1}/10' AS d FROM t ORDER BY v <=> '{1:1}/10' LIMIT 10;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '{}/10' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> '{}/10' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> NULL LIMIT 10) s;
SELECT id FROM t ORDER BY v <-> '{1:1}/9' LIMIT 1;
INSERT INTO t VALUES (6, '{1:1}/11');
DELETE FROM t WHERE id < 3;
VACUUM t;
SELECT v FROM t ORDER BY v <-> '{1:1}/10' LIMIT 10;
SELECT * FROM vecidx_check('t_l2', true) UNION ALL SELECT * FROM vecidx_check('t_cosine', true);
DROP TABLE t;
CREATE TABLE t (v sparsevec);
CREATE INDEX ON t USING hnsw (v sparsevec_l2_ops);
DROP TABLE t;

-- every operator class, built and inserted, before and after VACUUM
CREATE TABLE m (id int, v sparsevec(300)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_sparse(i, 30, 300) FROM generate_series(1, 500) i;
CREATE INDEX ON m USING hnsw (v sparsevec_l2_ops);
CREATE INDEX ON m USING hnsw (v sparsevec_ip_ops);
CREATE INDEX ON m USING hnsw (v sparsevec_cosine_ops);
CREATE INDEX ON m USING hnsw (v sparsevec_l1_ops);
INSERT INTO m SELECT i, hnsw_sparse(i, 30, 300) FROM generate_series(501, 800) i;
INSERT INTO m VALUES (801, NULL);
DELETE FROM m WHERE id % 10 = 0;
SELECT hnsw_check_all('m', array(SELECT hnsw_sparse(-i, 30, 300)::text FROM generate_series(1, 10) i));
VACUUM m;
INSERT INTO m SELECT i, hnsw_sparse(i, 30, 300) FROM generate_series(1000, 1100) i;
INSERT INTO m SELECT * FROM m WHERE id < 30;
SELECT hnsw_check_all('m', array(SELECT hnsw_sparse(-i, 30, 300)::text FROM generate_series(1, 10) i));
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v <-> hnsw_sparse(-1, 30, 300) LIMIT 5000) s;
DROP TABLE m;

-- what no longer fits memory, and several processes
CREATE TABLE m (id int, v sparsevec(300)) WITH (autovacuum_enabled = off, parallel_workers = 2);
INSERT INTO m SELECT i, hnsw_sparse(i, 100, 300) FROM generate_series(1, 2500) i;
SET hnsw.ef_search = 200;
SET maintenance_work_mem = '1MB';
SET client_min_messages = error;
CREATE INDEX ON m USING hnsw (v sparsevec_l2_ops);
RESET client_min_messages;
RESET maintenance_work_mem;
SELECT hnsw_check_all('m', array(SELECT hnsw_sparse(-i, 30, 300)::text FROM generate_series(1, 10) i));
SET min_parallel_table_scan_size = 0;
REINDEX TABLE m;
RESET min_parallel_table_scan_size;
SELECT hnsw_check_all('m', array(SELECT hnsw_sparse(-i, 30, 300)::text FROM generate_series(1, 10) i));
RESET hnsw.ef_search;
DROP TABLE m;

-- as many dimensions and elements as the type allows
CREATE TABLE m (id int, v sparsevec(1000000000)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, format('{%s}/1000000000', (SELECT string_agg(j * 62500 - i || ':' || i, ',') FROM generate_series(1, 16000) j))::sparsevec FROM generate_series(1, 6) i;
CREATE INDEX m_v ON m USING hnsw (v sparsevec_l2_ops);
INSERT INTO m SELECT i, format('{%s}/1000000000', (SELECT string_agg(j * 62500 - i || ':' || i, ',') FROM generate_series(1, 1000 * i) j))::sparsevec FROM generate_series(7, 12) i;
SELECT id FROM m ORDER BY v <-> (SELECT v FROM m WHERE id = 3) LIMIT 1;
SELECT id FROM m ORDER BY v <-> (SELECT v FROM m WHERE id = 9) LIMIT 1;
DELETE FROM m WHERE id IN (3, 9);
VACUUM m;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM m ORDER BY v <-> '{1:1}/1000000000' LIMIT 50) s;
INSERT INTO m VALUES (20, '{1:1}/1000000000');
SELECT id FROM m ORDER BY v <-> '{1:1}/1000000000' LIMIT 1;
SELECT * FROM vecidx_check('m_v', true);
DROP TABLE m;

-- an index on the sparse form of a table's vectors
CREATE TABLE t (id int, v vector(5));
INSERT INTO t SELECT i, format('[0,%s,0,0,%s]', i % 20, i / 20)::vector FROM generate_series(1, 200) i;
CREATE INDEX ON t USING hnsw ((v::sparsevec(5)) sparsevec_l1_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v::sparsevec(5) <+> '{2:3,5:4}/5' LIMIT 1;
SELECT id FROM t ORDER BY v::sparsevec(5) <+> '{2:3,5:4}/5' LIMIT 1;
DROP TABLE t;

RESET enable_seqscan;
DROP FUNCTION hnsw_check_all, hnsw_recall, hnsw_sparse;
