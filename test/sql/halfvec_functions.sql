-- distances, functions and arithmetic of the type halfvec

SELECT l2_distance('[0,0]'::halfvec, '[3,4]'), '[0,0]'::halfvec <-> '[3,4]' AS op, halfvec_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::halfvec, '[3,4]'), '[1,2]'::halfvec <#> '[3,4]' AS op, halfvec_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::halfvec, '[2,4]'), '[1,0]'::halfvec <=> '[0,2]' AS op, cosine_distance('[1,2]'::halfvec, '[0,0]') AS zero;
SELECT l1_distance('[0,0]'::halfvec, '[3,-4]'), '[0,0]'::halfvec <+> '[3,-4]' AS op;
SELECT halfvec_spherical_distance('[1,0]', '[0,1]'), halfvec_spherical_distance('[1,0]', '[-1,0]');
-- beyond the range of a half, not of a distance
SELECT l2_distance('[65504]'::halfvec, '[-65504]'), inner_product('[65504]'::halfvec, '[65504]'), l1_distance('[65504]'::halfvec, '[-65504]');
SELECT l2_distance('[5.9604645e-8]'::halfvec, '[0]') > 0 AS subnormal;
SELECT '[1,2]'::halfvec <-> '[1,2,3]';
SELECT '[1,2]'::halfvec <#> '[1,2,3]';
SELECT '[1,2]'::halfvec <=> '[1,2,3]';
SELECT '[1,2]'::halfvec <+> '[1,2,3]';
SELECT halfvec_spherical_distance('[1,2]', '[3]');
SELECT l2_distance(NULL::halfvec, '[1]') IS NULL AS l2, l2_normalize(NULL::halfvec) IS NULL AS normalize;

-- with every instruction set of this machine: exactly the distances of the same vectors, at every length
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/include/at_every_level.sql'
\i :include
CREATE FUNCTION halves_agree(d int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	a halfvec;
	b halfvec;
	v vector;
	w vector;
BEGIN
	SELECT array_agg(sin(i * 7) ORDER BY i), array_agg(cos(i * 11) * 100 ORDER BY i) INTO a, b FROM generate_series(1, d) i;
	v := a::vector;
	w := b::vector;
	RETURN a <-> b = v <-> w AND a <#> b = v <#> w AND a <+> b = v <+> w AND a <=> b = v <=> w
		AND l2_norm(a) = vector_norm(v) AND v::halfvec = a
		AND abs((a <-> b) - (SELECT sqrt(sum((x - y) ^ 2)) FROM unnest(a::float8[], b::float8[]) AS u (x, y))) <= 1e-3 * (a <-> b);
END $$;
SELECT at_every_level('halves_agree');
DROP FUNCTION at_every_level, halves_agree;

-- one vector
SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_norm('[0]'::halfvec), l2_norm('[65504,65504]'::halfvec)::real;
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[65504]'::halfvec), l2_normalize('[0,0]'::halfvec), l2_normalize('[0,5.9604645e-8]'::halfvec);
SELECT binary_quantize('[1,0,-1]'::halfvec), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 2, 3), subvector('[1,2,3,4,5]'::halfvec, -1, 3), subvector('[1,2,3,4,5]'::halfvec, 3, 2147483647);
SELECT subvector('[1,2,3,4,5]'::halfvec, 6, 1);

-- arithmetic is float4's, rounded once
SELECT '[1,2,3]'::halfvec + '[4,5,6]' AS add, '[1,2,3]'::halfvec - '[4,5,6]' AS sub, '[1,2,3]'::halfvec * '[4,5,6]' AS mul, '[1,2]'::halfvec || '[3]' AS concat;
SELECT '[2048]'::halfvec + '[1]' AS tie, '[2048]'::halfvec + '[3]' AS tie_up, '[0.1]'::halfvec * '[0.1]' AS mul;
SELECT '[65504]'::halfvec + '[15]' AS rounded_down;
SELECT '[65504]'::halfvec + '[16]';
SELECT '[1,-65504]'::halfvec - '[1,65504]';
SELECT '[300]'::halfvec * '[300]';
SELECT '[1,0.0001]'::halfvec * '[1,0.0001]';
SELECT '[0,0.0001]'::halfvec * '[0.0001,0]' AS no_underflow;
SELECT '[1,2]'::halfvec + '[3]';
SELECT array_fill(0, ARRAY[16000])::halfvec || '[1]';
SELECT 2 * '[1,2]'::halfvec AS int4, '[1,2]'::halfvec * 0.5 AS num, 0.25::real * '[1,2]'::halfvec AS real, '[1,2]'::halfvec * '[3,4]' AS literal;
SELECT '[1,2]'::halfvec * 40000;
SELECT 1e-9 * '[1,2]'::halfvec;
SELECT '[1]'::halfvec * 'NaN'::float8;

-- of every storage: short header, plain, fetched from the TOAST table
CREATE TABLE stored (v halfvec);
INSERT INTO stored SELECT (SELECT array_agg(i % 2000 ORDER BY i) FROM generate_series(1, d) i)::halfvec FROM unnest(ARRAY[3, 100, 3000, 16000]) d;
SELECT vector_dims(v), subvector(v, 2, 2), subvector(v, vector_dims(v) - 1, 5), v <-> v AS self, v = v AS eq FROM stored ORDER BY 1;
DROP TABLE stored;

-- costs follow the dimensions; a halfvec stays out of the TOAST table twice as long
\set include :srcdir '/include/cost_of.sql'
\i :include
CREATE TABLE costs (short halfvec(3), long halfvec(900), toasted halfvec(3000), vector vector(900));
SELECT cost_of('SELECT short <-> short FROM costs') < cost_of('SELECT long <-> long FROM costs') AS longer,
	10 * cost_of('SELECT long <-> long FROM costs') < cost_of('SELECT toasted <-> toasted FROM costs') AS toasted,
	2 * cost_of('SELECT long <-> long FROM costs') < cost_of('SELECT vector <-> vector FROM costs') AS vector;
DROP TABLE costs;
DROP FUNCTION cost_of(text);
