-- hnsw on bit strings; what does not depend on the type is in hnsw

-- near one of seven patterns, so that distances differ
CREATE FUNCTION hnsw_bits(i int, n int) RETURNS varbit LANGUAGE sql IMMUTABLE AS
$$ SELECT substring(string_agg((('x' || md5(format('%s %s', i % 7, j)))::bit(128) & ('x' || md5(format('%s-%s', i, j)))::bit(128))::text, '' ORDER BY j) FOR n)::varbit
   FROM generate_series(0, (n - 1) / 128) j $$;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

SET enable_seqscan = off;

-- small, with equal rows, NULLs, no bits at all, and a query of another length
CREATE TABLE t (id int, v bit(9));
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING hnsw (v bit_hamming_ops) WITH (quantizer = 'sq8');
CREATE INDEX ON t USING hnsw ((v::varbit) bit_hamming_ops);
CREATE INDEX ON t USING hnsw ((v::varbit(9)) bit_hamming_ops);
CREATE INDEX t_h ON t USING hnsw (v bit_hamming_ops) WITH (quantizer = 'none');
CREATE INDEX t_j ON t USING hnsw (v bit_jaccard_ops);
SELECT * FROM t ORDER BY v <~> B'000000001' LIMIT 5;
INSERT INTO t VALUES (1, B'000000001'), (2, B'000000001'), (3, NULL), (4, B'000000000'), (5, B'111111111'), (6, B'100000001');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <~> B'000000001' LIMIT 3;
SELECT v, v <~> B'000000001' AS d FROM t ORDER BY v <~> B'000000001' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <%> B'000000001' LIMIT 3;
SELECT v, v <%> B'000000001' AS d FROM t WHERE v IS NOT NULL ORDER BY v <%> B'000000001', v LIMIT 10;
SELECT v FROM t WHERE v IS NOT NULL ORDER BY v <%> B'000000000', v LIMIT 10;
SELECT id FROM t ORDER BY v <~> B'01' LIMIT 1;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <~> NULL LIMIT 10) s;
DELETE FROM t WHERE v = B'000000001';
VACUUM t;
SELECT v FROM t ORDER BY v <~> B'000000001' LIMIT 10;
SELECT * FROM vecidx_check('t_h', true) UNION ALL SELECT * FROM vecidx_check('t_j', true);
DROP TABLE t;

-- every operator class, built and inserted, before and after VACUUM
CREATE TABLE m (id int, v bit(200)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_bits(i, 200) FROM generate_series(1, 500) i;
CREATE INDEX ON m USING hnsw (v bit_hamming_ops);
CREATE INDEX ON m USING hnsw (v bit_jaccard_ops);
SET hnsw.ef_search = 100;
INSERT INTO m SELECT i, hnsw_bits(i, 200) FROM generate_series(501, 800) i;
INSERT INTO m VALUES (801, NULL);
DELETE FROM m WHERE id % 10 = 0;
SELECT hnsw_check_all('m', array(SELECT hnsw_bits(-i, 200)::text FROM generate_series(1, 10) i));
VACUUM m;
INSERT INTO m SELECT i, hnsw_bits(i, 200) FROM generate_series(1000, 1100) i;
SELECT hnsw_check_all('m', array(SELECT hnsw_bits(-i, 200)::text FROM generate_series(1, 10) i));
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v <~> hnsw_bits(-1, 200)::bit(200) LIMIT 5000) s;

RESET hnsw.ef_search;

-- what applications do: bits of vectors, then their own distances
CREATE TABLE t (id int, v vector(100));
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * j) ORDER BY j) FROM generate_series(1, 100) j)::vector(100) FROM generate_series(1, 400) i;
CREATE INDEX ON t USING hnsw ((binary_quantize(v)::bit(100)) bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY binary_quantize(v)::bit(100) <~> B'01' LIMIT 20;
SELECT id FROM (SELECT * FROM t ORDER BY binary_quantize(v)::bit(100) <~> binary_quantize((SELECT v FROM t WHERE id = 7)) LIMIT 20) s
ORDER BY v <=> (SELECT v FROM t WHERE id = 7) LIMIT 1;
DROP TABLE t;

-- on a page (64,832 bits) and beyond: records in parts
DROP TABLE m;
CREATE TABLE m (id int, v bit(64832)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_bits(i, 64832)::bit(64832) FROM generate_series(1, 10) i;
CREATE INDEX m_v ON m USING hnsw (v bit_hamming_ops);
INSERT INTO m SELECT i, hnsw_bits(i, 64832)::bit(64832) FROM generate_series(11, 15) i;
SELECT id FROM m ORDER BY v <~> hnsw_bits(5, 64832)::bit(64832) LIMIT 1;
SELECT id FROM m ORDER BY v <~> hnsw_bits(15, 64832)::bit(64832) LIMIT 1;
SELECT * FROM vecidx_check('m_v', true);
DROP TABLE m;
CREATE TABLE m (id int, v bit(150001)) WITH (autovacuum_enabled = off);
INSERT INTO m SELECT i, hnsw_bits(i, 150001)::bit(150001) FROM generate_series(1, 10) i;
CREATE INDEX m_v ON m USING hnsw (v bit_hamming_ops);
CREATE INDEX m_j ON m USING hnsw (v bit_jaccard_ops);
INSERT INTO m SELECT i, hnsw_bits(i, 150001)::bit(150001) FROM generate_series(11, 15) i;
INSERT INTO m SELECT * FROM m;
SELECT id, count(*) FROM (SELECT id FROM m ORDER BY v <~> hnsw_bits(5, 150001)::bit(150001) LIMIT 2) s GROUP BY id;
SELECT id, count(*) FROM (SELECT id FROM m ORDER BY v <%> hnsw_bits(15, 150001)::bit(150001) LIMIT 2) s GROUP BY id;
DELETE FROM m WHERE id = 5;
VACUUM m;
SELECT count(*), count(id = 5 OR NULL) FROM (SELECT id FROM m ORDER BY v <~> hnsw_bits(5, 150001)::bit(150001) LIMIT 50) s;
INSERT INTO m SELECT i, hnsw_bits(i, 150001)::bit(150001) FROM generate_series(21, 25) i;
SELECT indexrelid::regclass, problem FROM pg_index, vecidx_check(indexrelid, true) WHERE indrelid = 'm'::regclass;
DROP TABLE m;
CREATE TABLE m (v bit(1000001));
CREATE INDEX ON m USING hnsw (v bit_hamming_ops);
DROP TABLE m;

RESET enable_seqscan;
DROP FUNCTION hnsw_check_all, hnsw_recall, hnsw_bits;
