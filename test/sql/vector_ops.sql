-- arithmetic on the type vector, and which operator a "*" is

SELECT '[1,2,3]'::vector + '[4,5,6]' AS add, '[1,2,3]'::vector - '[4,5,6]' AS sub, '[1,2,3]'::vector * '[4,5,6]' AS mul;
SELECT '[1,2,3]'::vector || '[4,5]' AS concat;
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[1,-3e38]'::vector - '[1,3e38]';
SELECT '[1e37]'::vector * '[1e37]';
SELECT '[1,1e-37]'::vector * '[1,1e-37]';
SELECT '[0,-0,1e-37]'::vector * '[1e-45,1e-45,0]' AS no_underflow;
SELECT '[1,2]'::vector + '[3]';
SELECT '[1,2]'::vector - '[3]';
SELECT '[1,2]'::vector * '[3]';
SELECT array_fill(0, ARRAY[16000])::vector || '[1]';
SELECT vector_dims(array_fill(0, ARRAY[15999])::vector || '[1]');

-- a scalar, on either side and of any type of number
SELECT 2 * '[1,2]'::vector AS int4_l, '[1,2]'::vector * 2 AS int4_r;
SELECT 0.5 * '[1,2]'::vector AS numeric_l, '[1,2]'::vector * 0.5 AS numeric_r;
SELECT 2::bigint * '[1,2]'::vector AS int8, '[1,2]'::vector * 2::smallint AS int2;
SELECT 0.25::real * '[1,2]'::vector AS real_l, '[1,2]'::vector * 0.25::real AS real_r;
SELECT -1.5::double precision * '[1,2]'::vector AS double_l, '[1,2]'::vector * -1.5::double precision AS double_r;
SELECT 2 * v AS l, v * 0.5 AS r, v * v AS square, 2 * v * v AS both, v * 2 + v AS sum
FROM (VALUES ('[1,2]'::vector), ('[-4,8]')) s (v);
-- rounded once: the product is made in double precision
SELECT '[3e38]'::vector * 1e-38 AS scaled, '[1e-30]'::vector * 1e40 AS beyond_real;
SELECT vector_scale('[1,2]', 3) AS l, vector_scale(3, '[1,2]') AS r;
-- an untyped literal or parameter beside a vector is a vector
SELECT '[1,2]'::vector * '[3,4]' AS literal_r, '[1,2]' * '[3,4]'::vector AS literal_l;
PREPARE p AS SELECT '[1,2]'::vector * $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'p';
EXECUTE p('[5,6]');
DEALLOCATE p;
PREPARE p(float8) AS SELECT $1 * '[1,2]'::vector;
EXECUTE p(3);
DEALLOCATE p;
SELECT '[1,2]'::vector * NULL IS NULL AS r, NULL * '[1,2]'::vector IS NULL AS l;
SELECT '[1,2]'::vector * '2';
SELECT '[1,2]'::vector * true;
SELECT '[1,2]'::vector + 1;

SELECT '[3e38]'::vector * 2;
SELECT 1e300::float8 * '[0,1e10]'::vector;
SELECT '[1e-37]'::vector * 1e-37;
SELECT '[1,0]'::vector * 0 AS zero;
SELECT '[1]'::vector * 'NaN'::float8;
SELECT '[1]'::vector * 'Infinity'::float8;
SELECT '-Infinity'::real * '[0]'::vector;

\set VERBOSITY sqlstate
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[1e-37]'::vector * '[1e-37]';
SELECT '[3e38]'::vector * 2;
SELECT '[1e-37]'::vector * 1e-37;
SELECT '[1]'::vector * 'NaN'::float8;
SELECT '[1,2]'::vector + '[3]';
SELECT array_fill(0, ARRAY[16000])::vector || '[1]';
\set VERBOSITY default
