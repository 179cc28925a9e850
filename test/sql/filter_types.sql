-- Filter columns of each type: what an index gives is what the table has, for
-- every operator, with NULLs and values at the ends of what a type can hold

-- the ids that meet a condition, with the index or without
CREATE FUNCTION filter_ids(condition text, with_index bool) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
BEGIN
	PERFORM set_config('enable_seqscan', (NOT with_index)::text, true),
		set_config('enable_indexscan', with_index::text, true);
	EXECUTE format('SELECT array(SELECT id FROM (SELECT id FROM f WHERE %s ORDER BY v <-> ''[1,2]'') s ORDER BY id)', condition) INTO ids;
	RETURN ids;
END $$;

-- whether the condition is tested in the index, and how many rows that gave too many
CREATE FUNCTION filter_plan(condition text, OUT inside bool, OUT rechecked bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT id FROM f WHERE ' || condition || ' ORDER BY v <-> ''[1,2]''' INTO plan;
	plan := plan -> 0 -> 'Plan';
	inside := plan ? 'Index Cond' AND NOT plan ? 'Filter';
	rechecked := coalesce((plan ->> 'Rows Removed by Index Recheck')::bigint, 0);
END $$;

-- a table of these values and NULL, each three times, with an index
CREATE FUNCTION filter_table(type text, vals text[], am text DEFAULT 'hnsw', opclass text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS f;
	EXECUTE format('CREATE TABLE f (id int, v vector(2), c %s)', type);
	EXECUTE format('INSERT INTO f SELECT i, ARRAY[i, i * i %% 7]::vector, ($1)[1 + i %% $2]::%s FROM generate_series(1, 3 * $2) i', type)
		USING vals, cardinality(vals) + 1;
	EXECUTE format('CREATE INDEX ON f USING %s (v vector_l2_ops, c %s)', am, opclass);
END $$;

-- the conditions c OP argument, for all of some operators and arguments, and the same of arrays of these arguments
CREATE FUNCTION filter_conditions(type text, args text[], ops text[] DEFAULT '{<,<=,=,>=,>}') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('c %s %L::%s', op, arg, type) FROM unnest(ops) op, unnest(args) arg
	UNION ALL SELECT format('c %s NULL::%s', op, type) FROM unnest(ops) op
	UNION ALL SELECT format('c %s ANY (%L::%s[])', op, args || ARRAY[NULL], type) FROM unnest(ops) op WHERE ops @> '{=}'
	UNION ALL SELECT format('c %s ANY (%L::%s[])', op, args[2:3] || ARRAY[NULL], type) FROM unnest(ops) op WHERE ops @> '{=}'
	UNION ALL SELECT format('c %s ANY (%L::%s[])', op, args[1:1], type) FROM unnest(ops) op WHERE ops @> '{=}'
	UNION ALL SELECT format('c >= %L::%s AND c < %L::%s', a, type, b, type) FROM unnest(args) a, unnest(args) b WHERE ops @> '{<,>=}'
	UNION ALL SELECT format('c %s ANY (%L::%s[]) AND c > %L::%s', op, args[2:5], type, args[3], type) FROM unnest(ops) op WHERE ops @> '{>}'
	UNION ALL SELECT 'c IS NULL'
	UNION ALL SELECT 'c IS NOT NULL'
	UNION ALL SELECT format('c && %L::%s AND c @> %L::%s', a, type, b, type) FROM unnest(args) a, unnest(args) b WHERE ops @> '{@>}'
	UNION ALL SELECT format('c %s %L::%s AND c IS NULL', ops[1], args[1], type);
$$;

-- compares all of them
CREATE FUNCTION filter_compare(type text, args text[], ops text[] DEFAULT '{<,<=,=,>=,>}',
	OUT conditions int, OUT inside int, OUT met bigint, OUT rechecked bigint, OUT wrong text) LANGUAGE plpgsql AS $$
DECLARE
	condition text;
	plan record;
	exact int[];
	found int[];
BEGIN
	conditions := 0;
	inside := 0;
	met := 0;
	rechecked := 0;
	FOR condition IN SELECT filter_conditions(type, args, ops) LOOP
		exact := filter_ids(condition, false);
		found := filter_ids(condition, true);
		plan := filter_plan(condition);
		conditions := conditions + 1;
		inside := inside + plan.inside::int;
		met := met + cardinality(exact);
		rechecked := rechecked + plan.rechecked;
		IF exact <> found THEN
			wrong := coalesce(wrong || ', ', '') || format('%s: %s not %s', condition, found, exact);
		END IF;
	END LOOP;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'on', true);
END $$;

-- a table of some values, compared with arguments of its type
CREATE FUNCTION filter_test(type text, vals text[], collation_name text DEFAULT '', OUT conditions int, OUT inside int, OUT met bigint, OUT rechecked bigint, OUT wrong text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM filter_table(type || ' ' || collation_name, vals);
	SELECT * FROM filter_compare(type, vals) INTO conditions, inside, met, rechecked, wrong;
END $$;

SET client_min_messages = warning;

SELECT * FROM filter_test('bool', '{t,f}');
SELECT * FROM filter_test('"char"', '{a,b,c,"",~,"\\377"}');

-- integers, against each other
SELECT * FROM filter_test('int2', '{-32768,-32767,-1,0,1,2,7,32766,32767}');
SELECT * FROM filter_compare('int4', '{-2147483648,-32769,-32768,-1,0,7,32767,32768,2147483647}');
SELECT * FROM filter_compare('int8', '{-9223372036854775808,-2147483649,-32769,-32768,0,7,32767,32768,2147483648,9223372036854775807}');
SELECT * FROM filter_test('int4', '{-2147483648,-2147483647,-65536,-1,0,1,256,65535,2147483646,2147483647}');
SELECT * FROM filter_compare('int2', '{-32768,-1,0,1,256,32767}');
SELECT * FROM filter_compare('int8', '{-9223372036854775808,-2147483649,-2147483648,0,256,2147483647,2147483648,9223372036854775807}');
SELECT * FROM filter_test('int8', '{-9223372036854775808,-9223372036854775807,-4294967296,-32768,-1,0,1,4294967295,9223372036854775806,9223372036854775807}');
SELECT * FROM filter_compare('int2', '{-32768,-1,0,1,32767}');
SELECT * FROM filter_compare('int4', '{-2147483648,-32768,-1,0,1,2147483647}');
SELECT * FROM filter_test('oid', '{0,1,2147483647,2147483648,4294967294,4294967295}');

-- floats: -0 is 0, NaN comes last
SELECT * FROM filter_test('float4', '{-infinity,-3.4028235e38,-1.5,-1e-45,-0,0,1e-45,0.1,1.5,16777216,3.4028235e38,infinity,NaN}');
SELECT * FROM filter_compare('float8', '{-infinity,-1e300,-3.4028235e38,-3.4028234663852887e38,-1.5,-1e-300,-0,0,1e-300,1e-45,0.1,0.10000000149011612,1.5,16777217,3.4028234663852886e38,1e300,infinity,NaN}');
SELECT * FROM filter_test('float8', '{-infinity,-1.7976931348623157e308,-1.5,-5e-324,-0,0,5e-324,0.1,0.10000000149011612,1.5,1.7976931348623157e308,infinity,NaN}');
SELECT * FROM filter_compare('float4', '{-infinity,-1.5,-0,0,0.1,1.5,infinity,NaN}');

-- numerics that a double does not tell apart
SELECT * FROM filter_test('numeric', ARRAY['-Infinity', '-1e400', '-1e399', '-12345678901234567891', '-1', '0', '1e-400', '1e-399', '0.1', '0.10', '1', '12345678901234567890', '12345678901234567891', '1e308', '2e308', '1e400', 'Infinity', 'NaN']);

-- UUIDs that differ behind the eighth byte
SELECT * FROM filter_test('uuid', '{00000000-0000-0000-0000-000000000000,b5aa5bf0-3b0e-4f0a-0000-000000000000,b5aa5bf0-3b0e-4f0a-9a3c-55e8c5bd6e2a,b5aa5bf0-3b0e-4f0b-9a3c-55e8c5bd6e2a,ffffffff-ffff-ffff-ffff-ffffffffffff}');

-- enums whose OIDs are not in their order
CREATE TYPE mood AS ENUM ('sad', 'happy');
ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy';
ALTER TYPE mood ADD VALUE 'worst' BEFORE 'sad';
SELECT * FROM filter_test('mood', '{sad,ok,worst,happy}');

-- dates and times, against each other, in zones east and west
SELECT * FROM filter_test('date', '{-infinity,4714-11-24 BC,1969-12-31,1999-12-31,2000-01-01,2000-01-02,2024-02-29,294277-01-01,5874897-12-31,infinity}');
SELECT * FROM filter_compare('timestamp', '{-infinity,4714-11-24 00:00:00 BC,1999-12-31 23:59:59.999999,2000-01-01,2000-01-01 00:00:00.000001,2024-02-29 12:00,294276-12-31 23:59:59.999999,infinity}');
SET timezone = 'Pacific/Kiritimati';
SELECT * FROM filter_compare('timestamptz', '{-infinity,1999-12-31 00:00:00+12,2000-01-01,2000-01-01 00:00:00.000001,1999-12-31 23:59:59.999999,2024-02-29 12:00,294276-12-31 23:59:59.999999+00,infinity}');
SET timezone = 'Pacific/Honolulu';
SELECT * FROM filter_compare('timestamptz', '{-infinity,1999-12-31 00:00:00+12,2000-01-01,2000-01-01 00:00:00.000001,1999-12-31 23:59:59.999999,2024-02-29 12:00,294276-12-31 23:59:59.999999+00,infinity}');
SELECT * FROM filter_test('timestamp', '{-infinity,4714-11-24 00:00:00 BC,1999-12-31 23:59:59.999999,2000-01-01,2000-01-01 00:00:00.000001,2024-02-29 12:00,294276-12-31 23:59:59.999999,infinity}');
SELECT * FROM filter_compare('date', '{-infinity,4714-11-24 BC,1969-12-31,1999-12-31,2000-01-01,2000-01-02,2024-02-29,294277-01-01,5874897-12-31,infinity}');
SELECT * FROM filter_compare('timestamptz', '{-infinity,1999-12-31 00:00:00+12,2000-01-01,2000-01-01 00:00:00.000001,1999-12-31 23:59:59.999999,2024-02-29 12:00,294276-12-31 23:59:59.999999+00,infinity}');
SELECT * FROM filter_test('timestamptz', '{-infinity,4714-11-24 00:00:00+00 BC,1999-12-31 23:59:59.999999,2000-01-01,2000-01-01 00:00:00+00,2024-02-29 12:00,294276-12-31 23:59:59.999999+00,infinity}');
SELECT * FROM filter_compare('date', '{-infinity,4714-11-24 BC,1969-12-31,1999-12-31,2000-01-01,2000-01-02,2024-02-29,294277-01-01,5874897-12-31,infinity}');
SELECT * FROM filter_compare('timestamp', '{-infinity,4714-11-24 00:00:00 BC,1999-12-31 14:00,1999-12-31 23:59:59.999999,2000-01-01,2024-02-29 12:00,294276-12-31 23:59:59.999999,infinity}');
SET timezone = 'Pacific/Kiritimati';
SELECT * FROM filter_compare('date', '{-infinity,4714-11-24 BC,1969-12-31,1999-12-31,2000-01-01,2000-01-02,2024-02-29,294277-01-01,5874897-12-31,infinity}');
SELECT * FROM filter_compare('timestamp', '{-infinity,4714-11-24 00:00:00 BC,1999-12-31 14:00,1999-12-31 23:59:59.999999,2000-01-01,2024-02-29 12:00,294276-12-31 23:59:59.999999,infinity}');
RESET timezone;
SELECT * FROM filter_test('time', '{00:00,00:00:00.000001,12:00,23:59:59.999999,24:00}');

-- strings: in order of their bytes; in the database's own order, which may be another; in one that finds different bytes equal
SELECT * FROM filter_test('text', ARRAY['', 'a', 'A', 'abc', 'abcd', 'abcde', 'abcdz', 'abce', 'b', 'ä', 'äöüß', '~'], 'COLLATE "C"');
SELECT * FROM filter_compare('name', ARRAY['', 'a', 'abc', 'abcd', 'abcdz', 'ä']);
SELECT * FROM filter_test('name', ARRAY['', 'a', 'A', 'abcd', 'abcde', 'abcdz', 'b']);
SELECT * FROM filter_compare('text', ARRAY['', 'a', 'abc', 'abcd', 'abcdz', 'ä']);
SELECT * FROM filter_test('char(6)', ARRAY['', 'a', 'a ', ' a', 'abcd', 'abcd  ', 'abcde', 'b'], 'COLLATE "C"');
SELECT conditions, inside, wrong FROM filter_test('text', ARRAY['', 'a', 'A', 'abc', 'abcd', 'abcde', 'abcdz', 'abce', 'b', 'ä', 'äöüß', '~']);
SELECT conditions, inside, wrong FROM filter_test('varchar(9)', ARRAY['', 'a', 'a ', 'abc', 'abcd', 'b']);
SELECT conditions, inside, wrong FROM filter_test('char(6)', ARRAY['', 'a', 'a ', ' a', 'abcd', 'abcd  ', 'abcde', 'b']);
DO $$
DECLARE
	wrong text;
BEGIN
	IF current_setting('server_encoding') <> 'UTF8' OR NOT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') THEN
		RETURN;
	END IF;
	CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	SELECT string_agg(t.wrong, ', ') INTO wrong FROM unnest('{text,varchar,char(9)}'::text[]) type,
		filter_test(type, ARRAY['', 'a', 'A', 'abc', 'ABC', 'aBcd', 'b', 'ä', 'Ä'], 'COLLATE no_case') t;
	IF wrong IS NOT NULL THEN
		RAISE WARNING '%', wrong;
	END IF;
END $$;

-- a domain, and a type that is coerced
CREATE DOMAIN positive AS int8 CHECK (VALUE > 0);
SELECT * FROM filter_test('positive', '{1,2,3,9223372036854775807}');
SELECT * FROM filter_test('regtype', '{int4,text,vector,uuid}');

-- arrays
SELECT filter_table('int4[]', ARRAY['{}', '{1}', '{1,2}', '{2,3,NULL}', '{NULL}', '{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20}', '{{1,4},{5,6}}']);
SELECT * FROM filter_compare('int4[]', ARRAY['{}', '{1}', '{1,2}', '{2,3,NULL}', '{NULL}', '{7,100}', '{20,2,5}', '{{4,5}}'], '{&&,@>}');
SELECT filter_table('int8[]', ARRAY['{}', '{1}', '{1,2}', '{9223372036854775807,NULL}'], 'ivfflat');
SELECT * FROM filter_compare('int8[]', ARRAY['{}', '{1}', '{1,2}', '{9223372036854775807}'], '{&&,@>}');
SELECT filter_table('text[]', ARRAY['{}', '{a}', '{a,b}', '{"",NULL}', '{NULL}', '{a,ä,xyz}']);
SELECT * FROM filter_compare('text[]', ARRAY['{}', '{a}', '{b}', '{"",a}', '{NULL}', '{a,ä}'], '{&&,@>}');
SELECT filter_table('mood[]', ARRAY['{}', '{sad}', '{sad,happy}']);
SELECT * FROM filter_compare('mood[]', ARRAY['{}', '{sad}', '{happy}', '{ok}'], '{&&,@>}');
-- no hash function for what they hold
CREATE TABLE boxes (v vector(2), c box[]);
CREATE INDEX ON boxes USING hnsw (v vector_l2_ops, c);

-- IN with many elements, dense and sparse; and together with a range
SELECT filter_table('int4', (SELECT array_agg(i * i % 1000) FROM generate_series(1, 400) i)::text[]);
CREATE FUNCTION filter_same(condition text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s, %s', cardinality(filter_ids(condition, true)), filter_ids(condition, true) = filter_ids(condition, false));
$$;
SELECT filter_same(format('c = ANY (%L)', ARRAY(SELECT generate_series(0, 999, 7)))),
	filter_same(format('c = ANY (%L)', ARRAY(SELECT generate_series(100, 300)))),
	filter_same(format('c = ANY (%L::int8[])', ARRAY(SELECT generate_series(-5000000000, 5000000000, 10000000)))),
	filter_same(format('c = ANY (%L) AND c > 500', ARRAY(SELECT generate_series(0, 999, 7)))),
	filter_same(format('c = ANY (%L) AND c = ANY (%L)', ARRAY(SELECT generate_series(0, 999, 7)), ARRAY(SELECT generate_series(0, 999, 3)))),
	filter_same(format('c <> ALL (%L)', ARRAY(SELECT generate_series(0, 999, 7)))),
	filter_same('c NOT IN (1, 4, 9)');

-- an expression, as it is and among other columns
DROP TABLE f;
CREATE TABLE f (id int, v vector(2), name text, c int);
INSERT INTO f SELECT i, ARRAY[i, i % 7]::vector, CASE WHEN i % 5 > 0 THEN 'Name' || i % 5 END, i % 3 FROM generate_series(1, 60) i;
CREATE INDEX ON f USING ivfpq (v vector_l2_ops, c, (lower(name) COLLATE "C"), (c + 1), ((id % 2 = 0)));
SELECT c, filter_same(c), (filter_plan(c)).inside
FROM unnest(ARRAY['lower(name) COLLATE "C" = ''name3''', 'c + 1 = 2 AND lower(name) COLLATE "C" > ''name3''', 'c + 1 IN (1, 3) AND (id % 2 = 0)', 'NOT (id % 2 = 0)', 'name = ''Name3''']) c;

-- how bool columns are written
SELECT filter_table('bool', '{t,f}');
SELECT c, filter_same(c), (filter_plan(c)).inside
FROM unnest(ARRAY['c', 'NOT c', 'c IS TRUE', 'c IS FALSE', 'c IS NOT TRUE', 'c IS NOT FALSE', 'c IS UNKNOWN', 'c IS NOT UNKNOWN', 'c = true', 'c <> true']) c;

-- a plan; 18 also says which of its nodes were switched off
CREATE FUNCTION filter_explain(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line NOT LIKE '%Disabled: true' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;

-- whatever is not known before a scan begins: parameters, joins, rescans
CREATE TABLE tenants (id int, kinds int[], since date);
INSERT INTO tenants VALUES (1, '{1,2}', '2024-01-01'), (2, '{3,NULL}', '2024-03-01'), (3, NULL, '2024-01-01'), (4, '{}', NULL), (NULL, '{1}', '2024-01-01'), (1, '{4}', '-infinity');
CREATE TABLE d (id serial, v vector(2), tenant int, kind int, made timestamptz);
INSERT INTO d (v, tenant, kind, made)
SELECT ARRAY[i % 17, i % 13]::vector, i % 5, i % 7, '2024-01-01'::timestamptz + (i % 100) * interval '1 day' FROM generate_series(1, 1000) i;
CREATE INDEX ON d USING hnsw (v vector_l2_ops, tenant, kind, made);
ANALYZE d;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT filter_explain($$SELECT t.id, x.id FROM tenants t, LATERAL (SELECT d.id FROM d WHERE tenant = t.id AND kind = ANY (t.kinds) AND made > t.since ORDER BY v <-> '[3,3]' LIMIT 3) x$$);
CREATE TABLE with_index AS
SELECT t AS t, x.* FROM tenants t, LATERAL (SELECT d.id, v <-> '[3,3]' AS distance FROM d WHERE tenant = t.id AND kind = ANY (t.kinds) AND made > t.since ORDER BY 2, 1) x;
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT count(*), count(*) = (SELECT count(*) FROM with_index) AS same FROM (
	SELECT t AS t, x.* FROM tenants t, LATERAL (SELECT d.id, v <-> '[3,3]' AS distance FROM d WHERE tenant = t.id AND kind = ANY (t.kinds) AND made > t.since ORDER BY 2, 1) x
	INTERSECT SELECT * FROM with_index) s;
RESET enable_indexscan;
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE p (int, int[], timestamptz) AS SELECT count(*) FROM (SELECT id FROM d WHERE tenant = $1 AND kind = ANY ($2) AND made >= $3 ORDER BY v <-> '[3,3]') s;
SELECT filter_explain($$EXECUTE p (1, '{1,2}', '2024-02-01')$$);
EXECUTE p (1, '{1,2}', '2024-02-01');
EXECUTE p (1, '{}', '2024-02-01');
EXECUTE p (1, NULL, '2024-02-01');
EXECUTE p (NULL, '{1}', '2024-02-01');
EXECUTE p (2, '{1,2,3,4,5,6,7,8,9,10,11}', '-infinity');
SELECT count(*) FROM d WHERE tenant = 1 AND kind IN (1, 2) AND made >= '2024-02-01';
RESET plan_cache_mode;
RESET enable_sort;

-- no distance, no use of the index; never an error
SELECT filter_explain($$SELECT * FROM d WHERE tenant = 1$$);
SELECT filter_explain($$SELECT * FROM d WHERE v IS NULL ORDER BY v <-> '[3,3]' LIMIT 3$$);
RESET enable_seqscan;

-- columns that cannot be
CREATE INDEX ON d USING hnsw (tenant, v vector_l2_ops);
CREATE INDEX ON d USING ivfpq (v vector_l2_ops, v vector_l2_ops);
CREATE INDEX ON d USING hnsw (v vector_l2_ops, (v::text::jsonb));

DROP TABLE f, d, tenants, with_index, boxes;
