-- Vectors out of line: read by what the backend remembers of the TOAST table.
-- Whatever happens to that, distances stay those of the table.
CREATE FUNCTION wide(seed int, dim int) RETURNS vector IMMUTABLE LANGUAGE sql AS
$$ SELECT array_agg(((seed::bigint * 7919 + i * 104729 + seed::bigint * i * (i + seed % 13)) % 2003)::float4 / 1000)::vector FROM generate_series(1, dim) i $$;
CREATE TABLE toasted (id int, v vector(768));
-- of the 20 rows that each of n queries brings, those that are not as far as the table says, or out of order
CREATE FUNCTION wrong(n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	q vector;
	ids int[];
	by_index float8[];
	by_table float8[];
	bad bigint := 0;
BEGIN
	FOR i IN 1 .. n LOOP
		q := wide(i * 1000 + 7, 768);
		SET LOCAL enable_seqscan = off;
		SELECT array_agg(id), array_agg(d) INTO ids, by_index FROM (SELECT id, v <-> q AS d FROM toasted ORDER BY v <-> q LIMIT 20) s;
		SET LOCAL enable_seqscan = on;
		SELECT array_agg(d ORDER BY d) INTO by_table
			FROM (SELECT v <-> q AS d FROM toasted WHERE id = ANY (ids)) s;
		bad := bad + 20 - (SELECT count(*) FROM unnest(by_index, by_table) u(a, b) WHERE a = b);
	END LOOP;
	RETURN bad;
END $$;
SET hnsw.ef_search = 400;
INSERT INTO toasted SELECT i, wide(i, 768) FROM generate_series(1, 500) i;
CREATE INDEX toasted_idx ON toasted USING hnsw (v vector_l2_ops);
VACUUM ANALYZE toasted;
SELECT wrong(20);

-- The server's way goes through the TOAST table's index for each value.
CREATE VIEW lookups AS
	SELECT s.idx_scan FROM pg_class c JOIN pg_stat_all_tables s ON s.relid = c.reltoastrelid WHERE c.oid = 'toasted'::regclass;
CREATE PROCEDURE by_index(n int) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL enable_seqscan = off;
	FOR i IN 1 .. n LOOP
		PERFORM id FROM toasted ORDER BY v <-> wide(i * 1000 + 7, 768) LIMIT 20;
	END LOOP;
END $$;
SELECT pg_stat_force_next_flush();
SELECT idx_scan AS before FROM lookups \gset
CALL by_index(20);
SELECT pg_stat_force_next_flush();
SELECT idx_scan - :before BETWEEN 0 AND 200 AS few FROM lookups;

-- other values, on leaves that split and in pages used again
UPDATE toasted SET v = wide(id + 5000, 768) WHERE id % 3 = 0;
SELECT wrong(10);
DELETE FROM toasted WHERE id % 7 = 0;
VACUUM toasted;
INSERT INTO toasted SELECT i, wide(i, 768) FROM generate_series(501, 900) i;
SELECT wrong(10);
BEGIN;
UPDATE toasted SET v = wide(id + 10000, 768);
SELECT wrong(5);
ROLLBACK;
SELECT wrong(5);
VACUUM toasted;
UPDATE toasted SET v = wide(id + 20000, 768) WHERE id % 2 = 0;
SELECT wrong(10);

-- a cursor goes on with what its snapshot sees
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL hnsw.ef_search = 10;
CREATE TEMP TABLE wanted AS SELECT row_number() OVER () AS n, id FROM (SELECT id FROM toasted ORDER BY v <-> wide(1007, 768) LIMIT 40) s;
DECLARE c CURSOR FOR SELECT id FROM toasted ORDER BY v <-> wide(1007, 768) LIMIT 40;
MOVE 5 IN c;
UPDATE toasted SET v = wide(id + 30000, 768);
DELETE FROM toasted WHERE id % 2 = 1;
CREATE FUNCTION rest() RETURNS TABLE (n bigint, id int) LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'c';
BEGIN
	FOR i IN 6 .. 40 LOOP
		n := i;
		FETCH c INTO id;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT count(*), count(w.id) FROM rest() r LEFT JOIN wanted w ON (w.n, w.id) = (r.n, r.id);
ROLLBACK;

-- errors in the middle of a scan
SET enable_seqscan = off;
SELECT 1 / (id - id) FROM toasted ORDER BY v <-> wide(7, 768) LIMIT 1;
DO $$
BEGIN
	PERFORM 1 / (id - id) FROM toasted ORDER BY v <-> wide(7, 768) LIMIT 1;
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'wrong: %', wrong(2);
END $$;
RESET enable_seqscan;
SELECT wrong(2);

-- other files
REINDEX TABLE toasted;
SELECT wrong(5);
VACUUM FULL toasted;
SELECT wrong(5);
TRUNCATE toasted;
INSERT INTO toasted SELECT i, wide(i + 40000, 768) FROM generate_series(1, 200) i;
SELECT wrong(5);

-- compressed; in the row; of other sizes; of an expression
ALTER TABLE toasted ALTER COLUMN v SET STORAGE EXTENDED;
INSERT INTO toasted SELECT i, (array_fill(0::float4, ARRAY[560]) || wide(i, 208)::float4[])::vector FROM generate_series(201, 400) i;
SELECT wrong(5);
ALTER TABLE toasted ALTER COLUMN v SET STORAGE MAIN;
INSERT INTO toasted SELECT i, wide(i, 768) FROM generate_series(401, 500) i;
SELECT wrong(5);
CREATE TABLE longer (id int, v vector(4000));
ALTER TABLE longer ALTER COLUMN v SET STORAGE EXTERNAL;
INSERT INTO longer SELECT i, wide(i, 4000) FROM generate_series(1, 60) i;
CREATE INDEX ON longer USING hnsw (v vector_cosine_ops);
CREATE INDEX ON longer USING hnsw ((v::halfvec(4000)) halfvec_cosine_ops);
SET enable_seqscan = off;
SELECT array_agg(id) FROM (SELECT id FROM longer ORDER BY v <=> wide(7, 4000) LIMIT 5) s;
SELECT array_agg(id) FROM (SELECT id FROM longer ORDER BY v::halfvec(4000) <=> wide(7, 4000)::halfvec LIMIT 5) s;
RESET enable_seqscan;
SET enable_indexscan = off;
SELECT array_agg(id) FROM (SELECT id FROM longer ORDER BY v <=> wide(7, 4000) LIMIT 5) s;
RESET enable_indexscan;

DROP TABLE longer;
DROP VIEW lookups;
DROP PROCEDURE by_index;
DROP FUNCTION wrong;
DROP TABLE toasted;
DROP FUNCTION wide;
