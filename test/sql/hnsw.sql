-- the hnsw access method: options, plans, results, kinds of tables

-- vectors on a deterministic pseudo-random path, the same everywhere
CREATE FUNCTION hnsw_vec(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((((i::bigint * 7919 + j * 104729 + i::bigint * j * 31) * 2654435761 % 4294967296 + 4294967296) % 4294967296 % 2001 - 1000)::float4 / 1000 ORDER BY j)::vector
   FROM generate_series(1, dim) j $$;

\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/hnsw_recall.sql'
\i :include

SET enable_seqscan = off;

-- options
CREATE TABLE t (id int, v vector(3));
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 1);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 101);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 3);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 16, ef_construction = 31);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'zip');
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (lists = 3);
CREATE INDEX ON t USING hnsw (id vector_l2_ops);
CREATE INDEX ON t USING hnsw (v vector_l2_ops, v vector_l2_ops);
CREATE INDEX ON t USING hnsw (id, v vector_l2_ops);
CREATE UNIQUE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE TABLE nodim (v vector);
CREATE INDEX ON nodim USING hnsw (v vector_l2_ops);
CREATE TABLE wide (v vector(9000));
CREATE INDEX ON wide USING hnsw (v vector_l2_ops) WITH (quantizer = 'none');
CREATE INDEX wide_sq8 ON wide USING hnsw (v vector_l2_ops) WITH (quantizer = 'sq8');
CREATE INDEX ON wide USING hnsw (v vector_l2_ops);
DROP TABLE nodim, wide;

-- settings
SHOW hnsw.ef_search;
SHOW hnsw.iterative_scan;
SHOW hnsw.max_scan_tuples;
SHOW hnsw.scan_mem_multiplier;
SET hnsw.ef_search = 0;
SET hnsw.ef_search = 100001;
SET hnsw.iterative_scan = 'on';
SET hnsw.nonsense = 1;
SET vecidx.simd = 'mmx';

-- operator classes
SELECT opcname, amvalidate(oid) FROM pg_opclass
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND opcname ~ 'vec|bit' ORDER BY 1;

-- few rows
\set am hnsw
\set include :srcdir '/include/few_rows.sql'
\i :include

-- every metric and quantizer, built and inserted, against a sort
DO $$
DECLARE
	c record;
	r float8;
	rows text;
BEGIN
	FOR c IN SELECT * FROM (VALUES ('vector_l2_ops', '<->'), ('vector_ip_ops', '<#>'),
							('vector_cosine_ops', '<=>'), ('vector_l1_ops', '<+>')) o (opclass, op),
						   (VALUES ('none'), ('rabitq4'), ('sq8')) z (quantizer), (VALUES (7), (48)) d (dim)
	LOOP
		EXECUTE format('CREATE TEMP TABLE m (id int, v vector(%s))', c.dim);
		EXECUTE format('INSERT INTO m SELECT i, hnsw_vec(i, %s) FROM generate_series(1, 600) i', c.dim);
		EXECUTE format('CREATE INDEX ON m USING hnsw (v %s) WITH (quantizer = %L)', c.opclass, c.quantizer);
		EXECUTE format('INSERT INTO m SELECT i, hnsw_vec(i, %s) FROM generate_series(601, 1000) i', c.dim);
		DELETE FROM m WHERE id % 10 = 0;
		SELECT avg(hnsw_recall('m', c.op, hnsw_vec(-i, c.dim)::text, 10)) INTO r FROM generate_series(1, 20) i;
		IF r < 0.9 THEN
			RAISE 'recall % with % % %', r, c.opclass, c.quantizer, c.dim;
		END IF;
		-- all rows come out, each once
		IF hnsw_recall('m', c.op, hnsw_vec(-1, c.dim)::text, 300) < 0.9 THEN
			RAISE 'recall with % % %', c.opclass, c.quantizer, c.dim;
		END IF;
		EXECUTE format('SELECT count(*) || '' '' || count(DISTINCT id) FROM
			(SELECT id FROM m ORDER BY v %s hnsw_vec(-1, %s) LIMIT 5000) s', c.op, c.dim) INTO rows;
		IF rows <> '900 900' THEN
			RAISE '% rows with % % %', rows, c.opclass, c.quantizer, c.dim;
		END IF;
		DROP TABLE m;
	END LOOP;
END $$;

-- one row far out does not spoil the codes of the others
CREATE TABLE t (id int, v vector(48));
INSERT INTO t SELECT i, hnsw_vec(i, 48) FROM generate_series(1, 1000) i;
INSERT INTO t VALUES (0, array_fill(1e6::real, ARRAY[48])::vector);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'rabitq4');
-- without the wider search that makes up for coarse estimates
SET hnsw.iterative_scan = off;
SELECT avg(hnsw_recall('t', '<->', hnsw_vec(-i, 48)::text, 10)) > 0.9 AS good FROM generate_series(1, 20) i;
RESET hnsw.iterative_scan;
DROP TABLE t;

-- more rows than ef_search, conditions, limits on the scan
CREATE TABLE t (id int PRIMARY KEY, v vector(16));
INSERT INTO t SELECT i, hnsw_vec(i, 16) FROM generate_series(1, 3000) i;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32);
SET hnsw.ef_search = 10;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 4000) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 500 = 7 ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id = 1234 ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t WHERE id < 0 ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 10) s;
SELECT hnsw_recall('t', '<->', hnsw_vec(-3, 16)::text, 1000) > 0.9 AS good;
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 4000) s;
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 4000) s;
RESET hnsw.iterative_scan;
-- each scan has its own limit: rescans and former scans do not count
SET hnsw.max_scan_tuples = 1500;
SELECT min(n), max(n) FROM
	(SELECT q, count(*) AS n FROM generate_series(1, 40) q,
		LATERAL (SELECT t.id FROM t ORDER BY v <-> hnsw_vec(q * 50, 16) LIMIT 40) s GROUP BY q) r;
SET hnsw.max_scan_tuples = 100;
SELECT count(*) < 3000 AS limited FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 4000) s;
RESET hnsw.max_scan_tuples;
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 16) LIMIT 4000) s;
RESET work_mem;
RESET hnsw.ef_search;

-- rescans: nested loops, cursors
SELECT count(*), count(DISTINCT id) FROM generate_series(1, 40) q,
	LATERAL (SELECT t.id FROM t ORDER BY v <-> hnsw_vec(q * 50, 16) LIMIT 1) n WHERE n.id = q * 50;
BEGIN;
DECLARE c CURSOR FOR SELECT v <-> hnsw_vec(5, 16) = 0 AS same FROM t ORDER BY v <-> hnsw_vec(5, 16);
FETCH 1 FROM c;
-- what comes after the cursor's snapshot stays out of it
INSERT INTO t SELECT 10000 + i, hnsw_vec(5, 16) FROM generate_series(1, 20) i;
DELETE FROM t WHERE id = 6;
FETCH 3 FROM c;
MOVE ALL IN c;
CLOSE c;
ROLLBACK;
PREPARE p (vector) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 1;
EXECUTE p (hnsw_vec(17, 16));
EXECUTE p (hnsw_vec(18, 16));
DEALLOCATE p;

-- updates: HOT and not
UPDATE t SET id = -id WHERE id = 17;
SELECT id FROM t ORDER BY v <-> hnsw_vec(17, 16) LIMIT 1;
UPDATE t SET v = hnsw_vec(99999, 16) WHERE id = 18;
SELECT id FROM t ORDER BY v <-> hnsw_vec(99999, 16) LIMIT 1;
SELECT id = 18 FROM t ORDER BY v <-> hnsw_vec(18, 16) LIMIT 1;
DROP TABLE t;

-- another version of a row has its place in the node's record
CREATE TABLE t (id int, v vector(16), other int);
INSERT INTO t SELECT i, hnsw_vec(i, 16), 0 FROM generate_series(1, 1000) i;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t (other);
SELECT pg_relation_size('t_v') AS size \gset
UPDATE t SET other = id;
SELECT pg_relation_size('t_v') - :size <= 2 * 8192 AS as_large;
SELECT id, other FROM t ORDER BY v <-> hnsw_vec(17, 16) LIMIT 1;
SELECT * FROM vecidx_check('t_v', true);
VACUUM t;
UPDATE t SET other = -id;
SELECT id, other FROM t ORDER BY v <-> hnsw_vec(17, 16) LIMIT 1;
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT * FROM vecidx_check('t_v', true);
SELECT hnsw_recall('t', '<->', hnsw_vec(-5, 16)::text, 20) > 0.9 AS good;
DROP TABLE t;

-- partial, expression, partitioned, unlogged
CREATE TABLE t (id int, v vector(4), a float8[]);
INSERT INTO t SELECT i, hnsw_vec(i, 4), hnsw_vec(i, 5)::float4[]::float8[] FROM generate_series(1, 500) i;
CREATE INDEX t_part ON t USING hnsw (v vector_l2_ops) WHERE id <= 100;
SELECT id FROM t WHERE id <= 100 ORDER BY v <-> hnsw_vec(7, 4) LIMIT 1;
SELECT count(*) FROM (SELECT id FROM t WHERE id <= 100 ORDER BY v <-> hnsw_vec(7, 4) LIMIT 500) s;
CREATE INDEX t_expr ON t USING hnsw ((a::vector(5)) vector_l2_ops) WITH (quantizer = 'rabitq4');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY a::vector(5) <-> hnsw_vec(8, 5) LIMIT 2;
SELECT id FROM t ORDER BY a::vector(5) <-> hnsw_vec(8, 5) LIMIT 1;
INSERT INTO t SELECT i, hnsw_vec(i, 4), hnsw_vec(i, 5)::float4[]::float8[] FROM generate_series(501, 600) i;
SELECT id FROM t ORDER BY a::vector(5) <-> hnsw_vec(555, 5) LIMIT 1;
DROP TABLE t;

CREATE TABLE t (id int, v vector(4)) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (100);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (1000);
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT i, hnsw_vec(i, 4) FROM generate_series(1, 500) i;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> hnsw_vec(50, 4) LIMIT 2;
SELECT id FROM t ORDER BY v <-> hnsw_vec(50, 4) LIMIT 1;
SELECT id FROM t ORDER BY v <-> hnsw_vec(450, 4) LIMIT 1;
DROP TABLE t;

CREATE UNLOGGED TABLE t (id int, v vector(4));
INSERT INTO t SELECT i, hnsw_vec(i, 4) FROM generate_series(1, 200) i;
CREATE INDEX t_v ON t USING hnsw (v vector_ip_ops);
INSERT INTO t SELECT i, hnsw_vec(i, 4) FROM generate_series(201, 300) i;
SELECT hnsw_recall('t', '<#>', hnsw_vec(-5, 4)::text, 20) > 0.9 AS good;
REINDEX INDEX CONCURRENTLY t_v;
SELECT hnsw_recall('t', '<#>', hnsw_vec(-5, 4)::text, 20) > 0.9 AS good;
DROP INDEX t_v;
CREATE INDEX CONCURRENTLY t_v ON t USING hnsw (v vector_l2_ops);
SELECT hnsw_recall('t', '<->', hnsw_vec(-5, 4)::text, 20) > 0.9 AS good;
DROP TABLE t;

-- a graph that outgrows maintenance_work_mem
CREATE TABLE t (id int, v vector(64));
INSERT INTO t SELECT i, hnsw_vec(i, 64) FROM generate_series(1, 8000) i;
SET maintenance_work_mem = '1MB';
SET max_parallel_maintenance_workers = 0; -- so that recall is the same each time
SET client_min_messages = warning;
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 40);
RESET client_min_messages;
RESET max_parallel_maintenance_workers;
RESET maintenance_work_mem;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(-3, 64) LIMIT 10000) s;
SELECT avg(hnsw_recall('t', '<->', hnsw_vec(i * 100, 64)::text, 1)) >= 0.8 AS good FROM generate_series(1, 20) i;
DROP TABLE t;

-- values that overflow: no error, no row lost
CREATE TABLE t (id int, v vector(40));
INSERT INTO t SELECT i, array_fill(CASE WHEN i % 2 = 0 THEN 3e38 ELSE -3e38 END::float4, ARRAY[40])::vector FROM generate_series(1, 10) i;
INSERT INTO t SELECT i, hnsw_vec(i, 40) FROM generate_series(11, 20) i;
INSERT INTO t SELECT i, array_fill(1e-38::float4, ARRAY[40])::vector FROM generate_series(21, 25) i;
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'rabitq4');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> hnsw_vec(1, 40) LIMIT 100) s;
DROP TABLE t;

-- vectors of one direction, which codes tell apart by their factors only; and
-- a scan answers as the one before it did
CREATE TABLE t (id int, v vector(40));
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops) WITH (quantizer = 'rabitq4');
INSERT INTO t SELECT i, array_fill(i::float4, ARRAY[40])::vector FROM generate_series(1, 2500) i;
SELECT array(SELECT id FROM t ORDER BY v <-> array_fill(2077.3::float4, ARRAY[40])::vector LIMIT 5) AS ids;
SELECT array(SELECT id FROM t ORDER BY v <-> array_fill(2077.3::float4, ARRAY[40])::vector LIMIT 5) AS ids;
REINDEX INDEX t_v;
SELECT array(SELECT id FROM t ORDER BY v <-> array_fill(2077.3::float4, ARRAY[40])::vector LIMIT 5) AS ids;
DROP TABLE t;

DROP FUNCTION hnsw_check_all, hnsw_recall, hnsw_vec;
