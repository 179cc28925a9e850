-- the ivfpq access method: options, codes, results in exact order

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/ivf_vectors.sql'
\i :include
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

SET enable_seqscan = off;

-- options
CREATE TABLE t (id int, v vector(8), h halfvec(8), b bit(8));
CREATE INDEX ON t USING ivfpq (v);
CREATE INDEX ON t USING ivfpq (v vector_l1_ops);
CREATE INDEX ON t USING ivfpq (b bit_hamming_ops);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (lists = 0);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (quantizer = 'zip');
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (bits = 3);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (bits = 9);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (m = 4);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (quantizer = 'pq', bits = 1);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (quantizer = 'pq', m = 9);
CREATE INDEX ON t USING ivfpq (v vector_l2_ops) WITH (quantizer = 'pq', m = 16001);
DROP TABLE t;
CREATE TABLE wide (v vector(16000));
CREATE INDEX ON wide USING ivfpq (v vector_l2_ops) WITH (bits = 8);
CREATE INDEX ON wide USING ivfpq (v vector_l2_ops) WITH (quantizer = 'pq', m = 16000, bits = 8);
CREATE INDEX ON wide USING ivfpq (v vector_l2_ops);
CREATE INDEX ON wide USING ivfpq (v vector_cosine_ops) WITH (quantizer = 'pq');
DROP TABLE wide;

-- settings
SHOW ivfpq.probes;
SHOW ivfpq.iterative_scan;
SHOW ivfpq.max_probes;
SHOW ivfpq.rerank;
SET ivfpq.probes = 32769;
SET ivfpq.max_probes = 0;
SET ivfpq.nonsense = 1;

-- operator classes
SELECT opcname, opcdefault, amvalidate(oid) FROM pg_opclass
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'ivfpq') AND opcname ~ 'vec|bit' ORDER BY 1;

CREATE TABLE src AS SELECT i, ivf_vec(i, 50) AS v FROM generate_series(-20, 1000) i;

-- every metric and code, built and inserted, against a sort
DO $$
DECLARE
	c record;
	r float8;
	rows text;
BEGIN
	FOR c IN SELECT * FROM (VALUES ('vector', 'l2', '<->'), ('vector', 'ip', '<#>'), ('vector', 'cosine', '<=>'), ('halfvec', 'l2', '<->')) o (type, metric, op),
						   (VALUES ('bits = 1'), ('bits = 4'), ('bits = 8'), ('quantizer = pq, bits = 4'), ('quantizer = pq, bits = 8'), ('quantizer = pq, m = 5')) z (options),
						   (VALUES (7), (50)) d (dim)
		WHERE CASE o.type WHEN 'vector' THEN d.dim = 50 OR o.metric = 'l2' ELSE d.dim = 50 AND z.options LIKE '%4' END
	LOOP
		EXECUTE format('CREATE TEMP TABLE m (id int, v %s(%s))', c.type, c.dim);
		EXECUTE format('INSERT INTO m SELECT i, subvector(v, 1, %s) FROM src WHERE i BETWEEN 1 AND 600', c.dim);
		EXECUTE format('CREATE INDEX ON m USING ivfpq (v %s_%s_ops) WITH (lists = 20, %s)', c.type, c.metric, c.options);
		EXECUTE format('INSERT INTO m SELECT i, subvector(v, 1, %s) FROM src WHERE i > 600', c.dim);
		DELETE FROM m WHERE id % 10 = 0;
		PERFORM set_config('ivfpq.probes', '12', true);
		EXECUTE format('SELECT avg(hnsw_recall(''m'', %L, subvector(v, 1, %s)::text, 10)) FROM src WHERE i < -10', c.op, c.dim) INTO r;
		IF r < 0.85 THEN
			RAISE 'recall % with % % %', r, c.metric, c.options, c.dim;
		END IF;
		EXECUTE format('SELECT count(*) || '' '' || count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v %s (SELECT subvector(v, 1, %s) FROM src WHERE i = -1) LIMIT 5000) s', c.op, c.dim) INTO rows;
		IF rows <> '900 900' THEN
			RAISE '% rows with % % %', rows, c.metric, c.options, c.dim;
		END IF;
		DROP TABLE m;
	END LOOP;
END $$;
DROP TABLE src;

-- order by exact distances, or by those that the codes tell
CREATE TABLE t (id int PRIMARY KEY, v vector(40));
INSERT INTO t SELECT i, ivf_vec(i, 40) FROM generate_series(1, 3000) i;
CREATE INDEX t_v ON t USING ivfpq (v vector_l2_ops) WITH (bits = 1);
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 40)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
SET ivfpq.rerank = off;
CREATE FUNCTION out_of_order(q vector) RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM (SELECT d < lag(d) OVER () AS late FROM (SELECT v <-> q AS d FROM t ORDER BY v <-> q LIMIT 50) s) x WHERE late $$;
SELECT sum(out_of_order(ivf_vec(-i, 40))) > 0 AS estimates FROM generate_series(1, 5) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40)) s;
RESET ivfpq.rerank;
SELECT sum(out_of_order(ivf_vec(-i, 40))) AS exact FROM generate_series(1, 5) i;

-- more rows than the first lists have, conditions, limits on the scan
SET ivfpq.probes = 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 500 = 7 ORDER BY v <-> ivf_vec(-3, 40) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id = 1234 ORDER BY v <-> ivf_vec(-3, 40) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id < 0 ORDER BY v <-> ivf_vec(-3, 40) LIMIT 10) s;
SET ivfpq.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
RESET work_mem;
SET ivfpq.iterative_scan = off;
SELECT count(*) BETWEEN 1 AND 1500 AS few FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
RESET ivfpq.iterative_scan;
SET ivfpq.max_probes = 3;
SELECT count(*) BETWEEN 1 AND 2000 AS few FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
RESET ivfpq.max_probes;
RESET ivfpq.probes;
-- rescans
SELECT q, (SELECT id FROM t ORDER BY v <-> ivf_vec(q * 50, 40) LIMIT 1) FROM generate_series(1, 4) q;
-- no distance: any order
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector)) s;
-- updates and deletes
UPDATE t SET v = ivf_vec(id + 5000, 40) WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
VACUUM t;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 40) LIMIT 4000) s;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 40)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
INSERT INTO t SELECT i, ivf_vec(i, 40) FROM generate_series(3001, 4000) i;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 40)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
SELECT * FROM vecidx_check('t_v', true);
REINDEX INDEX CONCURRENTLY t_v;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 40)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
DROP FUNCTION out_of_order;
DROP TABLE t;

-- an index made on an empty table; bits that product quantisation has not learned from
CREATE TABLE t (id int, v vector(24));
CREATE INDEX t_v ON t USING ivfpq (v vector_cosine_ops);
CREATE INDEX t_pq ON t USING ivfpq (v vector_l2_ops) WITH (quantizer = 'pq');
SELECT id FROM t ORDER BY v <=> ivf_vec(1, 24) LIMIT 3;
INSERT INTO t SELECT i, ivf_vec(i, 24) FROM generate_series(1, 2000) i;
SELECT avg(hnsw_recall('t', '<=>', ivf_vec(-i, 24)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 24)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <=> ivf_vec(-3, 24)) s;
VACUUM t;
SELECT * FROM vecidx_check('t_v', true);
SELECT * FROM vecidx_check('t_pq', true);
DROP TABLE t;

-- wide vectors: centroids are what their codes say, also of lists that learn, are split and get rows later
CREATE TABLE t (id int, v vector(300));
CREATE INDEX t_v ON t USING ivfpq (v vector_cosine_ops);
CREATE INDEX t_ip ON t USING ivfpq (v vector_ip_ops) WITH (bits = 1);
INSERT INTO t SELECT i, ivf_vec(i, 300) FROM generate_series(1, 1500) i;
SELECT avg(hnsw_recall('t', '<=>', ivf_vec(-i, 300)::text, 10)) > 0.9 AS good FROM generate_series(1, 10) i;
SELECT avg(hnsw_recall('t', '<#>', ivf_vec(-i, 300)::text, 10)) > 0.9 AS good FROM generate_series(1, 10) i;
REINDEX TABLE t;
INSERT INTO t SELECT i, ivf_vec(i, 300) FROM generate_series(1501, 1600) i;
SELECT avg(hnsw_recall('t', '<=>', ivf_vec(-i, 300)::text, 10)) > 0.9 AS good FROM generate_series(1, 10) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <=> ivf_vec(-3, 300)) s;
SELECT * FROM vecidx_check('t_v', true);
SELECT * FROM vecidx_check('t_ip', true);
DROP TABLE t;

-- rows that are TOASTed; indexes on expressions, of temporary and partitioned tables
CREATE TEMP TABLE t (id int, raw real[], v vector(600));
ALTER TABLE t ALTER v SET STORAGE EXTERNAL, ALTER raw SET STORAGE EXTERNAL;
INSERT INTO t SELECT i, ivf_vec(i, 600)::real[], ivf_vec(i, 600) FROM generate_series(1, 300) i;
CREATE INDEX t_v ON t USING ivfpq (v vector_ip_ops);
CREATE INDEX t_raw ON t USING ivfpq ((raw::vector(600)) vector_l2_ops) WITH (bits = 1) WHERE id % 2 = 1;
SELECT avg(hnsw_recall('t', '<#>', ivf_vec(-i, 600)::text, 10)) > 0.9 AS good FROM generate_series(1, 5) i;
SELECT id FROM t WHERE id % 2 = 1 ORDER BY raw::vector(600) <-> ivf_vec(77, 600) LIMIT 1;
DROP TABLE t;
CREATE TABLE p (id int, v halfvec(16)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (301);
CREATE UNLOGGED TABLE p2 PARTITION OF p FOR VALUES FROM (301) TO (1001);
INSERT INTO p SELECT i, ivf_vec(i, 16)::halfvec(16) FROM generate_series(1, 700) i;
CREATE INDEX ON p USING ivfpq (v halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM p ORDER BY v <-> '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]' LIMIT 3;
SELECT id FROM p ORDER BY v <-> ivf_vec(123, 16)::halfvec(16) LIMIT 1;
SELECT id FROM p ORDER BY v <-> ivf_vec(456, 16)::halfvec(16) LIMIT 1;
DROP TABLE p;

DROP FUNCTION ivf_vec;
DROP FUNCTION ivf_noise, hnsw_recall, hnsw_check_all;
