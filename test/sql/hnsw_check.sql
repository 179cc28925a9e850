-- vecidx_check finds nothing wrong with sound indexes, whatever was done to
-- them.  What it finds in damaged ones: test/t/010_damage.pl.
SET client_min_messages = warning;

CREATE FUNCTION random_vector(dim int, seed int) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT '[' || string_agg(round(sin(seed * 12.9898 + i * 78.233)::numeric, 4)::text, ',') || ']'
	   FROM generate_series(1, dim) i $$;

-- every quantizer under every metric, several m: build, insert, VACUUM, insert again
CREATE FUNCTION check_life(opclass text, options text, OUT step text, OUT problems bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE INDEX life_idx ON life USING hnsw (v %s) WITH (%s)', opclass, options);
	step := 'build';
	SELECT count(*) INTO problems FROM vecidx_check('life_idx', true);
	RETURN NEXT;
	INSERT INTO life SELECT i, random_vector(24, i)::vector FROM generate_series(401, 700) i;
	UPDATE life SET v = random_vector(24, id + 10000)::vector WHERE id % 5 = 0;
	step := 'insert';
	SELECT count(*) INTO problems FROM vecidx_check('life_idx', true);
	RETURN NEXT;
END $$;

CREATE TABLE life (id int, v vector(24));
CREATE TABLE result (opclass text, options text, step text, problems bigint);

DO $$
DECLARE
	opclass text;
	quantizer text;
BEGIN
	FOREACH opclass IN ARRAY ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops'] LOOP
		FOREACH quantizer IN ARRAY ARRAY['none', 'sq8', 'rabitq4'] LOOP
			TRUNCATE life;
			INSERT INTO life SELECT i, random_vector(24, i)::vector FROM generate_series(1, 400) i;
			INSERT INTO result SELECT opclass, quantizer, l.*
				FROM check_life(opclass, format('quantizer = %s', quantizer)) l;
			DROP INDEX life_idx;
		END LOOP;
	END LOOP;
END $$;
SELECT step, count(*), sum(problems) FROM result GROUP BY 1 ORDER BY 1;

TRUNCATE life;
INSERT INTO life SELECT i, random_vector(24, i)::vector FROM generate_series(1, 400) i;
SELECT * FROM check_life('vector_l2_ops', 'm = 2');
DROP INDEX life_idx;
SELECT * FROM check_life('vector_l2_ops', 'm = 100, ef_construction = 200');
DELETE FROM life WHERE id % 3 = 0;
SELECT * FROM vecidx_check('life_idx', true);
VACUUM life;
SELECT * FROM vecidx_check('life_idx', true);
INSERT INTO life SELECT i, random_vector(24, i)::vector FROM generate_series(1001, 1300) i;
SELECT * FROM vecidx_check('life_idx', true);
DELETE FROM life;
VACUUM life;
SELECT * FROM vecidx_check('life_idx', true);
INSERT INTO life SELECT i, random_vector(24, i)::vector FROM generate_series(1, 100) i;
SELECT * FROM vecidx_check('life_idx', true);
REINDEX INDEX CONCURRENTLY life_idx;
SELECT * FROM vecidx_check('life_idx', true);

-- an empty table; then nothing but rows that have no place in the index
CREATE TABLE empty (id int, v vector(3));
CREATE INDEX empty_idx ON empty USING hnsw (v vector_cosine_ops);
SELECT * FROM vecidx_check('empty_idx', true);
INSERT INTO empty VALUES (1, NULL), (2, '[0,0,0]');
SELECT * FROM vecidx_check('empty_idx', true);
INSERT INTO empty VALUES (3, '[1,0,0]'), (4, NULL), (5, '[0,0,0]');
SELECT * FROM vecidx_check('empty_idx', true);
REINDEX INDEX empty_idx;
SELECT * FROM vecidx_check('empty_idx', true);

-- 10,000 equal vectors share a node: built, inserted, a part and then all of them deleted
CREATE TABLE equal_rows (id int, v vector(3));
INSERT INTO equal_rows SELECT i, '[1,2,3]' FROM generate_series(1, 5000) i;
CREATE INDEX equal_idx ON equal_rows USING hnsw (v vector_l2_ops);
SELECT * FROM vecidx_check('equal_idx', true);
INSERT INTO equal_rows SELECT i, '[1,2,3]' FROM generate_series(5001, 10000) i;
SELECT * FROM vecidx_check('equal_idx', true);
DELETE FROM equal_rows WHERE id % 7 <> 0;
VACUUM equal_rows;
SELECT * FROM vecidx_check('equal_idx', true);
INSERT INTO equal_rows SELECT i, '[1,2,3]' FROM generate_series(1, 100) i;
SELECT * FROM vecidx_check('equal_idx', true);
DELETE FROM equal_rows;
VACUUM equal_rows;
SELECT * FROM vecidx_check('equal_idx', true);

-- expressions, predicates, HOT chains
CREATE TABLE shapes (id int, kind int, a real[]) WITH (fillfactor = 50);
INSERT INTO shapes SELECT i, i % 3, ARRAY[i, i % 10, 1] FROM generate_series(1, 300) i;
CREATE INDEX shapes_idx ON shapes USING hnsw ((a::vector(3)) vector_l2_ops) WHERE kind <> 2;
SELECT * FROM vecidx_check('shapes_idx', true);
UPDATE shapes SET a = ARRAY[id, 5, 5] WHERE id % 2 = 0;
UPDATE shapes SET kind = 2 WHERE id % 9 = 0;
SELECT * FROM vecidx_check('shapes_idx', true);
CREATE TABLE hot (id int, n int, v vector(3)) WITH (fillfactor = 50);
INSERT INTO hot SELECT i, 0, ARRAY[i, i % 10, 1] FROM generate_series(1, 300) i;
CREATE INDEX hot_idx ON hot USING hnsw (v vector_l2_ops);
UPDATE hot SET n = 1;
UPDATE hot SET n = 2 WHERE id % 2 = 0;
SELECT * FROM vecidx_check('hot_idx', true);
VACUUM hot;
SELECT * FROM vecidx_check('hot_idx', true);

-- rows of this very transaction, and of one that was rolled back
BEGIN;
INSERT INTO hot SELECT i, 0, ARRAY[i, i % 10, 1] FROM generate_series(301, 400) i;
SELECT * FROM vecidx_check('hot_idx', true);
SAVEPOINT s;
INSERT INTO hot SELECT i, 0, ARRAY[i, i % 10, 1] FROM generate_series(401, 500) i;
ROLLBACK TO s;
SELECT * FROM vecidx_check('hot_idx', true);
ROLLBACK;
SELECT * FROM vecidx_check('hot_idx', true);

-- unlogged and temporary
CREATE UNLOGGED TABLE unlogged (id int, v vector(3));
CREATE INDEX unlogged_idx ON unlogged USING hnsw (v vector_l2_ops);
INSERT INTO unlogged SELECT i, ARRAY[i, i % 10, 1] FROM generate_series(1, 300) i;
SELECT * FROM vecidx_check('unlogged_idx', true);
CREATE TEMP TABLE temporary (id int, v vector(3));
INSERT INTO temporary SELECT i, ARRAY[i, i % 10, 1] FROM generate_series(1, 300) i;
CREATE INDEX temporary_idx ON temporary USING hnsw (v vector_l2_ops);
INSERT INTO temporary SELECT i, ARRAY[i, i % 10, 1] FROM generate_series(301, 600) i;
DELETE FROM temporary WHERE id % 2 = 0;
VACUUM temporary;
SELECT * FROM vecidx_check('temporary_idx', true);

-- codes too large for more than one on a page, and a centre of several pages
CREATE TABLE wide (id int, v vector(16000));
INSERT INTO wide SELECT i, random_vector(16000, i)::vector FROM generate_series(1, 5) i;
CREATE INDEX wide_idx ON wide USING hnsw (v vector_l2_ops);
SELECT * FROM vecidx_check('wide_idx', true);
INSERT INTO wide SELECT i, random_vector(16000, i)::vector FROM generate_series(6, 10) i;
SELECT * FROM vecidx_check('wide_idx', true);

-- what cannot be checked
SELECT * FROM vecidx_check(0);
SELECT * FROM vecidx_check('hot');
CREATE INDEX hot_id_idx ON hot (id);
SELECT * FROM vecidx_check('hot_id_idx');
CREATE TABLE parts (id int, v vector(3)) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE INDEX parts_idx ON parts USING hnsw (v vector_l2_ops);
INSERT INTO parts SELECT i, ARRAY[i, i % 10, 1] FROM generate_series(1, 99) i;
SELECT * FROM vecidx_check('parts_idx');
SELECT * FROM vecidx_check('part1_v_idx', true);
SELECT * FROM vecidx_check(NULL);

-- only the owner may
CREATE ROLE regress_vecidx_other;
SET ROLE regress_vecidx_other;
SELECT * FROM vecidx_check('hot_idx');
RESET ROLE;
CREATE ROLE regress_vecidx_owner;
GRANT CREATE ON SCHEMA public TO regress_vecidx_owner;
ALTER TABLE hot OWNER TO regress_vecidx_owner;
SET ROLE regress_vecidx_owner;
SELECT * FROM vecidx_check('hot_idx', true);
RESET ROLE;

-- an index's functions run with the rights of the table's owner
CREATE FUNCTION public.whoami_vector(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF current_user <> 'regress_vecidx_owner' THEN RAISE EXCEPTION 'called by %', current_user; END IF; RETURN v; END $$;
SET ROLE regress_vecidx_owner;
CREATE INDEX hot_expression_idx ON hot USING hnsw ((public.whoami_vector(v)::vector(3)) vector_l2_ops);
RESET ROLE;
SELECT * FROM vecidx_check('hot_expression_idx', true);

-- and where a row is missing: the catalog forgets that the index is a partial one
CREATE TABLE lacking (id int, v vector(3));
CREATE INDEX lacking_idx ON lacking USING hnsw (v vector_l2_ops) WHERE id < 10;
INSERT INTO lacking SELECT i, ARRAY[i, 1, 1] FROM generate_series(1, 12) i;
SELECT * FROM vecidx_check('lacking_idx', true);
UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'lacking_idx'::regclass;
SELECT * FROM vecidx_check('lacking_idx', true);
SELECT * FROM vecidx_check('lacking_idx');

DROP TABLE life, result, empty, equal_rows, shapes, hot, unlogged, temporary, wide, parts, lacking;
DROP FUNCTION random_vector, check_life, whoami_vector;
REVOKE CREATE ON SCHEMA public FROM regress_vecidx_owner;
DROP ROLE regress_vecidx_other, regress_vecidx_owner;
