-- the ivfflat access method: options, plans, results, kinds of tables

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/ivf_vectors.sql'
\i :include
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

SET enable_seqscan = off;

-- options
CREATE TABLE t (id int, v vector(3));
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 0);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 32769);
CREATE INDEX ON t USING ivfflat (v) WITH (m = 8);
CREATE INDEX ON t USING ivfflat (id vector_l2_ops);
CREATE INDEX ON t USING ivfflat (v, v);
CREATE UNIQUE INDEX ON t USING ivfflat (v);
CREATE INDEX ON t USING ivfflat (v) INCLUDE (id);
CREATE TABLE nodim (v vector);
CREATE INDEX ON nodim USING ivfflat (v);
CREATE TABLE wide (v vector(3000), h halfvec(4100), b bit(64001));
CREATE INDEX ON wide USING ivfflat (v vector_l1_ops);
CREATE INDEX ON wide USING ivfflat (h halfvec_l1_ops);
CREATE INDEX ON wide USING ivfflat (b bit_hamming_ops);
CREATE INDEX ON wide USING ivfflat (v);
CREATE INDEX ON wide USING ivfflat (h halfvec_cosine_ops);
DROP TABLE nodim, wide;

-- settings
SHOW ivfflat.probes;
SHOW ivfflat.iterative_scan;
SHOW ivfflat.max_probes;
SET ivfflat.probes = 32769;
SET ivfflat.iterative_scan = 'on';
SET ivfflat.max_probes = 0;
SET ivfflat.nonsense = 1;

-- operator classes
SELECT opcname, opcdefault, amvalidate(oid) FROM pg_opclass
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'ivfflat') AND opcname ~ 'vec|bit' ORDER BY 1;

-- few rows
\set am ivfflat
\set include :srcdir '/include/few_rows.sql'
\i :include

CREATE TABLE src AS SELECT i, ivf_vec(i, 48) AS v FROM generate_series(-20, 1000) i;

-- every metric of every type, built and inserted, against a sort
DO $$
DECLARE
	c record;
	r float8;
	rows text;
	column_type text;
	value text;
BEGIN
	FOR c IN SELECT * FROM (VALUES ('vector', 'l2', '<->'), ('vector', 'ip', '<#>'), ('vector', 'cosine', '<=>'), ('vector', 'l1', '<+>'),
							('halfvec', 'l2', '<->'), ('halfvec', 'ip', '<#>'), ('halfvec', 'cosine', '<=>'), ('halfvec', 'l1', '<+>'),
							('bit', 'hamming', '<~>'), ('bit', 'jaccard', '<%>')) o (type, metric, op), (VALUES (7), (48)) d (dim)
	LOOP
		column_type := format('%s(%s)', c.type, c.dim);
		value := format(CASE c.type WHEN 'bit' THEN 'binary_quantize(subvector(v, 1, %s))' ELSE 'subvector(v, 1, %s)' END || '::%s', c.dim, column_type);
		EXECUTE format('CREATE TEMP TABLE m (id int, v %s)', column_type);
		EXECUTE format('INSERT INTO m SELECT i, %s FROM src WHERE i BETWEEN 1 AND 600', value);
		EXECUTE format('CREATE INDEX ON m USING ivfflat (v %s_%s_ops) WITH (lists = 20)', c.type, c.metric);
		EXECUTE format('INSERT INTO m SELECT i, %s FROM src WHERE i > 600', value);
		DELETE FROM m WHERE id % 10 = 0;
		PERFORM set_config('ivfflat.probes', '12', true);
		EXECUTE format('SELECT avg(hnsw_recall(''m'', %L, (%s)::text, 10)) FROM src WHERE i < -10', c.op, value) INTO r;
		IF r < 0.85 THEN
			RAISE 'recall % with % % %', r, c.type, c.metric, c.dim;
		END IF;
		-- all rows come out, each once, also beyond the first lists
		EXECUTE format('SELECT count(*) || '' '' || count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v %s (SELECT %s FROM src WHERE i = -1) LIMIT 5000) s',
			c.op, value) INTO rows;
		IF rows <> '900 900' THEN
			RAISE '% rows with % % %', rows, c.type, c.metric, c.dim;
		END IF;
		-- and with all lists the order is that of a sort
		PERFORM set_config('ivfflat.probes', '32768', true);
		EXECUTE format('SELECT hnsw_recall(''m'', %L, (%s)::text, 900) FROM src WHERE i = -2', c.op, value) INTO r;
		IF r < 1 THEN
			RAISE 'recall % of all lists with % % %', r, c.type, c.metric, c.dim;
		END IF;
		DROP TABLE m;
	END LOOP;
END $$;
DROP TABLE src;

-- vectors that are larger than a page are codes in the index, and rows come in exact order all the same
CREATE TABLE wide (id int, v vector(3000), h halfvec(5000));
INSERT INTO wide SELECT i, ivf_vec(i, 3000), ivf_vec(i, 5000)::halfvec(5000) FROM generate_series(1, 60) i;
CREATE INDEX wide_v ON wide USING ivfflat (v);
CREATE INDEX wide_h ON wide USING ivfflat (h halfvec_cosine_ops);
SELECT hnsw_recall('wide', '<->', ivf_vec(-1, 3000)::text, 60);
ALTER TABLE wide RENAME v TO old;
ALTER TABLE wide RENAME h TO v;
SELECT hnsw_recall('wide', '<=>', ivf_vec(-1, 5000)::text, 60);
DROP TABLE wide;

-- more rows than the first lists have, conditions, limits on the scan
CREATE TABLE t (id int PRIMARY KEY, v vector(16));
INSERT INTO t SELECT i, ivf_vec(i, 16) FROM generate_series(1, 3000) i;
CREATE INDEX t_v ON t USING ivfflat (v) WITH (lists = 100);
SET ivfflat.probes = 2;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 500 = 7 ORDER BY v <-> ivf_vec(-3, 16) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id = 1234 ORDER BY v <-> ivf_vec(-3, 16) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id < 0 ORDER BY v <-> ivf_vec(-3, 16) LIMIT 10) s;
SELECT hnsw_recall('t', '<->', ivf_vec(-3, 16)::text, 1000) > 0.8 AS good;
SET ivfflat.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
SET ivfflat.iterative_scan = off;
SELECT count(*) BETWEEN 10 AND 300 AS few, count(*) = count(DISTINCT id) AS once
FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
RESET ivfflat.iterative_scan;
SET ivfflat.max_probes = 10;
SELECT count(*) BETWEEN 100 AND 900 AS few FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
-- the number of probes passes it
SET ivfflat.probes = 100;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
RESET ivfflat.max_probes;
-- the memory of a scan is bounded
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
RESET work_mem;
-- the same lists twice give the same rows
SELECT array(SELECT id FROM t ORDER BY v <-> ivf_vec(-5, 16) LIMIT 50) = array(SELECT id FROM t ORDER BY v <-> ivf_vec(-5, 16) LIMIT 50) AS same;
RESET ivfflat.probes;
-- a bound on the distance ends the scan
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]' < 1 ORDER BY v <-> '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]' LIMIT 10;
SELECT (SELECT count(*) FROM (SELECT id FROM t WHERE v <-> ivf_vec(5, 16) < 2 ORDER BY v <-> ivf_vec(5, 16)) s) >=
	0.9 * (SELECT count(*) FROM t WHERE v <-> ivf_vec(5, 16) < 2) AS nearly_all;
-- rescans
SELECT q, (SELECT id FROM t ORDER BY v <-> ivf_vec(q * 50, 16) LIMIT 1) FROM generate_series(1, 4) q;
-- updates and deletes
UPDATE t SET v = ivf_vec(id + 5000, 16) WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
VACUUM t;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16) LIMIT 4000) s;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 16)::text, 10)) > 0.85 AS good FROM generate_series(1, 20) i;
INSERT INTO t SELECT i, ivf_vec(i, 16) FROM generate_series(3001, 4000) i;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 16)::text, 10)) > 0.85 AS good FROM generate_series(1, 20) i;
SELECT * FROM vecidx_check('t_v', true);
-- a cursor sees what was there as it was opened
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16);
MOVE 5 IN c;
DELETE FROM t;
MOVE ALL IN c;
ROLLBACK;
DROP TABLE t;

-- an index made on an empty table
CREATE TABLE t (id int, v vector(16));
CREATE INDEX t_v ON t USING ivfflat (v);
INSERT INTO t SELECT i, ivf_vec(i, 16) FROM generate_series(1, 2000) i;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 16)::text, 10)) > 0.85 AS good FROM generate_series(1, 20) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> ivf_vec(-3, 16)) s;
VACUUM t;
SELECT * FROM vecidx_check('t_v', true);
REINDEX INDEX t_v;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 16)::text, 10)) > 0.85 AS good FROM generate_series(1, 20) i;
REINDEX INDEX CONCURRENTLY t_v;
SELECT avg(hnsw_recall('t', '<->', ivf_vec(-i, 16)::text, 10)) > 0.85 AS good FROM generate_series(1, 20) i;
DROP TABLE t;

-- all rows equal
CREATE TABLE t (id int, v vector(4));
INSERT INTO t SELECT i, '[1,2,3,4]' FROM generate_series(1, 500) i;
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 10);
INSERT INTO t SELECT i, '[1,2,3,4]' FROM generate_series(501, 1000) i;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,5]') s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,5]' LIMIT 700) s;
DROP TABLE t;

-- other kinds of tables and indexes
CREATE UNLOGGED TABLE t (id int, kind int, v vector(16), raw real[]);
INSERT INTO t SELECT i, i % 3, ivf_vec(i, 16), ivf_vec(i, 16)::real[] FROM generate_series(1, 600) i;
CREATE INDEX CONCURRENTLY t_part ON t USING ivfflat (v vector_cosine_ops) WITH (lists = 5) WHERE kind = 1;
CREATE INDEX t_expr ON t USING ivfflat ((raw::vector(16)) vector_ip_ops);
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind = 1 ORDER BY v <=> ivf_vec(7, 16) LIMIT 3;
SELECT id FROM t WHERE kind = 1 ORDER BY v <=> ivf_vec(7, 16) LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY raw::vector(16) <#> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]' LIMIT 3;
SELECT (SELECT id FROM t ORDER BY raw::vector(16) <#> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]' LIMIT 1) =
	(SELECT id FROM t ORDER BY (raw::vector(16) <#> '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]') + 0 LIMIT 1) AS same;
DROP TABLE t;

CREATE TABLE p (id int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (301);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (301) TO (1001);
INSERT INTO p SELECT i, ivf_vec(i, 16) FROM generate_series(1, 700) i;
CREATE INDEX ON p USING ivfflat (v) WITH (lists = 8);
EXPLAIN (COSTS OFF) SELECT id FROM p ORDER BY v <-> ivf_vec(123, 16) LIMIT 3;
SELECT id FROM p ORDER BY v <-> ivf_vec(123, 16) LIMIT 1;
SELECT id FROM p ORDER BY v <-> ivf_vec(456, 16) LIMIT 1;
DROP TABLE p;

-- a list of equal rows cannot be split, and trying costs no pages
CREATE TABLE t (v vector(384));
CREATE INDEX t_equal ON t USING ivfflat (v);
INSERT INTO t SELECT array_fill(1, ARRAY[384])::real[]::vector FROM generate_series(1, 4000);
SELECT pg_relation_size('t_equal') < 2 * 4000 * 384 * 4 AS small;
SELECT count(*) FROM (SELECT v FROM t ORDER BY v <-> (SELECT v FROM t LIMIT 1)) s;
SELECT * FROM vecidx_check('t_equal', true);
DROP TABLE t;

DROP FUNCTION ivf_vec;
DROP FUNCTION ivf_noise, hnsw_recall, hnsw_check_all;
