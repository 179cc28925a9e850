-- distances, length and casts of the type sparsevec

-- the four distances, where both, one or neither has an element
SELECT a, b, round((a <-> b)::numeric, 5) AS l2, a <#> b AS neg_ip, round((a <=> b)::numeric, 5) AS cosine, a <+> b AS l1
FROM (VALUES ('{1:3,2:4}/2'::sparsevec, '{}/2'::sparsevec), ('{1:3}/2', '{2:4}/2'), ('{1:1,2:2}/2', '{1:3,2:4}/2'),
	('{1:1,3:3,5:5}/5', '{2:4,3:6,4:8}/5'), ('{1:1,2:1}/2', '{1:-1,2:-1}/2'), ('{3:1}/9', '{1:1,2:2,3:3,9:9}/9'),
	('{}/1', '{}/1'), ('{999999999:2,1000000000:3}/1000000000', '{1:1,1000000000:1}/1000000000')) t (a, b);
SELECT l2_distance('{1:3}/2'::sparsevec, '{2:4}/2'), inner_product('{1:1,2:2}/2'::sparsevec, '{1:3,2:4}/2'),
	cosine_distance('{1:1,2:2}/2'::sparsevec, '{1:2,2:4}/2'), l1_distance('{1:1}/2'::sparsevec, '{2:-2}/2'),
	sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2'), sparsevec_negative_inner_product('{1:1}/2', '{1:3}/2');
SELECT inner_product('{1:1}/2'::sparsevec, '{2:1}/2') AS no_negative_zero;
-- the range of real
SELECT l2_distance('{1:3e38}/1'::sparsevec, '{1:-3e38}/1'), inner_product('{1:3e38}/1'::sparsevec, '{1:3e38}/1'),
	cosine_distance('{1:3e38}/1'::sparsevec, '{1:3e38}/1'), l1_distance('{1:3e38}/1'::sparsevec, '{1:-3e38}/1');
SELECT l2_distance('{1:1}/2'::sparsevec, '{1:1}/3');
SELECT '{1:1}/2'::sparsevec <#> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <=> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <+> '{1:1}/3';
SELECT l2_distance('{1:1}/2'::sparsevec, NULL) IS NULL AS l2, inner_product(NULL::sparsevec, '{1:1}/2') IS NULL AS ip;

-- as the dense type has them
CREATE TABLE mixed AS
SELECT i, array_agg(CASE WHEN j * i % 7 < 3 THEN (j * 31 + i * 17) % 23 - 11 ELSE 0 END ORDER BY j)::real[] AS x
FROM generate_series(1, 40) i, generate_series(1, 200) j GROUP BY i;
SELECT count(*) AS pairs,
	count(*) FILTER (WHERE abs((s.a <-> s.b) - (s.v <-> s.w)) > 1e-3) AS l2,
	count(*) FILTER (WHERE s.a <#> s.b <> s.v <#> s.w) AS ip,
	count(*) FILTER (WHERE abs((s.a <=> s.b) - (s.v <=> s.w)) > 1e-5) AS cosine,
	count(*) FILTER (WHERE s.a <+> s.b <> s.v <+> s.w) AS l1,
	count(*) FILTER (WHERE sparsevec_cmp(s.a, s.b) <> vector_cmp(s.v, s.w)) AS cmp,
	count(*) FILTER (WHERE s.a::vector <> s.v OR s.v::sparsevec <> s.a) AS casts
FROM (SELECT m.x::sparsevec AS a, n.x::sparsevec AS b, m.x::vector AS v, n.x::vector AS w FROM mixed m, mixed n) s;
DROP TABLE mixed;

-- nearest rows, some of them toasted
CREATE TABLE docs (id int, v sparsevec(30000));
INSERT INTO docs SELECT i, ('{' || string_agg((j * i % 29989 + 1) || ':' || j % 5 + 1, ',') || '}/30000')::sparsevec
FROM generate_series(1, 8) i, generate_series(1, 100 * i) j GROUP BY i;
INSERT INTO docs VALUES (9, NULL);
SELECT id, v <#> (SELECT v FROM docs WHERE id = 3) AS d FROM docs ORDER BY v <#> (SELECT v FROM docs WHERE id = 3), id LIMIT 3;
SELECT id FROM docs ORDER BY v <-> (SELECT v FROM docs WHERE id = 7), id LIMIT 2;
DROP TABLE docs;

-- length
SELECT l2_norm('{1:3,2:4}/2'::sparsevec), l2_norm('{}/2'::sparsevec), l2_norm('{1:1.5e38,9:2e38}/9'::sparsevec)::real AS large;
SELECT l2_normalize('{1:3,2:4}/2'::sparsevec), l2_normalize('{}/2'::sparsevec), l2_normalize('{2:1e-40}/2'::sparsevec);
-- elements that become too small are left out
SELECT l2_normalize('{1:3e38,2:1e-37}/2'::sparsevec), l2_normalize('{2:3e37,4:3e-37,6:4e37,8:4e-37}/9'::sparsevec);
SELECT l2_norm(NULL::sparsevec) IS NULL AS norm, l2_normalize(NULL::sparsevec) IS NULL AS normalize;

-- casts
SELECT '[0,1.5,0,3.5,-0]'::vector::sparsevec, '[0,0]'::vector::sparsevec, '[0,1]'::vector::sparsevec(2);
SELECT '[0,1.5]'::vector::sparsevec(3);
SELECT '{2:1.5,4:3.5}/5'::sparsevec::vector, '{}/2'::sparsevec::vector, '{1:1}/2'::sparsevec::vector(2);
SELECT '{2:1.5}/5'::sparsevec::vector(4);
SELECT '{}/16001'::sparsevec::vector;
SELECT vector_dims('{16000:1}/16000'::sparsevec::vector);
SELECT ARRAY[1,0,2,0,3,0]::sparsevec, '{1,0,2.5}'::real[]::sparsevec, '{1,0,0.1,1e-50}'::float8[]::sparsevec, '{1,0,2.5}'::numeric[]::sparsevec;
SELECT '{1,0,2}'::real[]::sparsevec(3);
SELECT '{1,0,2}'::real[]::sparsevec(2);
SELECT '{NULL}'::real[]::sparsevec;
SELECT '{0,NaN}'::real[]::sparsevec;
SELECT '{Infinity}'::float8[]::sparsevec;
SELECT '{1,0,1e39}'::float8[]::sparsevec;
SELECT '{1e39}'::numeric[]::sparsevec;
SELECT '{}'::real[]::sparsevec;
SELECT '{{1}}'::real[]::sparsevec;
-- many dimensions, of which few are not zero
SELECT (array_fill(0, ARRAY[99999]) || 7)::sparsevec, (array_fill(0::float8, ARRAY[50000]) || 7::float8)::sparsevec;
SELECT array_agg(n)::sparsevec FROM generate_series(1, 16001) n;
-- a vector is taken where a sparsevec is wanted
SELECT '[1,2]'::vector <-> '{1:1}/2'::sparsevec AS mixed;
CREATE TABLE taken (v sparsevec(3));
INSERT INTO taken VALUES ('[1,0,2]'::vector);
INSERT INTO taken SELECT ARRAY[0,1,0];
SELECT * FROM taken;
DROP TABLE taken;
