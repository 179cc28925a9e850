-- The least that an access method (:am) has to do, on a table t (id int, v vector(3)), which goes.

-- empty, one row, equal rows, NULLs
CREATE INDEX t_l2 ON t USING :am (v vector_l2_ops);
SELECT * FROM t ORDER BY v <-> '[1,2,3]' LIMIT 5;
INSERT INTO t VALUES (1, '[1,2,3]');
SELECT * FROM t ORDER BY v <-> '[0,0,0]' LIMIT 5;
INSERT INTO t VALUES (2, '[1,2,3]'), (3, NULL), (4, '[1,2,3]'), (5, '[3,3,3]'), (6, '[0,0,0]');
SELECT id, v <-> '[1,2,3]' AS d FROM t WHERE id <> 3 ORDER BY v <-> '[1,2,3]', id LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> NULL LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector) LIMIT 10) s;
-- (an error of its own would name this file)
CREATE FUNCTION error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'none';
EXCEPTION WHEN others THEN
	RETURN SQLERRM;
END $$;
SELECT error_of('SELECT id FROM t ORDER BY v <-> ''[1,2]'' LIMIT 1'), error_of('INSERT INTO t VALUES (7, ''[1,2]'')');
DROP FUNCTION error_of;
DELETE FROM t;
VACUUM t;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10) s;
INSERT INTO t VALUES (8, '[9,9,9]');
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10;
TRUNCATE t;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10) s;
-- a scan that is not by distance is not for this index
SELECT count(*) FROM t;
DROP TABLE t;

-- cosine: zero vectors are left to other plans
CREATE TABLE t (id int, v vector(3));
INSERT INTO t VALUES (1, '[1,0,0]'), (2, '[0,0,0]'), (3, '[0,1,0]'), (4, '[2,0,0]');
CREATE INDEX ON t USING :am (v vector_cosine_ops);
INSERT INTO t VALUES (5, '[0,0,0]'), (6, '[-1,0,0]');
SELECT id, round((v <=> '[1,0.1,0]')::numeric, 4) FROM t ORDER BY v <=> '[1,0.1,0]' LIMIT 10;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> '[0,0,0]' LIMIT 10) s;
SET enable_seqscan = on;
SET enable_indexscan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> '[1,0.1,0]' LIMIT 10) s;
RESET enable_indexscan;
SET enable_seqscan = off;
DROP TABLE t;
