-- avg and sum of the type vector

SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::vector, '[3,5,7]']) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::vector, NULL, '[3,5,7]', NULL]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1.5,-2]'::vector]) v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[]::vector[]) v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[NULL, NULL]::vector[]) v;
SELECT avg(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v;
SELECT sum(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v;
SELECT avg(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v;
SELECT sum(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v;

-- groups, windows and distinct values keep their own states
CREATE TABLE agg (g int, i int, v vector(2));
INSERT INTO agg SELECT i % 3, i, ARRAY[i, -i] FROM generate_series(1, 9) i;
SELECT g, avg(v), sum(v), count(v) FROM agg GROUP BY g ORDER BY g;
SELECT g, avg(v), sum(v) FROM agg GROUP BY ROLLUP (g) ORDER BY g;
SELECT i, avg(v) OVER w AS avg, sum(v) OVER w AS sum FROM agg WINDOW w AS (ORDER BY i) ORDER BY i;
SELECT i, sum(v) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moving FROM agg ORDER BY i;
SELECT avg(DISTINCT v) AS avg, sum(v) FILTER (WHERE g = 0) AS filtered FROM (SELECT g, v FROM agg UNION ALL SELECT g, v FROM agg WHERE i = 1) s;
DROP TABLE agg;

-- toasted values
SELECT subvector(avg(v), 1500, 5), subvector(sum(v), 1500, 5)
FROM (SELECT array_fill(i, ARRAY[1501])::vector AS v FROM generate_series(1, 5) i) s;

-- in parallel, also where workers or all see no row
CREATE TABLE par (i int, v vector(3));
INSERT INTO par SELECT i, ARRAY[i, 1, -i] FROM generate_series(1, 1000) i;
ANALYZE par;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/plan_has.sql'
\i :include
SELECT plan_has('SELECT avg(v), sum(v) FROM par', 'Partial Aggregate');
SELECT avg(v), sum(v) FROM par;
DELETE FROM par WHERE i <> 7;
SELECT plan_has('SELECT avg(v), sum(v) FROM par', 'Partial Aggregate');
SELECT avg(v), sum(v) FROM par;
DELETE FROM par;
SELECT plan_has('SELECT avg(v), sum(v) FROM par', 'Partial Aggregate');
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM par;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP FUNCTION plan_has(text, text);
DROP TABLE par;

-- the pieces, called by hand; a state is {number, sums}
SELECT vector_accum('{0}', '[1,2,3]'), vector_accum('{0,0,0,0}', '[1,2,3]'), vector_accum('{2,1,1}', '[1,2]');
SELECT vector_combine('{1,2}', '{3,4}'), vector_combine('{0}', '{3,4}'), vector_combine('{3,4}', '{0}'), vector_combine('{0}', '{0}');
SELECT vector_avg('{2,2,4,6}'), vector_avg('{0}') IS NULL AS none, vector_avg('{0,1}') IS NULL AS zero;
-- a state that is a constant or a column is not changed
SELECT s, vector_accum(s, '[1]'), vector_combine(s, s), s FROM (VALUES ('{1,2}'::float8[])) t (s);

-- malformed states
SELECT vector_accum('{}', '[1]');
SELECT vector_accum('{{0}}', '[1]');
SELECT vector_accum('{{0,1},{2,3}}', '[1]');
SELECT vector_accum('{NULL}', '[1]');
SELECT vector_accum('{0,NULL}', '[1]');
SELECT vector_accum('{1}', '[1]');
SELECT vector_accum('{-1,1}', '[1]');
SELECT vector_accum('{NaN,1}', '[1]');
SELECT vector_accum('{Infinity,1}', '[1]');
SELECT vector_accum('{0,0}', '[1,2,3]');
SELECT vector_accum('{1,Infinity}', '[1]');
SELECT vector_avg(vector_accum('{1,NaN}', '[1]'));
SELECT vector_accum(array_fill(1::float8, ARRAY[20000]), '[1]');
SELECT vector_combine('{}', '{0}');
SELECT vector_combine('{0}', '{}');
SELECT vector_combine('{{1,2}}', '{3,4}');
SELECT vector_combine('{1,2}', '{{3,4}}');
SELECT vector_combine('{NULL,2}', '{3,4}');
SELECT vector_combine('{1,2}', '{3,NULL}');
SELECT vector_combine('{1}', '{1}');
SELECT vector_combine('{1}', '{0}');
SELECT vector_combine('{1,2}', '{1,2,3}');
SELECT vector_combine('{1,1e308}', '{1,1e308}');
SELECT vector_combine('{-1,2}', '{1,2}');
SELECT vector_combine('{0}', array_fill(1::float8, ARRAY[16002]));
SELECT vector_combine(array_fill(1::float8, ARRAY[16002]), array_fill(1::float8, ARRAY[16002]));
SELECT vector_avg('{}');
SELECT vector_avg('{1}');
SELECT vector_avg('{{2,2,4,6}}');
SELECT vector_avg('{NULL,2}');
SELECT vector_avg('{1,NULL}');
SELECT vector_avg('{-1,2}');
SELECT vector_avg('{NaN,2}');
SELECT vector_avg('{1,NaN}');
SELECT vector_avg('{1,1e300}');
SELECT vector_avg('{1e-300,1e10}');
SELECT vector_avg(array_fill(1::float8, ARRAY[16002]));
\set VERBOSITY sqlstate
SELECT vector_accum('{}', '[1]');
SELECT vector_combine('{1}', '{1}');
SELECT vector_avg('{-1,2}');
SELECT vector_avg('{1,NaN}');
SELECT sum(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v;
\set VERBOSITY default
