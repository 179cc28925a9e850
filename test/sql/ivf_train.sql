-- what training of inverted lists finds, whatever the memory and the workers
\set ECHO queries
CREATE TABLE trained (id int, v vector(16));
INSERT INTO trained SELECT i, ARRAY(SELECT sin(i * 0.7 * j) + cos(i % 50 * j) FROM generate_series(1, 16) j)::vector
	FROM generate_series(1, 20000) i;
ALTER TABLE trained SET (parallel_workers = 0);
CREATE INDEX trained_alone ON trained USING ivfflat (v vector_l2_ops) WITH (lists = 200);
SET enable_seqscan = off;
SET ivfflat.probes = 1;
-- the lists that a query looks into tell which rows are together
CREATE FUNCTION found() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT string_agg(n.id::text, ',' ORDER BY n.id)
	FROM trained q, LATERAL (SELECT t.id FROM trained t ORDER BY t.v <-> q.v LIMIT 1000) n
	WHERE q.id % 1000 = 0 GROUP BY q.id ORDER BY q.id
$$;
CREATE TABLE by_one AS SELECT row_number() OVER () n, f FROM found() f;
SELECT count(*), bool_and(length(f) > 5) FROM by_one;
DROP INDEX trained_alone;
-- several processes find the same lists
ALTER TABLE trained SET (parallel_workers = 2);
SET max_parallel_maintenance_workers = 2;
CREATE INDEX trained_together ON trained USING ivfflat (v vector_l2_ops) WITH (lists = 200);
CREATE TABLE by_three AS SELECT row_number() OVER () n, f FROM found() f;
SELECT count(*) FROM by_one JOIN by_three USING (n, f);
DROP INDEX trained_together;
-- little memory: a small sample, of half precision
SET maintenance_work_mem = '1MB';
CREATE INDEX trained_small ON trained USING ivfflat (v vector_l2_ops) WITH (lists = 200);
SELECT count(*) FROM (SELECT id FROM trained ORDER BY v <-> (SELECT v FROM trained WHERE id = 5000) LIMIT 10) t;
DROP INDEX trained_small;
-- lists that do not fit it
CREATE INDEX ON trained USING ivfflat (v vector_l2_ops) WITH (lists = 32768);
-- by themselves, lists are as many as fit
CREATE TABLE wide (v vector(2000));
INSERT INTO wide SELECT ARRAY(SELECT sin(i * j) FROM generate_series(1, 2000) j)::vector FROM generate_series(1, 300) i;
CREATE INDEX ON wide USING ivfflat (v vector_cosine_ops);
RESET maintenance_work_mem;
-- fewer different rows than lists
CREATE TABLE alike (v vector(3));
INSERT INTO alike SELECT ARRAY[i % 3, 1, 2]::vector FROM generate_series(1, 500) i;
INSERT INTO alike VALUES (NULL), ('[0,0,0]');
CREATE INDEX ON alike USING ivfflat (v vector_cosine_ops) WITH (lists = 100);
SELECT count(*) FROM (SELECT v FROM alike ORDER BY v <=> '[1,1,2]' LIMIT 1000) t;
-- far out, and beyond half precision
INSERT INTO alike SELECT ARRAY[1e15 * i, -1e15, 1e-20]::vector FROM generate_series(1, 100) i;
CREATE INDEX ON alike USING ivfflat (v vector_ip_ops) WITH (lists = 10);
SELECT count(*) FROM (SELECT v FROM alike ORDER BY v <#> '[1,0,0]' LIMIT 5) t;
DROP TABLE trained, by_one, by_three, wide, alike;
DROP FUNCTION found;
