
# OutsideOracle.pm: conditions on what is not in the index.  Rows that an index
# scan gives under a condition are those of a sequential scan, each once and in
# order.  Used by a short test and a long one.

package OutsideOracle;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use VecidxTest;

our @EXPORT = qw(load_outside oracle_functions every @CONDITIONS @METHODS conditions_ok looked_at);

our $ROWS = 20000;
my $DIM = 24;

# access method; operator, which tells the planner which index to take; operator
# class; options; name.  The first has codes and fetches rows for exact
# distances, the last has the vectors themselves and need not.
our @METHODS = (
	[ 'hnsw', '<=>', 'vector_cosine_ops', "quantizer = 'rabitq4'", 'hnsw' ],
	[ 'ivfflat', '<->', 'vector_l2_ops', '', 'ivfflat' ],
	[ 'ivfpq', '<#>', 'vector_ip_ops', '', 'ivfpq' ],
	[ 'hnsw', '<+>', 'vector_l1_ops', "quantizer = 'none'", 'exact' ]);

# t is a row, q the query: its vector q.v, the topics q.near and q.far
our @CONDITIONS = (
	# how many rows: all, half, ever fewer, none
	't.n >= 0', 't.n < 5000', 't.n < 2000', 't.n >= 9000', 't.n BETWEEN 100 AND 199', 't.n < 20', 't.n = 77', 't.n > 20000',
	# where they lie
	't.topic = q.near', 't.topic = q.far', 't.topic <> q.near', 't.topic = q.far AND t.n < 1000', 't.topic = q.near AND t.n < 100',
	't.topic IN (q.near, q.far)', 't.v <-> q.v > 8', 't.v <=> q.v < 0.2 OR t.n < 30',
	# bounds of the distance besides
	't.v <-> q.v < 12 AND t.n < 3000', 't.v <=> q.v < 0.9 AND t.n < 3000', 't.v <#> q.v < 0 AND t.topic = q.far', 't.v <+> q.v <= 50 AND t.n < 3000', 't.v <=> q.v < 1.1 AND t.topic = q.far', 't.v <-> q.v < 15 AND t.n < 100',
	# lists
	't.n IN (1, 22, 333, 4444)', 't.n IN (1, 22, 333, 4444, 4445, 3666, 2777, 1888, 5, 6, 7, 8)', 't.n NOT IN (1, 2, 3)',
	't.topic NOT IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)', "t.kind = ANY ('{b,c}')", 't.n = ALL (ARRAY[7, 7])', 't.n > ANY (ARRAY[9990, NULL])',
	't.topic <> ALL (ARRAY[1, NULL])', 't.n = ANY (t.numbers)',
	# AND, OR, NOT, three values of logic
	't.n < 100 OR t.topic = q.far', 'NOT (t.n > 100 OR t.topic = 3)', '(t.n < 500 AND t.flag) OR (t.n > 9500 AND NOT t.flag)', 't.n < 300 AND t.topic < 6 AND t.kind > \'a\'',
	't.flag', 'NOT t.flag', 't.flag IS NOT TRUE', 't.flag IS UNKNOWN', 't.flag IS FALSE', 't.flag = (t.n < 5000)',
	't.note IS NULL', 't.note IS NOT NULL', "coalesce(t.note, 'x') = 'x'", "nullif(t.note, 'note 3') IS NULL", "t.note IS DISTINCT FROM 'note 3'",
	"t.note IS NOT DISTINCT FROM 'note 3'", 'num_nulls(t.note, t.flag) = 1', '(t.note, t.flag) IS NULL', 't.note > \'note 5\' OR t.flag',
	# text
	"t.name LIKE '%77%'", "t.name LIKE 'name 1%'", "t.name NOT LIKE '%1%'", "t.name ILIKE 'NAME 99_'", "t.name ~ '9{3}'", "t.name SIMILAR TO '%(12|34)'",
	"t.name COLLATE \"C\" < 'name 11'", "lower(t.name) = 'name 5'", "length(t.name) = 6", "substr(md5(t.name), 1, 2) = 'aa'", "position('55' in t.name) > 0",
	"t.name || t.kind::text = 'name 5a'", "to_tsvector('simple', t.name) @@ '123'::tsquery", "t.n::text = '77'", 't.name = concat(\'name \', t.n)',
	# large values outside the row
	"t.body LIKE '%needle 7%'", 'length(t.body) > 3010', "left(t.body, 3) = 'abc'", 't.body IS NOT NULL',
	# jsonb, arrays, ranges, composite values, enums, domains, numerics, times, uuids
	"t.doc ->> 'kind' = 'k3'", "t.doc \@> '{\"n\": 77}'", "t.doc ? 'rare'", "(t.doc -> 'deep' ->> 'n')::int > 95", "t.doc @@ '\$.deep.n > 95'", "t.doc -> 'deep' IS NULL",
	"t.tags && '{tag1}'", "t.tags \@> '{tag1,tag2}'", "'tag3' = ANY (t.tags)", "t.tags[1] = 'tag2'", 'cardinality(t.tags) = 1', "t.tags::varchar[] = '{tag2,tag3}'", 't.numbers <@ ARRAY[1, 2, 3]',
	't.span @> 5000', 't.span && int4range(0, 20)', '(t.pair).a = 3', "t.pair = ROW(3, 'three')::outside_pair", '(t.n, t.topic) < (100, 3)', "t.kind = 'b'", "t.kind >= 'c'",
	't.code > 95', 't.n::outside_percent IS NOT NULL OR t.n > 100', 't.price > 99.5', 't.price % 10 = 1', "t.at > '2026-03-01'", "extract(dow FROM t.at) = 1", "date_trunc('month', t.at) = '2026-02-01'",
	"t.day = '2026-01-05'", "t.at < now() - interval '1000 years'", "t.u < '10000000-0000-0000-0000-000000000000'",
	# columns that are computed, added or gone
	't.gen = 3', 't.extra = 7', 't.extra IS NULL', 't.extra <> 7', "t.added = 'later'", 't.nothing IS NULL AND t.n < 50', 't.nothing = 1',
	# whole rows and system columns
	't IS NOT NULL', 't IS NULL', "t::text LIKE '%(%77%'", 'whole(t) < 100', "t.tableoid = 'items'::regclass", "t.tableoid = 'groups'::regclass", "t.ctid <> '(0,1)'",
	"(t.ctid::text::point)[0] < 20", "t.ctid = ANY (ARRAY(SELECT i.ctid FROM items i WHERE i.n < 100))", "t.xmin <> '0'", "t.xmax::text = '0'", '(t).n < 50',
	# expressions and functions
	't.n % 100 = 7', 'abs(t.n - 5000) < 50', '(t.n & 255) = 3', 't.n::float8 / 3 > 3300', 'least(t.n, 500) = t.n', 'greatest(t.n, t.topic, 9900) = t.n',
	'CASE WHEN t.n < 100 THEN t.flag WHEN t.topic = 3 THEN NULL ELSE t.topic = q.far END', 'CASE t.kind WHEN \'a\' THEN t.n < 100 WHEN \'b\' THEN t.n > 9900 END',
	't.v[1] > 1.5', 'vector_norm(t.v) < 3', "vector_dims(t.v) = 24", '(t.v <+> q.v) < 30', 't.v > q.v', 'binary_quantize(t.v)::text LIKE \'11%\'',
	'inlined(t.n)', 'plain(t.n)', 'stable_one(t.n)', 'volatile_one(t.n)', 'expensive(t.n)', 'strict_one(t.n, t.flag)', 't.topic = q.near AND expensive(t.n)',
	't.n < 1000 AND volatile_one(t.n)', 'random() >= 0', 'random() < 0', "current_setting('outside.least', true) IS NULL AND t.n < 60", 'current_user IS NOT NULL AND t.n < 60',
	# subqueries: once, for each row, hashed; with a search of its own
	't.n < (SELECT min(n) + 50 FROM items)', 't.n = (SELECT 77)', 't.n = (SELECT n FROM items WHERE n < 0)', '(SELECT g.allowed FROM groups g WHERE g.g = t.topic)',
	'(SELECT count(*) FROM groups g WHERE g.g < t.topic AND g.allowed) = 2', 't.n < 50 OR EXISTS (SELECT FROM groups g WHERE g.g = t.topic AND g.g = 4)',
	't.topic NOT IN (SELECT g FROM groups WHERE allowed)', 't.n < 200 OR t.topic IN (SELECT g FROM groups WHERE g < 2)', '(t.n, t.topic) IN (SELECT n, topic FROM items WHERE n < 30) OR t.n = 77',
	't.n < 1000 AND (SELECT s.id FROM groups s ORDER BY s.v <-> t.v LIMIT 1) = q.near', 'ARRAY(SELECT g.g FROM groups g WHERE g.g < t.topic) = \'{1,2}\'',
	't.n < 40 AND (SELECT i.topic FROM items i WHERE i.n > 5000 ORDER BY i.v <=> t.v LIMIT 1) = t.topic',
	# joins above the scan
	'EXISTS (SELECT FROM groups g WHERE g.g = t.topic AND g.allowed)', 'NOT EXISTS (SELECT FROM groups g WHERE g.g = t.topic AND g.allowed)', 't.topic IN (SELECT g FROM groups WHERE g > 9)',
	't.topic IN (SELECT g FROM groups WHERE allowed) AND t.n < 200', 'EXISTS (SELECT FROM groups g WHERE g.g = t.topic AND t.n < g.g * 10)');

# The tables and their indexes.
sub load_outside
{
	my ($node) = @_;

	load_vectors($node, 'pool', make_vectors($ROWS, $DIM, 1));
	load_vectors($node, 'searched', make_vectors(12, $DIM, 2));
	$node->safe_psql(
		'postgres', "
		CREATE TYPE outside_kind AS ENUM ('a', 'b', 'c', 'd');
		CREATE TYPE outside_pair AS (a int, b text);
		CREATE DOMAIN outside_percent AS int CHECK (VALUE BETWEEN 0 AND 10000);
		CREATE TABLE groups AS SELECT id AS g, id, id % 3 = 0 AS allowed, v FROM pool WHERE id <= 12;
		ALTER TABLE groups ADD PRIMARY KEY (g);
		CREATE INDEX ON groups USING hnsw (v vector_l2_ops);
		CREATE TABLE queries AS SELECT s.*, by[1] AS near, by[12] AS far FROM searched s,
			LATERAL (SELECT array(SELECT g FROM groups g ORDER BY g.v <-> s.v) AS by) n;

		-- n: in any place; topic: the nearest of some rows
		CREATE TABLE items (gone text, id int PRIMARY KEY, v vector($DIM), n int, topic int, flag bool, note text, name text, body text, doc jsonb, tags text[], numbers int[],
			span int4range, pair outside_pair, kind outside_kind, code outside_percent, price numeric, at timestamptz, gone_too int, day date, u uuid, nothing int,
			gen int GENERATED ALWAYS AS ((id * 7) % 31) STORED) WITH (fillfactor = 90);
		ALTER TABLE items ALTER body SET STORAGE external;
		INSERT INTO items SELECT 'gone', p.id, CASE WHEN p.id % 500 = 0 THEN NULL ELSE p.v END, r.n, (SELECT g.g FROM groups g ORDER BY g.v <-> p.v LIMIT 1),
			CASE WHEN r.n % 7 = 0 THEN NULL ELSE r.n % 3 = 0 END, CASE WHEN r.n % 4 = 0 THEN NULL ELSE 'note ' || r.n % 10 END, 'name ' || r.n % 1000,
			CASE WHEN p.id % 97 = 0 THEN repeat('abc', 1000) || 'needle ' || r.n % 10 || repeat('x', r.n % 20) WHEN p.id % 5 = 0 THEN 'abc' END,
			CASE WHEN r.n % 50 = 0 THEN jsonb_build_object('rare', true) ELSE jsonb_build_object('kind', 'k' || r.n % 9, 'n', r.n, 'deep', jsonb_build_object('n', r.n % 100)) END,
			CASE WHEN r.n % 11 > 0 THEN ARRAY['tag' || r.n % 5, 'tag' || r.n % 4] END, ARRAY[r.n % 5, r.n - r.n % 3, r.n % 7], int4range(r.n, r.n + 40), ROW(r.n % 50, CASE WHEN r.n % 50 = 3 THEN 'three' END)::outside_pair,
			('{a,a,a,a,b,b,b,c,c,d}'::outside_kind[])[1 + r.n % 10], r.n % 100, r.n / 100.0, timestamptz '2026-01-01' + r.n * interval '10 min', 1, date '2026-01-01' + r.n % 300, md5(p.id::text)::uuid, NULL
			FROM pool p, LATERAL (SELECT (p.id::bigint * 7919 % 10000)::int AS n) r;
		ALTER TABLE items DROP gone;
		ALTER TABLE items DROP gone_too;
		ALTER TABLE items ADD extra int DEFAULT 7;
		ALTER TABLE items ADD added text DEFAULT 'first';
		UPDATE items SET extra = nullif(n % 5, 1), added = 'later' WHERE n % 20 = 1;
		DELETE FROM items WHERE id % 100 = 3;
		UPDATE items SET nothing = NULL WHERE id % 30 = 4;

		CREATE FUNCTION whole(i items) RETURNS int LANGUAGE sql AS 'SELECT i.n + i.topic';
		CREATE FUNCTION inlined(n int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT n % 50 = 1';
		CREATE FUNCTION plain(n int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n % 50 = 1; END';
		CREATE FUNCTION stable_one(n int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN n % 50 = (SELECT count(*) FROM groups WHERE g = 1); END';
		CREATE FUNCTION volatile_one(n int) RETURNS bool VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN n % 50 = 1; END';
		CREATE FUNCTION expensive(n int) RETURNS bool IMMUTABLE LANGUAGE plpgsql COST 1000000 AS 'BEGIN RETURN n % 50 = 1; END';
		CREATE FUNCTION strict_one(n int, b bool) RETURNS bool IMMUTABLE STRICT LANGUAGE plpgsql AS 'BEGIN RETURN n % 20 = 1 OR n % 21 = 0; END';
		SET max_parallel_maintenance_workers = 0;
		" . join('', map { "CREATE INDEX idx_$_->[4] ON items USING $_->[0] (v $_->[2])" . ($_->[3] && " WITH ($_->[3])") . ';' } @METHODS) . "
		ANALYZE;");
	oracle_functions($node);
	return;
}

# The comparison, in the server.
sub oracle_functions
{
	my ($node) = @_;

	$node->safe_psql(
		'postgres', <<'SQL');
/* What a query for ids and distances gives, in that order; forced: what the plan has to have, empty for a sort of the table. */
CREATE FUNCTION outside_run(query text, forced text, OUT ids int[], OUT dists float8[]) LANGUAGE plpgsql AS $$
DECLARE
	plan text = '';
	line text;
BEGIN
	PERFORM set_config('enable_indexscan', CASE WHEN forced = '' THEN 'off' ELSE 'on' END, true), set_config('enable_seqscan', CASE WHEN forced = '' THEN 'on' ELSE 'off' END, true),
		set_config('enable_sort', CASE WHEN forced = '' THEN 'on' ELSE 'off' END, true), set_config('enable_bitmapscan', 'off', true), set_config('enable_tidscan', 'off', true);
	IF forced <> '' THEN
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
			plan := plan || line || E'\n';
		END LOOP;
		IF plan !~ forced OR plan ~ '(^|\n|->) *(Incremental )?Sort\n' THEN
			RAISE EXCEPTION 'another plan: %', plan;
		END IF;
	END IF;
	EXECUTE format('SELECT coalesce(array_agg(id), ''{}''), coalesce(array_agg(d), ''{}'') FROM (%s) s', query) INTO ids, dists;
END $$;

/*
 * How a search of a relation t under a condition differs from a sort of the
 * table: of all rows that pass (k is NULL), or of the k nearest.  problem is
 * empty if in nothing that it may not.  late: rows that came at the end, though
 * they are nearer than others.  way: 'strict'; 'merged', of several scans, each
 * of which has rows that come late; 'relaxed': the order is not looked at;
 * 'limited': nor is what is missing.
 */
CREATE FUNCTION outside_check(rel text, value text, cond text, forced text, op text, query int, k int, way text, OUT problem text, OUT rows int, OUT late int, OUT recall numeric)
LANGUAGE plpgsql AS $$
DECLARE
	q record;
	base text;
	ending text;
	truth record;
	found record;
	expected int;
	falls int;
BEGIN
	SELECT * INTO q FROM queries WHERE id = query;
	cond := replace(replace(replace(cond, 'q.v', quote_literal(q.v) || '::vector'), 'q.near', q.near::text), 'q.far', q.far::text);
	value := format('%s %s %L', value, op, q.v);
	base := format('SELECT t.id, %s AS d FROM %s WHERE (%s) ', value, rel, cond);
	SELECT * INTO truth FROM outside_run(base || 'AND t.v IS NOT NULL ORDER BY ' || value, '');
	SELECT * INTO found FROM outside_run(base || 'ORDER BY ' || value || coalesce(' LIMIT ' || k, ''), forced);
	rows := cardinality(truth.ids);
	expected := least(coalesce(k, rows), rows);
	problem := '';
	IF way <> 'limited' AND cardinality(found.ids) <> expected THEN
		problem := format('%s rows instead of %s; ', cardinality(found.ids), expected);
	END IF;
	IF cardinality(found.ids) <> (SELECT count(DISTINCT u) FROM unnest(found.ids) u) THEN
		problem := problem || format('%s different ones of %s; ', (SELECT count(DISTINCT u) FROM unnest(found.ids) u), cardinality(found.ids));
	END IF;
	IF EXISTS (SELECT unnest(found.ids) EXCEPT SELECT unnest(truth.ids)) THEN
		problem := problem || 'rows that do not meet the condition; ';
	END IF;
	IF way <> 'limited' AND expected = rows AND EXISTS (SELECT unnest(truth.ids) EXCEPT SELECT unnest(found.ids)) THEN
		problem := problem || 'missing rows; ';
	END IF;
	/* rows found late come last, in order, too */
	SELECT count(*), coalesce(cardinality(found.ids) - min(o) + 1, 0) INTO falls, late
		FROM (SELECT o, d < lag(d) OVER (ORDER BY o) - 1e-6 AS nearer FROM unnest(found.dists) WITH ORDINALITY u (d, o)) u WHERE nearer;
	IF way <> 'relaxed' AND falls > (expected = rows)::int * (1 + (way = 'merged')::int * 50) THEN
		problem := problem || format('%s rows are nearer than those before them; ', falls);
	END IF;
	recall := CASE WHEN expected = 0 THEN 1 ELSE (SELECT count(*) FROM unnest(found.dists) u WHERE u <= truth.dists[expected] + 1e-6)::numeric / expected END;
EXCEPTION WHEN others THEN
	problem := SQLSTATE || ' ' || SQLERRM;
END $$;

/* How many rows a query gets from its index scan, and how many of them do not meet the condition. */
CREATE FUNCTION outside_looked_at(query text, OUT looked_at int, OUT returned int) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true);
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan -> 0 -> 'Plan';
	WHILE plan ->> 'Node Type' <> 'Index Scan' LOOP
		plan := plan -> 'Plans' -> 0;
	END LOOP;
	returned := (plan ->> 'Actual Rows')::numeric;
	looked_at := returned + coalesce((plan ->> 'Rows Removed by Filter')::int, 0);
END $$;
SQL
	return;
}

# Each so many-th of a list, from some place on.
sub every
{
	my ($step, $from, @list) = @_;

	return [ map { $list[$_] } grep { $_ % $step == $from % $step } 0 .. $#list ];
}

# All of these conditions, by one index.  Options: k (the nearest so many; all
# rows without), set (SQL before), queries (how many vectors are searched for),
# from (items t), value (t.v), index (idx_ and the method's name),
# plan (a regular expression for another plan), way (strict, merged, relaxed, limited: see
# outside_check), name.  Gives the mean recall.
sub conditions_ok
{
	my ($node, $method, $conditions, %opt) = @_;
	my (undef, $op, undef, undef, $label) = @$method;
	my $k = $opt{k} // 'NULL';
	my $name = join ', ', $label, $opt{name} // (), defined $opt{k} ? "$opt{k} nearest" : 'all rows';
	my $values = join ',', map { '(' . $_ . ', $cond$' . $conditions->[$_] . '$cond$)' } 0 .. $#$conditions;
	my $plan = $opt{plan} // 'Index Scan using ' . ($opt{index} // "idx_$label") . ' on ';
	my $way = $opt{way} // 'strict';
	my $answer = $node->safe_psql(
		'postgres', "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
		SET max_parallel_workers_per_gather = 0; " . ($opt{set} // '') . "
		SELECT c.n, r.problem, coalesce(r.rows, 0), coalesce(r.late, 0), coalesce(r.recall, 1)
			FROM (VALUES $values) AS c (n, cond), generate_series(0, " . (($opt{queries} // 1) - 1) . ") i,
			outside_check('" . ($opt{from} // 'items t') . "', '" . ($opt{value} // 't.v') . "', c.cond, \$plan\$$plan\$plan\$, '$op', 1 + (c.n + i) % 12, $k, '$way') r;
		" . ($opt{after} // ''));
	my ($rows, $late, $sum, $count, %problems) = (0, 0, 0, 0);

	for my $line (split /\n(?=\d+\|)/, $answer)
	{
		my ($n, $problem, $all, $behind, $recall) = $line =~ /^(\d+)\|(.*)\|(\d+)\|(\d+)\|([\d.]+)$/s or die "$name: $line";

		$problems{$n} .= $problem;
		$rows += $all;
		$late += $behind;
		$sum += $recall;
		$count++;
	}
	my @wrong = map { "$conditions->[$_]: $problems{$_}" } grep { $problems{$_} ne '' } sort { $a <=> $b } keys %problems;
	is(join("\n", @wrong), '', "$name: as a sort of the table, $count searches");
	die "$name: $count answers" if $count != @$conditions * ($opt{queries} // 1);
	cmp_ok($late, '<=', 0.02 * $rows, "$name: $late of $rows rows come late") if $way eq 'strict' && !defined $opt{k};
	return $sum / $count;
}

# How many rows an index scan looks at under a condition, and how many it returns.
sub looked_at
{
	my ($node, $method, $cond, %opt) = @_;
	my (undef, $op) = @$method;
	my $limit = defined $opt{k} ? "LIMIT $opt{k}" : '';

	return split /\|/, $node->safe_psql(
		'postgres', ($opt{set} // '') . "SELECT r.* FROM queries q, outside_looked_at('SELECT t.id FROM items t WHERE ' ||
			replace(replace(\$cond\$$cond\$cond\$, 'q.near', q.near::text), 'q.far', q.far::text) || ' ORDER BY t.v $op ' || quote_literal(q.v) || ' $limit') r
		WHERE q.id = " . ($opt{query} // 1));
}

1;
