/*
 * What is reached through SQL statements only: laws that hold between
 * functions, subscripts, aggregates, type modifiers in place, indexes over
 * fuzzed values, options, settings and vecidx_check().  Each DO block raises
 * an error where something is amiss, and is followed by a line "ok ...".
 *
 * Variables: calls, seed.
 */
SET client_min_messages = error;
SET plan_cache_mode = force_generic_plan;
SELECT greatest(:calls / 20, 100) AS rows, :seed AS seed \gset
SELECT set_config('fuzz.rows', :'rows', false), set_config('fuzz.seed', :'seed', false) \g /dev/null
SELECT setseed((:seed % 1000) / 1000.0) \g /dev/null

CREATE FUNCTION fuzz_rows() RETURNS integer LANGUAGE sql RETURN current_setting('fuzz.rows')::integer;
CREATE FUNCTION fuzz_seed() RETURNS bigint LANGUAGE sql RETURN current_setting('fuzz.seed')::bigint;

/*
 * Runs a statement and gives the SQLSTATE, which may be any but one that says
 * that something is wrong with the server.
 */
CREATE FUNCTION fuzz_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE ~ '^(XX|53|57|58|P0)' THEN
		RAISE EXCEPTION 'fuzz: % "%" from: %', SQLSTATE, SQLERRM, left(statement, 1000);
	END IF;
	RETURN SQLSTATE;
END $$;

/* Error unless the query's number, which counts exceptions from a rule, is 0. */
CREATE FUNCTION fuzz_none(rule text, query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE query INTO n;
	IF n <> 0 THEN
		RAISE EXCEPTION 'fuzz: % rows break "%": %', n, rule, query;
	END IF;
END $$;

CREATE FUNCTION fuzz_pick(choices text[]) RETURNS text LANGUAGE sql VOLATILE
	RETURN choices[1 + floor(random() * cardinality(choices))::integer];

/* Order, equality and hashes agree with each other. */
DO $$
DECLARE
	type text;
BEGIN
	FOREACH type IN ARRAY '{vector,halfvec,sparsevec}'::text[] LOOP
		EXECUTE format('CREATE TEMP TABLE pairs AS
			SELECT CASE WHEN i %% 3 = 0 THEN a ELSE fuzz_value(NULL::%1$s, fuzz_seed(), -i) END AS b, a
			FROM (SELECT i, fuzz_value(NULL::%1$s, fuzz_seed(), i) AS a FROM generate_series(1, fuzz_rows()) i) t', type);
		PERFORM fuzz_none(type || ' order', format('SELECT count(*) FROM pairs WHERE
			%1$s_cmp(a, b) <> -%1$s_cmp(b, a) OR (a < b) <> (%1$s_cmp(a, b) < 0) OR (a <= b) <> (%1$s_cmp(a, b) <= 0)
			OR (a = b) <> (%1$s_cmp(a, b) = 0) OR (a <> b) = (a = b) OR (a >= b) <> (b <= a) OR (a > b) <> (b < a)', type));
		PERFORM fuzz_none(type || ' hash', format('SELECT count(*) FROM pairs WHERE a = b AND
			(%1$s_hash(a) <> %1$s_hash(b) OR %1$s_hash_extended(a, 7) <> %1$s_hash_extended(b, 7))', type));
		PERFORM fuzz_none(type || ' sort', 'SELECT count(*) FROM
			(SELECT a, lag(a) OVER (ORDER BY a) AS before FROM pairs) t WHERE before > a');
		PERFORM fuzz_none(type || ' text', format('SELECT count(*) FROM pairs WHERE a::text::%1$s <> a', type));
		DROP TABLE pairs;
	END LOOP;
END $$;
\echo ok order, equality, hashes

/* Casts that lose nothing come back. */
SELECT fuzz_none(rule, format('SELECT count(*) FROM
	(SELECT fuzz_value(NULL::%s, fuzz_seed(), i) AS v FROM generate_series(1, fuzz_rows()) i) t WHERE ', type) || rule)
FROM (VALUES
	('vector', 'v::real[]::vector <> v'),
	('vector', 'v::double precision[]::vector <> v'),
	('vector', 'vector_norm(v) < 0 OR abs(vector_norm(l2_normalize(v)) - (vector_norm(v) > 0)::integer) > 1e-3'),
	('vector', 'length(binary_quantize(v)) <> vector_dims(v)'),
	('vector', 'vector_dims(v) <= 8000 AND subvector(v || v, vector_dims(v) + 1, vector_dims(v)) <> v'),
	('halfvec', 'v::vector::halfvec <> v'),
	('halfvec', 'v::real[]::halfvec <> v'),
	('halfvec', 'v::numeric[]::halfvec <> v AND vector_dims(v) < 100'),
	('halfvec', 'v::sparsevec::halfvec <> v'),
	('halfvec', 'length(binary_quantize(v)) <> vector_dims(v)'),
	('sparsevec', 'l2_norm(v) < 0')) AS t (type, rule) \g /dev/null
\echo ok casts and back

/* Subscripts give what those of real[] give, whatever form the stored value has. */
DO $$
DECLARE
	type text;
	storage text;
BEGIN
	FOREACH type IN ARRAY '{vector,halfvec}'::text[] LOOP
		FOREACH storage IN ARRAY '{plain,main,external,extended}'::text[] LOOP
			EXECUTE format('CREATE TEMP TABLE stored (v %s, i integer, j integer)', type);
			EXECUTE format('ALTER TABLE stored ALTER v SET STORAGE %s', storage);
			EXECUTE format('INSERT INTO stored SELECT v,
				(ARRAY[NULL, 0, 1, -1, vector_dims(v), vector_dims(v) + 1, 2147483647, -2147483648])[1 + i %% 9],
				(ARRAY[NULL, 0, 1, -1, vector_dims(v), vector_dims(v) - 1, 3, 2147483647, -2147483648])[1 + i / 9 %% 10]
				FROM (SELECT i, fuzz_value(NULL::%s, fuzz_seed(), i) AS v FROM generate_series(1, fuzz_rows()) i) t
				WHERE vector_dims(v) < 1900', type);
			PERFORM fuzz_none('subscripts of ' || storage, 'SELECT count(*) FROM stored WHERE
				v[i] IS DISTINCT FROM (v::real[])[i]
				OR v[i:j]::real[] IS DISTINCT FROM nullif((v::real[])[i:j], ''{}'')
				OR v[:j]::real[] IS DISTINCT FROM nullif((v::real[])[:j], ''{}'')
				OR v[i:]::real[] IS DISTINCT FROM nullif((v::real[])[i:], ''{}'')
				OR v[:]::real[] IS DISTINCT FROM v::real[]');
			PERFORM fuzz_none('dimensions of ' || storage, 'SELECT count(*) FROM stored WHERE
				vector_dims(v) <> cardinality(v::real[])');
			DROP TABLE stored;
		END LOOP;
	END LOOP;
END $$;
\echo ok subscripts

/* Aggregates over groups of equal and of different dimensions, serial and parallel. */
DO $$
DECLARE
	type text;
	states text[] = '{}';
BEGIN
	FOREACH type IN ARRAY '{vector,halfvec}'::text[] LOOP
		EXECUTE format('CREATE TABLE fuzz_values AS SELECT i, vector_dims(v) AS dim, v
			FROM (SELECT i, fuzz_value(NULL::%s, fuzz_seed(), i) AS v FROM generate_series(1, fuzz_rows()) i) t', type);
		ANALYZE fuzz_values;
		FOR workers IN 0..1 LOOP
			PERFORM set_config('max_parallel_workers_per_gather', workers::text, true),
				set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true),
				set_config('min_parallel_table_scan_size', '0', true);
			/* a worker's start is what takes time */
			FOR d IN 0..CASE workers WHEN 0 THEN 40 ELSE 3 END LOOP
				states = states
					|| fuzz_try(format('SELECT avg(v), sum(v) FROM fuzz_values WHERE dim = %s', d))
					|| fuzz_try(format('SELECT avg(v) FROM fuzz_values WHERE dim BETWEEN %s AND %s', d, d + 1))
					|| fuzz_try(format('SELECT avg(v) FILTER (WHERE i %% 7 = 0), sum(v) FROM fuzz_values WHERE dim = %s GROUP BY i %% 5', d))
					|| fuzz_try(format('SELECT avg(v) OVER (ORDER BY i), sum(v) OVER (ORDER BY i ROWS 3 PRECEDING) FROM fuzz_values WHERE dim = %s', d));
			END LOOP;
		END LOOP;
		DROP TABLE fuzz_values;
	END LOOP;
	IF NOT ('00000' = ANY (states) AND '22000' = ANY (states)) THEN
		RAISE EXCEPTION 'fuzz: no aggregate succeeded, or none failed';
	END IF;
END $$;
\echo ok aggregates

/* Type modifiers where users write them. */
DO $$
DECLARE
	modifier text;
	type text;
	states text[] = '{}';
BEGIN
	FOREACH type IN ARRAY '{vector,halfvec,sparsevec}'::text[] LOOP
		FOREACH modifier IN ARRAY ARRAY['', '()', '(0)', '(1)', '(-1)', '(3)', '(16000)', '(16001)', '(1000000000)',
			'(1000000001)', '(2147483647)', '(2147483648)', '(99999999999999999999)', '(3, 3)', '(3.5)', '(''3'')', '(''a'')',
			'(NULL)', '(a)', '("3")', '(1e3)', '(0x10)', '(+3)', '('''')', '(''3,3'')'] LOOP
			states = states
				|| fuzz_try(format('SELECT %L::%s%s', CASE type WHEN 'sparsevec' THEN '{1:1}/3' ELSE '[1,2,3]' END, type, modifier))
				|| fuzz_try(format('CREATE TEMP TABLE t (v %s%s); DROP TABLE t', type, modifier))
				|| fuzz_try(format('SELECT %s%s %L', type, modifier, CASE type WHEN 'sparsevec' THEN '{}/3' ELSE '[1]' END))
				|| fuzz_try(format('SELECT ARRAY[1,2,3]::%s%s', type, modifier))
				|| fuzz_try(format('SELECT ARRAY[''[1,2,3]'']::%s%s[]', type, modifier))
				|| fuzz_try(format('CREATE DOMAIN d AS %s%s; DROP DOMAIN d', type, modifier));
		END LOOP;
	END LOOP;
	IF NOT ('00000' = ANY (states) AND '22023' = ANY (states)) THEN
		RAISE EXCEPTION 'fuzz: no type modifier was taken, or none refused';
	END IF;
END $$;
\echo ok type modifiers

/* Options of indexes. */
CREATE TABLE fuzz_options (v vector(3), h halfvec(40));
INSERT INTO fuzz_options SELECT ARRAY[i, i % 7, 1], array_fill(i % 11, ARRAY[40]) FROM generate_series(1, 50) i;
DO $$
DECLARE
	names text[] = ARRAY['m', 'ef_construction', 'quantizer', 'M', '"M"', 'lists', 'fillfactor', 'toast.m', 'hnsw.m', '"m "'];
	vals text[] = ARRAY['0', '1', '2', '-1', '3', '4', '16', '100', '101', '1000', '1001', '2147483647', '2147483648', '1e3', '1.5',
		'99999999999999999999', 'nan', 'true', 'none', '''none''', '''NONE''', 'sq8', '''sq8''', 'rabitq4', '''rabitq4''', '''''',
		'''rabitq''', '''sq8 ''', '''\x01''', '''' || repeat('x', 5000) || '''', 'null', '-2147483648', '0x10', '''16''', '''1 6'''];
	options text;
	states text[] = '{}';
BEGIN
	FOR i IN 1..least(fuzz_rows(), 3000) LOOP
		options = fuzz_pick(names) || ' = ' || fuzz_pick(vals);
		WHILE random() < 0.4 LOOP
			options = options || ', ' || fuzz_pick(names) || CASE WHEN random() < 0.9 THEN ' = ' || fuzz_pick(vals) ELSE '' END;
		END LOOP;
		states = states
			|| fuzz_try(format('CREATE INDEX fuzz_i ON fuzz_options USING hnsw (%s) WITH (%s)',
				fuzz_pick('{v vector_l2_ops,v vector_l1_ops,h halfvec_cosine_ops,h halfvec_ip_ops}'), options))
			|| fuzz_try('SELECT * FROM fuzz_options ORDER BY v <-> ''[1,2,3]'', h <=> array_fill(1, ARRAY[40])::halfvec LIMIT 3')
			|| fuzz_try(format('ALTER INDEX IF EXISTS fuzz_i SET (%s)', options))
			|| fuzz_try(format('ALTER INDEX IF EXISTS fuzz_i RESET (%s)', regexp_replace(options, ' = [^,]*', '', 'g')))
			|| CASE WHEN i % 10 = 0 THEN fuzz_try('REINDEX INDEX fuzz_i') END
			|| fuzz_try('DROP INDEX IF EXISTS fuzz_i');
	END LOOP;
	IF NOT ('00000' = ANY (states) AND '22023' = ANY (states)) THEN
		RAISE EXCEPTION 'fuzz: no option was taken, or none refused';
	END IF;
END $$;
\echo ok options of indexes

/* Operator classes on columns that they do not fit, indexes of kinds that are not there. */
DO $$
DECLARE
	opclass text;
	col text;
BEGIN
	CREATE TABLE fuzz_columns (v vector, v3 vector(3), v16000 vector(16000), h halfvec, h3 halfvec(3), s sparsevec,
		s3 sparsevec(3), s9 sparsevec(1000000000), b bit(3), b1 bit, vb varbit, vb5 varbit(5), a real[], t text, vv vector(3)[]);
	FOR opclass IN SELECT opcname FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw')
		UNION SELECT unnest('{vector_ops,float4_ops,array_ops,no_ops,""}'::text[]) LOOP
		FOR col IN SELECT attname::text FROM pg_attribute WHERE attrelid = 'fuzz_columns'::regclass AND attnum > 0
			UNION SELECT unnest(ARRAY['(v::vector(3))', '(v::vector(16000))', '(s::vector(3))', '(h::halfvec(4))', '(random()::text)',
				'(v + v)', '(subvector(v, 1, 3)::vector(3))', '(NULL::vector(3))', '(binary_quantize(v)::bit(3))', 'ctid', '(1)']) LOOP
			PERFORM fuzz_try(format('CREATE INDEX fuzz_c ON fuzz_columns USING hnsw (%s %I)', col, opclass)),
				fuzz_try('INSERT INTO fuzz_columns (v3, h3, s3, b) VALUES (''[1,2,3]'', ''[0,0,0]'', ''{}/3'', ''101'')'),
				fuzz_try('DROP INDEX IF EXISTS fuzz_c'),
				fuzz_try(format('CREATE UNIQUE INDEX ON fuzz_columns USING hnsw (%s %I)', col, opclass)),
				fuzz_try(format('CREATE INDEX ON fuzz_columns USING hnsw (%s %I DESC)', col, opclass)),
				fuzz_try(format('CREATE INDEX ON fuzz_columns USING hnsw (%s %I, v3 vector_l2_ops)', col, opclass)),
				fuzz_try(format('CREATE INDEX ON fuzz_columns USING hnsw (%s %I) INCLUDE (t)', col, opclass)),
				fuzz_try(format('CREATE INDEX ON fuzz_columns USING hnsw (%s %I (m = 3))', col, opclass)),
				fuzz_try(format('CREATE INDEX ON fuzz_columns USING btree (%s %I)', col, opclass));
		END LOOP;
		TRUNCATE fuzz_columns;
	END LOOP;
END $$;
\echo ok operator classes

/* Settings. */
DO $$
DECLARE
	setting text;
	value text;
	states text[] = '{}';
BEGIN
	FOR setting IN SELECT name FROM pg_settings WHERE name ~ '^(hnsw|vecidx)[.]' LOOP
		FOREACH value IN ARRAY ARRAY['', '0', '1', '-1', '40', '100000', '100001', '2147483647', '2147483648', '1e400', 'nan', 'inf', '-inf',
			'1000', '1000.0001', '0.9', 'on', 'off', 'auto', 'scalar', 'AVX2', 'avx512', 'strict_order', 'relaxed_order', 'x', repeat('x', 5000),
			'1MB', '1 ', ' 1', '0x10', E'\x01'] LOOP
			states = states || fuzz_try(format('SELECT set_config(%L, %L, true)', setting, value))
				|| fuzz_try('SELECT v <-> v FROM fuzz_options ORDER BY v <-> ''[1,2,3]'' LIMIT 5');
		END LOOP;
	END LOOP;
	IF NOT ('00000' = ANY (states) AND '22023' = ANY (states)) THEN
		RAISE EXCEPTION 'fuzz: no setting was taken, or none refused';
	END IF;
END $$;
\echo ok settings

/* vecidx_check() of whatever is in pg_class, and of what is not. */
DO $$
DECLARE
	relation oid;
	states text[] = '{}';
BEGIN
	CREATE INDEX fuzz_v ON fuzz_options USING hnsw (v vector_l2_ops);
	CREATE TABLE fuzz_parted (v vector(3)) PARTITION BY RANGE (v);
	CREATE INDEX ON fuzz_parted USING hnsw (v vector_l2_ops);
	CREATE VIEW fuzz_view AS SELECT 1 AS one;
	CREATE SEQUENCE fuzz_sequence;
	FOR relation IN SELECT oid FROM pg_class UNION ALL SELECT unnest(ARRAY[0, 1, 4294967295, 2147483648]::oid[]) LOOP
		states = states || fuzz_try(format('SELECT * FROM vecidx_check(%s::oid::regclass)', relation))
			|| fuzz_try(format('SELECT vecidx_check(%s::oid::regclass, true)', relation))
			|| fuzz_try(format('SELECT * FROM vecidx_check(%s::oid::regclass, NULL)', relation));
	END LOOP;
	IF NOT ('00000' = ANY (states) AND '42809' = ANY (states)) THEN
		RAISE EXCEPTION 'fuzz: vecidx_check() took nothing, or anything: %', (SELECT array_agg(DISTINCT s) FROM unnest(states) s);
	END IF;
END $$;
\echo ok vecidx_check()

/*
 * Indexes over fuzzed values, of each operator class and quantizer: they can be
 * searched, changed and vacuumed, and stay sound.
 */
CREATE FUNCTION fuzz_of(type text, dim integer, n bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v text;
BEGIN
	IF type = 'bit' THEN
		RETURN fuzz_value(NULL::bit, fuzz_seed(), n)::bit(128)::text;
	END IF;
	SELECT string_agg(x::text, ',') INTO v FROM
		(SELECT unnest(fuzz_value(NULL::halfvec, fuzz_seed(), n * 64 + i)::real[]) AS x FROM generate_series(0, 63) i LIMIT dim) t;
	IF type = 'sparsevec' THEN
		RETURN ('[' || v || ']')::vector::sparsevec::text;
	END IF;
	RETURN '[' || v || ']';
END $$;

CREATE TABLE fuzz_indexed (id integer);
DO $$
DECLARE
	opclass record;
	quantizer text;
	dim integer;
	bad text;
	n integer = least(greatest(fuzz_rows() / 10, 60), 600);
BEGIN
	FOR opclass IN SELECT opcname, opcintype::regtype::text AS type, (SELECT oprname FROM pg_amop JOIN pg_operator o ON o.oid = amopopr
			WHERE amopfamily = opcfamily AND amopstrategy = 1 LIMIT 1) AS operator
		FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw')
			/* not those of filter columns */
			AND EXISTS (SELECT FROM pg_amproc WHERE amprocfamily = opcfamily AND amprocnum = 1) ORDER BY 1 LOOP
		FOREACH dim IN ARRAY '{3,70}'::integer[] LOOP
			EXECUTE format('DROP TABLE fuzz_indexed; CREATE TABLE fuzz_indexed (id integer, v %s(%s))', opclass.type, dim);
			EXECUTE format('INSERT INTO fuzz_indexed SELECT i, %s FROM generate_series(1, %s) i',
				CASE opclass.type WHEN 'bit' THEN format('fuzz_of(''bit'', %1$s, i)::bit(%1$s)', dim)
					ELSE format('fuzz_of(%L, %s, i)::%s', opclass.type, dim, opclass.type) END, n);
			EXECUTE 'UPDATE fuzz_indexed SET v = NULL WHERE id % 50 = 0';
			FOREACH quantizer IN ARRAY '{"",none,sq8,rabitq4}'::text[] LOOP
				CONTINUE WHEN fuzz_try(format('CREATE INDEX fuzz_x ON fuzz_indexed USING hnsw (v %s) %s', opclass.opcname,
					CASE quantizer WHEN '' THEN '' ELSE format('WITH (quantizer = %s, m = 4)', quantizer) END)) <> '00000';
				EXECUTE format('INSERT INTO fuzz_indexed SELECT id + %s, v FROM fuzz_indexed WHERE id <= %s', n, n / 2);
				EXECUTE 'DELETE FROM fuzz_indexed WHERE id % 3 = 0';
				PERFORM fuzz_try(format('SELECT count(*) FROM (SELECT v FROM fuzz_indexed t ORDER BY v %s (SELECT v FROM fuzz_indexed WHERE id = %s) LIMIT 20) q',
					opclass.operator, i)) FROM generate_series(1, 60) i;
				EXECUTE 'UPDATE fuzz_indexed SET id = -id';
				EXECUTE 'UPDATE fuzz_indexed SET id = abs(id)';
				EXECUTE 'SELECT string_agg(problem, ''; '') FROM vecidx_check(''fuzz_x'', true)' INTO bad;
				IF bad IS NOT NULL THEN
					RAISE EXCEPTION 'fuzz: index over %(%), % %: %', opclass.type, dim, opclass.opcname, quantizer, bad;
				END IF;
				EXECUTE 'DROP INDEX fuzz_x';
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
\echo ok indexes over fuzzed values

/*
 * Random conditions on what is not in the index: an index scan, which tests
 * them itself, gives the rows of a sequential scan, each once; with LIMIT as many
 * as there are.
 */
CREATE FUNCTION fuzz_condition(depth integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n integer = floor(random() * 1000);
	col text = fuzz_pick('{t.a,t.b,t.a + t.b,length(t.s),cardinality(t.l),"(t.j ->> ''k'')::integer",t.id % 100,abs(t.a - 500),"coalesce(t.b, 7)"}');
BEGIN
	IF depth > 0 AND random() < 0.7 THEN
		RETURN (ARRAY[format('(%s AND %s)', fuzz_condition(depth - 1), fuzz_condition(depth - 1)), format('(%s OR %s)', fuzz_condition(depth - 1), fuzz_condition(depth - 1)),
			format('NOT (%s)', fuzz_condition(depth - 1)), format('CASE WHEN %s THEN %s ELSE %s END', fuzz_condition(depth - 1), fuzz_condition(depth - 1), fuzz_condition(depth - 1)),
			format('(%s) IS NOT TRUE', fuzz_condition(depth - 1)), format('coalesce(%s, %s)', fuzz_condition(depth - 1), fuzz_condition(depth - 1))])[1 + floor(random() * 6)::integer];
	END IF;
	RETURN (ARRAY[format('(%s %s %s)', col, fuzz_pick('{<,<=,=,>=,>,<>}'), n), format('(%s BETWEEN %s AND %s)', col, n, n + 30), format('(%s IN (%s, %s, %s, NULL))', col, n, n / 2, n / 10),
		format('(%s IS %s)', col, fuzz_pick('{"NULL","NOT NULL"}')), format('(t.s LIKE ''%%%s%%'')', n % 100), format('(t.l && ARRAY[%s, %s])', n % 20, n % 7), format('(t.j @> ''{"k": %s}'')', n % 50),
		format('(%s = ANY (t.l))', n % 20), 't.f', '(t.f IS NOT FALSE)', format('(md5(t.s) < ''%s'')', to_hex(n % 256)), format('(t.v[1] > %s)', n / 500.0 - 1), format('((t.a, t.b) < (%s, 3))', n), format('(t IS %s)', fuzz_pick('{"NULL","NOT NULL"}')),
		format('(t.ctid > ''(%s,1)'')', n % 50), format('(t.a IN (SELECT x.a FROM fuzz_conditions x WHERE x.b = %s))', n), format('((SELECT count(*) FROM generate_series(1, 2) g WHERE g + t.a %% 3 > %s) = 1)', n % 4),
		format('(t.a < (SELECT max(x.b) - %s FROM fuzz_conditions x))', n), format('(t.a %% %s = %s)', n % 40 + 1, n % 7), format('((t.v <-> ''[0,0,0,0,0,0]'') < %s)', n / 400.0)])[1 + floor(random() * 20)::integer];
END $$;

CREATE TABLE fuzz_conditions (id integer, v vector(6), a integer, b integer, s text, l integer[], f boolean, j jsonb) WITH (fillfactor = 70);
INSERT INTO fuzz_conditions SELECT i, ARRAY[sin(i), cos(i * 1.1), sin(i * 1.7), cos(i * 0.3), sin(i * 2.9), i % 7 / 4.0 + 0.1]::vector, i::bigint * 7919 % 1000, nullif((i::bigint * 104729 % 700)::integer, 5),
	repeat('s' || i % 100, 1 + i % 30), ARRAY[i % 20, i % 7, i % 3], CASE WHEN i % 9 > 0 THEN i % 2 = 0 END, jsonb_build_object('k', i % 50) FROM generate_series(1, least(greatest(fuzz_rows() * 4, 1500), 10000)) i;
CREATE INDEX fuzz_conditions_hnsw ON fuzz_conditions USING hnsw (v vector_l2_ops) WITH (quantizer = sq8);
CREATE INDEX fuzz_conditions_exact ON fuzz_conditions USING hnsw (v vector_l1_ops) WITH (quantizer = none);
CREATE INDEX fuzz_conditions_flat ON fuzz_conditions USING ivfflat (v vector_cosine_ops, a);
CREATE INDEX fuzz_conditions_pq ON fuzz_conditions USING ivfpq (v vector_ip_ops);
UPDATE fuzz_conditions SET b = b + 1 WHERE id % 3 = 0;
DELETE FROM fuzz_conditions WHERE id % 10 = 3;
ANALYZE fuzz_conditions;
DO $$
DECLARE
	operator text;
	cond text;
	query text;
	ids integer[];
	found integer[];
	lim integer;
	plan text;
	line text;
BEGIN
	PERFORM set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_tidscan', 'off', true), set_config('jit', 'off', true),
		set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
	FOR i IN 1..least(fuzz_rows() / 5, 10000) LOOP
		cond = fuzz_condition(3);
		operator = fuzz_pick('{<->,<+>,<=>,<#>}');
		lim = (ARRAY[NULL, 1, 10, 50])[1 + i % 4];
		PERFORM set_config('hnsw.ef_search', fuzz_pick('{1,10,40}'), true), set_config('ivfflat.probes', fuzz_pick('{1,5}'), true), set_config('ivfpq.probes', fuzz_pick('{1,5}'), true),
			set_config('work_mem', fuzz_pick('{64kB,4MB}'), true), set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
		EXECUTE format('SELECT coalesce(array_agg(t.id ORDER BY t.id), ''{}'') FROM fuzz_conditions t WHERE %s', cond) INTO ids;
		PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
		query = format('SELECT t.id FROM fuzz_conditions t WHERE %s ORDER BY t.v %s ''[%s,%s,0.5,0,0.1,1]'' %s', cond, operator, random(), random(), 'LIMIT ' || lim);
		IF i % 10 = 1 THEN
			plan = '';
			FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
				plan = plan || line;
			END LOOP;
			IF plan !~ 'Index Scan using fuzz_conditions_|One-Time Filter' THEN
				RAISE EXCEPTION 'fuzz: no index scan: % %', query, plan;
			END IF;
		END IF;
		EXECUTE format('SELECT array(%s)', query) INTO found;
		IF cardinality(found) <> least(cardinality(ids), coalesce(lim, cardinality(ids))) OR EXISTS (SELECT unnest(found) EXCEPT SELECT unnest(ids))
			OR (SELECT count(DISTINCT x) FROM unnest(found) x) <> cardinality(found) THEN
			RAISE EXCEPTION 'fuzz: % rows, should be of %: %', cardinality(found), cardinality(ids), query;
		END IF;
	END LOOP;
END $$;
\echo ok conditions outside the index
