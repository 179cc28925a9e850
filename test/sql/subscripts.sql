-- subscripts of vector and halfvec: they count from 1, as arrays' do

SELECT v[1] AS first, v[3] AS third, v[0] IS NULL AS before, v[4] IS NULL AS behind, v[-1] IS NULL AS negative, v[NULL] IS NULL AS null,
	pg_typeof(v[1]) FROM (SELECT '[1,2.5,-3]'::vector AS v) s;
SELECT v[1] AS first, v[3] AS third, v[0] IS NULL AS before, v[4] IS NULL AS behind, v[2147483647] IS NULL AS far, v[NULL] IS NULL AS null,
	pg_typeof(v[1]) FROM (SELECT '[1,0.1,-3]'::halfvec AS v) s;
SELECT (NULL::vector)[1] IS NULL AS element, (NULL::halfvec)[1:2] IS NULL AS slice;

-- a slice is what of it exists, NULL if nothing does
SELECT v[2:4], v[2:2], v[:2] AS head, v[4:] AS tail, v[:] AS whole, v[-5:2] AS low, v[4:99] AS high, pg_typeof(v[2:4]) FROM (SELECT '[1,2,3,4,5]'::vector AS v) s;
SELECT v[2:4], v[:2] AS head, v[4:] AS tail, v[-2147483648:2147483647] AS all, pg_typeof(v[2:4]) FROM (SELECT '[1,2,3,4,5]'::halfvec AS v) s;
SELECT v[4:2] IS NULL AS turned, v[6:9] IS NULL AS behind, v[-3:0] IS NULL AS before, v[NULL:2] IS NULL AS lower, v[1:NULL] IS NULL AS upper
FROM (SELECT '[1,2,3,4,5]'::vector AS v) s;
SELECT (v[2:4])[1] AS second, v[2:4] <-> '[2,3,5]' AS distance FROM (SELECT '[1,2,3,4,5]'::vector AS v) s;

-- with expressions, of any integer type, of every storage
CREATE TABLE sub (id int, v vector(2000), h halfvec);
INSERT INTO sub SELECT 1, array_agg(i ORDER BY i), array_agg(i ORDER BY i) FROM generate_series(1, 2000) i;
INSERT INTO sub (id, h) VALUES (2, '[7,8,9]'), (3, NULL);
SELECT id, v[id + 1], v[2000::bigint], v[2001] AS none, h[id], h[3::smallint], h[2:id + 1], v[1998:] FROM sub ORDER BY id;
SELECT sum(v[i]::float8), sum(h[i]::float8) FROM sub, generate_series(1, 2000) i WHERE id = 1;
SELECT v['1'] AS literal, v[1.4] AS rounded FROM sub WHERE id = 1;
SELECT v[true] FROM sub;
SELECT v['x'] FROM sub;
SELECT v[1][2] FROM sub;
SELECT h[1:2][1] FROM sub;
PREPARE p (int) AS SELECT h[$1] FROM sub WHERE id = 2;
EXECUTE p (2);
EXECUTE p (NULL);
DEALLOCATE p;
-- typed columns of a view keep what was written
CREATE VIEW sub_view AS SELECT v[1] AS element, h[2:3] AS slice, h[:2] AS head FROM sub WHERE id < 3;
SELECT d LIKE '%v[1] AS element%' AS element, d LIKE '%h[2:3] AS slice%' AS slice, d LIKE '%h[:2] AS head%' AS head FROM pg_get_viewdef('sub_view') d;
SELECT element, vector_dims(slice), vector_dims(head) FROM sub_view ORDER BY 1;
DROP VIEW sub_view;
CREATE INDEX sub_element ON sub ((h[2]));
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM sub WHERE h[2] = 8;
SELECT id FROM sub WHERE h[2] = 8;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- for reading only
UPDATE sub SET v[1] = 2;
UPDATE sub SET h[1:2] = '[1,2]';
INSERT INTO sub (v[1]) VALUES (1);
\set VERBOSITY sqlstate
UPDATE sub SET v[1] = 2;
SELECT v[true] FROM sub;
\set VERBOSITY default
-- not even from PL/pgSQL
DO $$
DECLARE
	v vector := '[1,2,3]';
BEGIN
	RAISE NOTICE '% %', v[2], v[2:];
	v[2] := 5;
EXCEPTION WHEN feature_not_supported THEN
	RAISE NOTICE '%', SQLERRM;
END $$;
DROP TABLE sub;
