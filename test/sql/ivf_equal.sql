-- more equal rows than maintenance_work_mem has room for: their list cannot be split, but its space is used again
\set ECHO queries
SET maintenance_work_mem = '1MB';
CREATE TABLE equal (id serial, v vector(256));
CREATE INDEX equal_flat ON equal USING ivfflat (v vector_l2_ops);
CREATE INDEX equal_codes ON equal USING ivfpq (v vector_l2_ops);
-- fill up to 4,000 rows
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
	INSERT INTO equal (v) SELECT array_fill(1, ARRAY[256])::vector FROM generate_series(1, 4000 - (SELECT count(*) FROM equal))
$$;
CREATE FUNCTION pages(OUT flat bigint, OUT codes bigint) LANGUAGE sql AS $$
	SELECT pg_relation_size('equal_flat') / 8192, pg_relation_size('equal_codes') / 8192
$$;
SELECT fill();
CREATE TABLE filled AS SELECT * FROM pages();
-- seven vectors a page; half a byte a dimension
SELECT flat BETWEEN 4000 / 7 AND 4000 / 6 AS flat, codes BETWEEN 4000 / 64 AND 4000 / 40 AS codes FROM filled;
-- VACUUM finds nothing to do
VACUUM equal;
VACUUM equal;
SELECT pages() = filled AS same FROM filled;
-- rows come in the place of others, again and again
\set ECHO none
SELECT string_agg(format('DELETE FROM equal WHERE id %% 3 = %s; VACUUM equal; SELECT fill(); VACUUM equal', i % 3), ';') AS rounds
FROM generate_series(1, 9) i \gset
\o /dev/null
:rounds;
\o
\set ECHO queries
SELECT p.flat < 3 * f.flat AS flat, p.codes < 3 * f.codes AS codes, (SELECT count(*) FROM equal) FROM pages() p, filled f;
SELECT * FROM vecidx_check('equal_flat', true);
SELECT * FROM vecidx_check('equal_codes', true);
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM equal ORDER BY v <-> array_fill(2, ARRAY[256])::vector) s;
-- with memory enough it is packed like others
RESET maintenance_work_mem;
DELETE FROM equal WHERE id % 2 = 0;
VACUUM equal;
SELECT fill();
SELECT p.flat < 3 * f.flat AS flat, p.codes < 3 * f.codes AS codes FROM pages() p, filled f;
SELECT * FROM vecidx_check('equal_flat', true);
SELECT * FROM vecidx_check('equal_codes', true);
DROP TABLE equal, filled;
DROP FUNCTION fill, pages;
