
# Conditions on what is not in the index, in all the places that a query can have
# them: kinds of tables and indexes, rows of other snapshots, cursors, rescans,
# functions, prepared statements, row security, errors, standbys.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use OutsideOracle;
use VecidxTest;

my $ROWS = 4000;
my $node = new_node('outside_queries', streaming => 1, conf => "max_prepared_transactions = 5\n");
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
my $small = 'SET hnsw.ef_search = 10; SET ivfflat.probes = 2; SET ivfpq.probes = 2;';
my @conditions = (
	't.n < 4000', 't.n < 300', 't.n = 77', 't.n < 0', 't.topic = q.near', 't.topic = q.far', 't.topic = q.far AND t.n < 2000', "t.note LIKE 'note 3%'", 't.note IS NULL AND t.n > 1000',
	'length(t.body) > 2010', 't.topic = q.far OR t.n < 50', '(SELECT g.allowed FROM groups g WHERE g.g = t.topic)', "(t.id, t.n)::text LIKE '%9%'");

load_vectors($node, 'pool', make_vectors($ROWS, 24, 1));
load_vectors($node, 'searched', make_vectors(12, 24, 2));
oracle_functions($node);
$node->safe_psql(
	'postgres', "
	CREATE TABLE groups AS SELECT id AS g, id % 3 = 0 AS allowed, v FROM pool WHERE id <= 6;
	CREATE TABLE queries AS SELECT s.*, by[1] AS near, by[6] AS far FROM searched s,
		LATERAL (SELECT array(SELECT g FROM groups g ORDER BY g.v <-> s.v) AS by) n;
	CREATE VIEW rows AS SELECT p.id, p.v, (p.id::bigint * 7919 % 5000)::int AS n, (SELECT g.g FROM groups g ORDER BY g.v <-> p.v LIMIT 1)::int AS topic,
		CASE WHEN p.id % 4 > 0 THEN 'note ' || p.id % 50 END AS note, repeat('x', CASE WHEN p.id % 20 = 0 THEN 2000 ELSE 0 END + p.id % 30) AS body FROM pool p");

my $turn = 0;

# All indexes on a table, items_hnsw and so on.  Options: value (v), type (vector), columns (behind the vector), where, fine (codes of ivfpq).
sub indexes
{
	my ($table, %opt) = @_;
	my $sql = '';

	for my $method (@METHODS)
	{
		my ($am, undef, $opclass, $options, $label) = @$method;

		$opclass =~ s/vector/$opt{type}/ if defined $opt{type};
		$options = 'bits = 8' if $opt{fine} && $am eq 'ivfpq';
		$sql .= "CREATE INDEX ${table}_$label ON $table USING $am (" . join(', ', ($opt{value} // 'v') . " $opclass", $opt{columns} // ()) . ')'
		  . ($options && " WITH ($options)") . (defined $opt{where} ? " WHERE $opt{where}" : '') . ';';
	}
	return $sql;
}

# A table, filled, with its indexes.  Options: make (CREATE TABLE, else as the rows), fill (the vector), rows (how many), and those of the indexes.
sub make_table
{
	my (%opt) = @_;
	my $make = $opt{make} // 'CREATE TABLE items (id int, v vector(24), n int, topic int, note text, body text)';

	$node->safe_psql(
		'postgres', "$make;
		INSERT INTO items (id, v, n, topic, note, body) SELECT id, " . ($opt{fill} // 'v') . ", n, topic, note, body FROM rows WHERE id <= " . ($opt{rows} // $ROWS) . ';
		SET max_parallel_maintenance_workers = 0;' . indexes('items', %opt) . 'ANALYZE items');
	return;
}

# Each method: all rows, and the nearest; half of the conditions at a time.
sub table_ok
{
	my ($name, %opt) = @_;
	my @methods = $opt{methods} ? @{ $opt{methods} } : @METHODS;

	for my $method (@methods)
	{
		my %with = (name => $name, conditions => every(2, $turn++, @conditions), from => 'items t', index => '\S*', set => '', %opt);
		$with{set} = "$small $with{set}";

		conditions_ok($node, $method, $with{conditions}, %with);
		my $recall = conditions_ok($node, $method, $with{conditions}, %with, k => 10);
		cmp_ok($recall, '>=', 0.9, sprintf '%s, %s: recall %.3f', $method->[4], $name, $recall);
	}
	return;
}

# ---- tables and indexes ----

{
	# a temporary table belongs to its session: made, filled and searched in one
	my $make = 'CREATE TEMP TABLE items AS SELECT * FROM rows;
		' . indexes('items') . '
		UPDATE items SET n = n + 0 WHERE id % 3 = 0; DELETE FROM items WHERE id % 7 = 0; ANALYZE items;';
	conditions_ok($node, $METHODS[$_], \@conditions, name => 'temporary table', index => '\S*', set => "$small $make") for 0 .. $#METHODS;
}

make_table(make => 'CREATE UNLOGGED TABLE items (id int, v vector(24), n int, topic int, note text, body text)');
table_ok('unlogged table');
$node->safe_psql('postgres', 'DROP TABLE items');

make_table(where => 'n < 2500 AND note IS NOT NULL');
table_ok('partial index', conditions => [ map { "t.n < 2500 AND t.note IS NOT NULL AND ($_)" } @conditions ]);
$node->safe_psql('postgres', 'DROP TABLE items');

make_table(value => '(v::halfvec(24))', type => 'halfvec');
table_ok('index on an expression', value => 't.v::halfvec(24)');
$node->safe_psql('postgres', 'DROP TABLE items');

make_table(columns => 'n, (id % 3)');
table_ok('some columns in the index', conditions => [ @conditions, map { "t.n BETWEEN 500 AND 3000 AND t.id % 3 = 1 AND ($_)" } @conditions ]);
$node->safe_psql('postgres', 'DROP TABLE items');

# vectors outside the row
make_table(make => 'CREATE TABLE items (id int, v vector(576), n int, topic int, note text, body text); ALTER TABLE items ALTER v SET STORAGE external',
	fill => 'v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v', rows => 1200);
$node->safe_psql('postgres', 'ALTER TABLE queries RENAME TO short;
	CREATE TABLE queries AS SELECT id, v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v || v AS v, near, far FROM short');
table_ok('vectors outside the row');
$node->safe_psql('postgres', 'DROP TABLE items, queries; ALTER TABLE short RENAME TO queries');

make_table(make => 'CREATE TABLE items (id int, body text, topic int, n int, v vector(24), note text) PARTITION BY RANGE (n);
	CREATE TABLE items1 PARTITION OF items FOR VALUES FROM (MINVALUE) TO (1000);
	CREATE TABLE items2 (note text, other text, v vector(24), id int, n int, topic int, body text);
	ALTER TABLE items2 DROP other;
	ALTER TABLE items ATTACH PARTITION items2 FOR VALUES FROM (1000) TO (3000);
	CREATE TABLE items3 PARTITION OF items DEFAULT');
table_ok('partitions', way => 'merged', plan => 'Append|Index Scan|One-Time');
$node->safe_psql('postgres', 'DROP TABLE items');

make_table(make => 'CREATE TABLE items (id int, v vector(24), n int, topic int, note text, body text)');
$node->safe_psql(
	'postgres', 'CREATE TABLE child (more int, id int, v vector(24), n int, topic int, note text, body text);
	INSERT INTO child SELECT id, id + 10000, v, n, topic, note, body FROM items WHERE id % 3 = 0;
	' . indexes('child') . '
	ALTER TABLE child INHERIT items; ANALYZE child');
table_ok('inheritance', way => 'merged', plan => 'Merge Append', conditions => [ @conditions, "t.tableoid = 'child'::regclass AND t.n < 500" ]);
$node->safe_psql('postgres', 'DROP TABLE items CASCADE');

# ---- rows of other snapshots ----

make_table(make => 'CREATE TABLE items (id int PRIMARY KEY, v vector(24), n int, topic int, note text, body text) WITH (fillfactor = 50)');
$node->safe_psql('postgres', "UPDATE items SET n = n + 1 WHERE id % 2 = 0") for 1 .. 3;
$node->safe_psql(
	'postgres', "UPDATE items SET n = n - 3, note = 'note 3 again' WHERE id % 4 = 0;
	UPDATE items SET v = (SELECT v FROM pool WHERE pool.id = items.id % 100 + 1), n = n + 7 WHERE id % 40 = 5;
	DELETE FROM items WHERE id % 9 = 4;
	INSERT INTO items SELECT id + 10000, v, n + 1, topic, note, body FROM items WHERE id % 5 = 0;
	BEGIN; INSERT INTO items SELECT id + 20000, v, n, topic, note, body FROM items WHERE id % 3 = 0; UPDATE items SET n = 77 WHERE id % 3 = 1; ROLLBACK;");
table_ok('changed rows');

# of the transaction itself, and what it took back
table_ok('own changes', set => "BEGIN; UPDATE items SET n = n + 1 WHERE id % 3 = 0; SAVEPOINT a; DELETE FROM items WHERE id % 2 = 0; UPDATE items SET n = 77;
		ROLLBACK TO a; DELETE FROM items WHERE id % 11 = 2; INSERT INTO items SELECT id + 30000, v, 77, 1, note, body FROM items WHERE id % 13 = 1; SAVEPOINT b; UPDATE items SET topic = 7 - topic WHERE id % 2 = 1; RELEASE b;",
	after => 'ROLLBACK', methods => [ $METHODS[0], $METHODS[2] ]);

# of a transaction that has not ended
$node->safe_psql(
	'postgres', "BEGIN; UPDATE items SET n = 77 WHERE id % 3 = 0; UPDATE items SET n = 78 WHERE id % 6 = 0; DELETE FROM items WHERE id % 7 = 1;
	INSERT INTO items SELECT id + 40000, v, 77, topic, note, body FROM items WHERE id % 3 = 1; SELECT count(*) FROM (SELECT FROM items WHERE id % 17 = 0 FOR UPDATE) s; PREPARE TRANSACTION 'other';");
table_ok('beside a transaction', methods => [ $METHODS[1], $METHODS[2] ]);
$node->safe_psql('postgres', "COMMIT PREPARED 'other'");
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	table_ok(lc $level, set => "SET default_transaction_isolation = '$level'; BEGIN;", after => 'COMMIT', methods => [ $METHODS[0], $METHODS[1] ]);
}
$node->safe_psql('postgres', 'VACUUM items');
table_ok('vacuumed');

# ---- places in queries ----

# no two vectors are equal here, so that there is one order only, and codes are finer than needed, so that no row is missed
$node->safe_psql('postgres', 'DROP TABLE items');
make_table(make => 'CREATE TABLE items (id int PRIMARY KEY, v vector(24), n int, topic int, note text, body text) WITH (fillfactor = 70)', fine => 1);
$node->safe_psql('postgres', 'UPDATE items SET n = n + 1 WHERE id % 3 = 0; DELETE FROM items WHERE id % 11 = 5; UPDATE items SET v = v * 1.5 WHERE id % 50 = 7; ANALYZE items');

# Runs a query of rows that come in order by each index and by a sort of the table, and compares.  What stands for the operator is <?>, for a query's vector :q.
# The settings let no index miss anything.
my $wide = 'SET hnsw.ef_search = 400; SET ivfflat.probes = 1000; SET ivfpq.probes = 1000; SET enable_hashjoin = off; SET enable_mergejoin = off; SET max_parallel_workers_per_gather = 0;';
my $forced = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexscan = on; SET enable_sort = off;';
my $sorted = 'SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_sort = on;';
my $vector = $node->safe_psql('postgres', 'SELECT v FROM queries WHERE id = 3');
my ($near, $far) = split /\|/, $node->safe_psql('postgres', 'SELECT near, far FROM queries WHERE id = 3');

sub fill
{
	my ($method, $sql) = @_;

	$sql =~ s/<\?>/$method->[1]/g;
	$sql =~ s/:q/'$vector'/g;
	$sql =~ s/:near/$near/g;
	$sql =~ s/:far/$far/g;
	return $sql;
}

# By two of the indexes in turn, or options: methods, before, after (SQL), set (of the search by the index), small (settings at which rows may be missed, for queries that say nothing of order), query for EXPLAIN.
sub same_ok
{
	my ($name, $query, %opt) = @_;

	$turn++;
	for my $method ($opt{methods} ? @{ $opt{methods} } : map { $METHODS[ ($turn + $_) % 4 ] } 0, 1)
	{
		my ($before, $sql, $after) = map { fill($method, $_ // '') } ($opt{before}, $query, $opt{after});
		my $mode = $opt{small} ? "$wide $small" : $wide;
		my $set = ($opt{set} // '') . ';';
		my $one = "BEGIN; $before; $sql; $after; ROLLBACK;";
		my $explain = $opt{hidden} ? '' : "BEGIN; $before; EXPLAIN (COSTS OFF) " . fill($method, $opt{plan} // $query) . '; ROLLBACK;';
		my ($status, $out, $err) = $node->psql('postgres', "$wide $sorted $one \\echo found:\nRESET ALL; $mode $forced $set $one \\echo plan:\n$explain");
		my ($truth, $found, $plan) = $out =~ /^(.*?)\n?found:\n?(.*?)\n?plan:\n?(.*)/s;

		is($found, $truth, "$method->[4], $name") or diag($err);
		die "$method->[4], $name: nothing found" if ($truth // '') !~ /\S/;
		like($plan, qr/Index Scan using items_\S+ on items/, "$method->[4], $name: by the index") unless $opt{hidden};
	}
	return;
}

# joins above, in either place; a condition that speaks of the other table
same_ok('join', 'SELECT t.id FROM items t JOIN groups g ON g.g = t.topic WHERE g.allowed AND t.n < 2000 ORDER BY t.v <?> :q LIMIT 20');
same_ok('left join', 'SELECT t.id, g.g FROM items t LEFT JOIN groups g ON g.g = t.topic AND g.allowed WHERE t.n < 2000 AND g.g IS NULL ORDER BY t.v <?> :q LIMIT 20');
same_ok('join, all rows', 'SELECT count(*), sum(id), sum(g) FROM (SELECT t.id, g.g FROM items t JOIN groups g ON g.g = t.topic WHERE g.g + t.n < 1000 ORDER BY t.v <?> :q OFFSET 0) s', small => 1);
same_ok('filtered subquery', 'SELECT id FROM (SELECT id, n, topic FROM items t WHERE n < 3000 ORDER BY t.v <?> :q LIMIT 400) s WHERE topic = :far OR n < 500 LIMIT 9');
same_ok('OFFSET', 'SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q OFFSET 30 LIMIT 7');
same_ok('no row wanted', "SELECT 'none', count(*) FROM (SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q LIMIT 0) s");
same_ok('second key', 'SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q, t.id LIMIT 7', set => 'SET enable_sort = on; SET enable_seqscan = off', methods => [ $METHODS[0] ]);
same_ok('similarity', 'SELECT id FROM items t WHERE t.v IS NOT NULL AND n < 900 AND topic = :far ORDER BY 1 - (t.v <=> :q) DESC LIMIT 7', methods => [ $METHODS[0] ]);
same_ok('WITH TIES', 'SELECT id FROM items t WHERE n < 900 ORDER BY t.v <?> :q FETCH FIRST 7 ROWS WITH TIES');
same_ok('UNION ALL', '(SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q LIMIT 5) UNION ALL (SELECT id FROM items t WHERE n < 200 ORDER BY t.v <?> :q LIMIT 5)');
same_ok('two scans of one index', 'SELECT a.id, b.id FROM (SELECT * FROM items t WHERE topic = :far ORDER BY t.v <?> :q LIMIT 4) a, LATERAL (SELECT t.id FROM items t WHERE t.topic = :near AND t.id <> a.id ORDER BY t.v <?> a.v LIMIT 3) b');
same_ok('window', 'SELECT id, row_number() OVER (ORDER BY t.v <?> :q) FROM items t WHERE n < 100 LIMIT 12');
same_ok('materialized', 'WITH m AS MATERIALIZED (SELECT id, topic FROM items t WHERE n < 1000 ORDER BY t.v <?> :q) SELECT id FROM m WHERE topic = :near LIMIT 9');
same_ok('a CTE read twice', 'WITH m AS (SELECT id, n FROM items t WHERE topic = :far ORDER BY t.v <?> :q LIMIT 30) SELECT a.id FROM m a WHERE n > (SELECT avg(n) FROM m)');

# rescans, with other values in the condition and in the order each time
same_ok('LATERAL', 'SELECT g.g, s.id FROM groups g, LATERAL (SELECT t.id FROM items t WHERE t.topic = g.g AND t.n < g.g * 300 ORDER BY t.v <?> :q LIMIT 3) s');
same_ok('LATERAL, both', 'SELECT g.id, s.id FROM queries g, LATERAL (SELECT t.id FROM items t WHERE t.topic = g.far ORDER BY t.v <?> g.v LIMIT 3) s');
same_ok('LATERAL, the same order', 'SELECT g.id, s.id FROM (SELECT * FROM queries ORDER BY id) g, LATERAL (SELECT t.id FROM items t WHERE t.n % 12 = g.id - 1 ORDER BY t.v <?> :q LIMIT 3) s');
same_ok('LATERAL, all rows', 'SELECT g.g, count(*), sum(s.id) FROM groups g, LATERAL (SELECT t.id FROM items t WHERE t.topic = g.g AND t.n > 1000 ORDER BY t.v <?> g.v OFFSET 0) s GROUP BY 1 ORDER BY 1',
	set => 'SET enable_sort = on', small => 1);
same_ok('memoized', 'SELECT a.id, s.id FROM (SELECT id, id % 4 AS part FROM generate_series(1, 40) id) a, LATERAL (SELECT t.id FROM items t WHERE t.n % 4 = a.part ORDER BY t.v <?> :q LIMIT 1) s');
same_ok('scalar subquery', 'SELECT q.id, (SELECT t.id FROM items t WHERE t.topic = q.far AND t.n > q.id * 100 ORDER BY t.v <?> q.v LIMIT 1) FROM queries q ORDER BY q.id');
same_ok('scalar subquery of one that varies seldom', 'SELECT q.id, (SELECT t.id FROM items t WHERE t.topic = q.near % 2 + 1 ORDER BY t.v <?> :q LIMIT 1) FROM queries q ORDER BY q.id');
same_ok('EXISTS over a search', 'SELECT q.id FROM queries q WHERE EXISTS (SELECT FROM (SELECT t.n FROM items t WHERE t.topic = q.far ORDER BY t.v <?> q.v LIMIT 5) s WHERE n < 1000) ORDER BY q.id');

# prepared statements, planned for their values and for any
for my $mode ('force_custom_plan', 'force_generic_plan')
{
	same_ok("prepared, $mode", 'EXECUTE p(:q, 200, :far); EXECUTE p(:q, 3000, :near); EXECUTE p(:q, 5000, :far); EXECUTE p(:q, 0, 1); EXECUTE p(:q, NULL, :near); EXECUTE p(:q, 2000, :far)',
		before => "SET LOCAL plan_cache_mode = $mode; PREPARE p(vector, int, int) AS SELECT t.id FROM items t WHERE t.n < \$2 AND t.topic = \$3 ORDER BY t.v <?> \$1 LIMIT 6", plan => 'EXECUTE p(:q, 200, :far)', after => 'DEALLOCATE p');
}

# cursors: in pieces, two at once on the same index, with changes in between that they do not see, held, scrolled
same_ok('cursors', 'FETCH 3 FROM c; FETCH 2 FROM d; MOVE 4 IN c; FETCH 3 FROM c; FETCH 5 FROM d; FETCH 1 FROM c; MOVE 20 IN d; FETCH 2 FROM d; FETCH 2 FROM c',
	before => 'DECLARE c NO SCROLL CURSOR FOR SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q; DECLARE d NO SCROLL CURSOR FOR SELECT id FROM items t WHERE n % 3 = 1 ORDER BY t.v <?> :q',
	plan => 'SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q');
same_ok('cursors and changes', 'FETCH 3 FROM c; UPDATE items SET topic = -1; INSERT INTO items SELECT id + 100000, v, n, :far, note, body FROM items WHERE id < 500; DELETE FROM items WHERE id % 2 = 0; FETCH 30 FROM c; SAVEPOINT a; FETCH 3 FROM c; ROLLBACK TO a; FETCH 3 FROM c',
	before => 'DECLARE c NO SCROLL CURSOR FOR SELECT id FROM items t WHERE topic = :far ORDER BY t.v <?> :q', hidden => 1);
same_ok('all rows by a cursor, and changes', 'FETCH 3 FROM c; UPDATE items SET n = -n; DELETE FROM items WHERE id % 2 = 0; MOVE ALL IN c; SELECT count(*) FROM items WHERE n < -50',
	before => 'DECLARE c NO SCROLL CURSOR FOR SELECT id FROM items t WHERE n > 300 ORDER BY t.v <?> :q', hidden => 1);
same_ok('SCROLL', 'FETCH 5 FROM c; FETCH BACKWARD 3 FROM c; FETCH 8 FROM c; MOVE ABSOLUTE 2 IN c; FETCH 3 FROM c; MOVE LAST IN c; FETCH FIRST FROM c',
	before => 'DECLARE c SCROLL CURSOR FOR SELECT id FROM items t WHERE n < 300 ORDER BY t.v <?> :q', hidden => 1);
same_ok('WITH HOLD', 'FETCH 3 FROM c; COMMIT; UPDATE items SET n = n; FETCH 3 FROM c; CLOSE c; BEGIN',
	before => 'DECLARE c CURSOR WITH HOLD FOR SELECT id FROM items t WHERE n % 7 = 2 ORDER BY t.v <?> :q', hidden => 1, methods => [ $METHODS[0] ]);

# functions: a condition that searches the same index; a loop that changes what it reads; a function that gives rows one at a time
my $functions = 'CREATE FUNCTION pg_temp.nearest(x vector, k int) RETURNS int STABLE LANGUAGE plpgsql AS $$ DECLARE r int; BEGIN
		SELECT t.id INTO r FROM items t WHERE t.n % 5 = k ORDER BY t.v <?> x LIMIT 1; RETURN r; END $$;
	CREATE FUNCTION pg_temp.some(k int) RETURNS SETOF int STABLE LANGUAGE sql AS $$ SELECT t.id FROM items t WHERE t.n % 5 = k ORDER BY t.v <?> :q LIMIT 20 $$;
	CREATE FUNCTION pg_temp.caught(x int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN
		RETURN (SELECT count(*) FROM (SELECT t.id FROM items t WHERE 1 / (t.n - x) >= 0 AND t.topic = :far ORDER BY t.v <?> :q) s); EXCEPTION WHEN division_by_zero THEN RETURN -x; END $$';
my $nothing = 'SELECT id FROM items t WHERE n < 100 ORDER BY t.v <?> :q LIMIT 2';
same_ok('a search within the condition', 'SELECT id FROM items t WHERE n < 400 AND pg_temp.nearest(t.v, t.n % 5) = t.id AND pg_temp.nearest(:q, 1) > 0 ORDER BY t.v <?> :q LIMIT 20', before => $functions);
same_ok('rows of a function', 'SELECT * FROM pg_temp.some(3) LIMIT 9; SELECT a, b FROM pg_temp.some(1) a, pg_temp.some(2) b LIMIT 30', before => $functions, plan => $nothing);
same_ok('errors that are caught', 'SELECT pg_temp.caught(n) FROM generate_series(70, 90) n', before => $functions, plan => $nothing);
same_ok('a loop that changes what it reads', 'DO $$ DECLARE r record; BEGIN FOR r IN SELECT t.id, t.n FROM items t WHERE t.n < 1500 AND t.topic <> :near ORDER BY t.v <?> :q LIMIT 40 LOOP
		UPDATE items SET n = -r.id, note = (SELECT count(*) FROM items i WHERE i.n < 0) WHERE id = r.id; END LOOP; END $$; SELECT id, note FROM items WHERE n < 0 ORDER BY note::int, id', plan => $nothing);

# statements that change rows
same_ok('UPDATE', 'UPDATE items SET n = -1 WHERE id IN (SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7); SELECT id FROM items WHERE n = -1 ORDER BY id', plan => $nothing);
same_ok('DELETE', 'WITH d AS (DELETE FROM items USING (SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7) s WHERE s.id = items.id RETURNING items.id) SELECT id FROM d ORDER BY 1', plan => $nothing,
	set => 'SET enable_sort = on');
same_ok('INSERT', 'INSERT INTO items SELECT id + 100000, v, n, topic, note, body FROM items t WHERE topic = :far ORDER BY t.v <?> :q; SELECT count(*), count(DISTINCT id) FROM items WHERE topic = :far', small => 1, plan => $nothing);
same_ok('FOR UPDATE', 'SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7 FOR UPDATE');
same_ok('CREATE TABLE AS', 'CREATE TABLE made AS SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7; TABLE made', plan => $nothing);
same_ok('a loop with transactions', "COMMIT; CREATE TEMP TABLE kept (id int); DO \$\$ DECLARE r record; BEGIN FOR r IN SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7 LOOP
		INSERT INTO kept VALUES (r.id); COMMIT; END LOOP; END \$\$; TABLE kept; DROP TABLE kept; BEGIN", plan => $nothing);
same_ok('COPY', 'COPY (SELECT id FROM items t WHERE topic = :far AND n % 2 = 0 ORDER BY t.v <?> :q LIMIT 7) TO STDOUT', plan => $nothing);

# compiled, and in another process
my $elsewhere = $version < 160000 ? 'force_parallel_mode' : 'debug_parallel_query';
for my $set ([ 'compiled', 'SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = -1; SET jit_optimize_above_cost = -1' ], [ 'in a worker', "SET $elsewhere = on; SET max_parallel_workers_per_gather = 2" ])
{
	same_ok($set->[0], "SELECT id FROM items t WHERE topic = :far AND note LIKE 'note%3%' AND (n % 2 = 0 OR length(body) > 20) ORDER BY t.v <?> :q LIMIT 15", set => $set->[1]);
	same_ok("$set->[0], all rows", 'SELECT count(*), sum(id) FROM (SELECT id FROM items t WHERE topic = :far AND (n % 2 = 0 OR length(body) > 20) ORDER BY t.v <?> :q OFFSET 0) s', set => $set->[1], small => 1);
	same_ok("$set->[0], rescans", 'SELECT q.id, (SELECT t.id FROM items t WHERE t.topic = q.far AND t.n > q.id * 100 ORDER BY t.v <?> q.v LIMIT 1) FROM queries q ORDER BY q.id', set => $set->[1]);
}

# ---- functions with effects ----

$node->safe_psql('postgres', 'CREATE SEQUENCE calls; CREATE FUNCTION counted(n int) RETURNS bool VOLATILE LANGUAGE plpgsql AS $$ BEGIN RETURN nextval(\'calls\') > 0 AND n < 1000; END $$;
	CREATE FUNCTION wasteful(s text) RETURNS bool IMMUTABLE LANGUAGE sql AS $$ SELECT length(repeat(s, 400)) < 0 $$;
	CREATE FUNCTION peak() RETURNS int LANGUAGE sql AS $$ SELECT (regexp_match(pg_read_file(\'/proc/self/status\'), \'VmHWM:\s+(\d+)\'))[1]::int $$');
my $all = $node->safe_psql('postgres', 'SELECT count(*) FROM items');
for my $method (@METHODS)
{
	my ($am, $op) = @$method[ 4, 1 ];
	my $head = "$wide $forced $small";

	# a volatile function is called for each row that the executor gets, in that order, once
	is($node->safe_psql('postgres', "$head SELECT setval('calls', 1, false); SELECT count(*) > 0 FROM (SELECT id FROM items t WHERE counted(t.n) ORDER BY t.v $op '$vector' OFFSET 0) s; SELECT nextval('calls') - 1 - (SELECT count(*) FROM items)"),
		"1\nt\n0", "$am: a volatile function is called once for each row");
	is($node->safe_psql('postgres', "$head SELECT setval('calls', 1, false); SELECT count(*) > 0 FROM (SELECT id FROM items t WHERE (SELECT counted(t.n) OFFSET 0) ORDER BY t.v $op '$vector' OFFSET 0) s; SELECT nextval('calls') - 1 - (SELECT count(*) FROM items)"),
		"1\nt\n0", "$am: and so it is within a subquery");
	my (undef, $first, $calls) = split /\n/, $node->safe_psql('postgres', "$wide $forced SELECT setval('calls', 1, false);
		SELECT string_agg((n < 1000)::text, ',') FROM (SELECT n FROM items t ORDER BY t.v $op '$vector' LIMIT 200) s;
		DO \$\$ DECLARE i int; BEGIN SELECT id INTO i FROM items t WHERE counted(t.n) ORDER BY t.v $op '$vector' LIMIT 1; END \$\$; SELECT nextval('calls') - 1");
	my @passes = split /,/, $first;
	my ($expected) = grep { $passes[ $_ - 1 ] eq 'true' } 1 .. @passes;
	# the two searches may miss different rows
	cmp_ok(abs($calls - $expected), '<=', 3, "$am: and for no more than it takes, $calls calls, place $expected");

	# memory that a condition takes is given back row by row, and a condition that takes long can be stopped
	my ($search, $order) = ('SELECT count(*) FROM (SELECT id FROM items t WHERE', "ORDER BY t.v $op '$vector' OFFSET 0) s");
	my (undef, $before, undef, $after) = split /\n/, $node->safe_psql('postgres', "$head $search length(t.body) < 0 $order; SELECT peak(); $search wasteful(t.body || 'x') $order; SELECT peak()");
	cmp_ok($after - $before, '<', 15000, "$am: memory of a condition, $before and $after kB");
	my ($status, $out, $err) = $node->psql('postgres', "$head SET statement_timeout = '150ms'; SELECT id FROM items t WHERE length(repeat(t.note || 'x', 300000)) < 0 ORDER BY t.v $op '$vector' LIMIT 3;");
	like($err, qr/canceling statement due to statement timeout/, "$am: a long scan is stopped");

	# errors, after which the session goes on
	($status, $out, $err) = $node->psql('postgres', "$head SELECT id FROM items t WHERE 1 / (t.n - 77) > 5 ORDER BY t.v $op '$vector' LIMIT 3; SELECT count(*) > 0 FROM (SELECT id FROM items t WHERE t.n < 1000 ORDER BY t.v $op '$vector') s;
		BEGIN; SAVEPOINT a; SELECT id FROM items t WHERE 1 / (t.n - 77) > 5 ORDER BY t.v $op '$vector' LIMIT 3; ROLLBACK TO a; SELECT count(*) > 0 FROM (SELECT id FROM items t WHERE t.n < 1000 ORDER BY t.v $op '$vector') s; COMMIT",
		on_error_stop => 0);
	is($out, "t\nt", "$am: after an error");
	is(scalar(() = $err =~ /division by zero/g), 2, "$am: errors of a condition") or diag($err);
}

# ---- changes of the catalogs ----

# Conditions that run queries of their own learn of them in the middle of a scan.
$node->safe_psql('postgres', 'CREATE FUNCTION asks(n int) RETURNS bool STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN n % 9 = (SELECT count(*) FROM groups WHERE g = 1); END $$');
{
	my $run = start_sql($node, join ';', map { "ALTER TABLE items ALTER n SET STATISTICS " . ($_ % 9 + 1) . '; ANALYZE items (n); CREATE TABLE other (); DROP TABLE other; VACUUM items' } 1 .. 2000);
	my $query = "SELECT format('SELECT count(*) = %s, count(DISTINCT id) = %1\$s FROM (SELECT id FROM items t WHERE asks(t.n) ORDER BY t.v %s %L OFFSET 0) s', "
	  . "(SELECT count(*) FROM items WHERE n % 9 = 1), o, v) FROM queries, unnest('{<=>,<->,<#>,<+>}'::text[]) o WHERE id <= 4 \\gexec";
	my ($status, $out, $err) = $node->psql('postgres', "SET jit = off; $forced $small $query");

	is($err, '', 'catalogs change: no error');
	is($out, join("\n", ('t|t') x 16), 'catalogs change: all rows');
	$run->{handle}->kill_kill;
}

# ---- row security ----

# A function that tells what it sees is called for no row that its caller may not see, however cheap it says to be.
$node->safe_psql('postgres', "CREATE ROLE tenant LOGIN; GRANT SELECT ON items, groups, queries TO tenant; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON items USING (topic = current_setting('outside.topic')::int);
	CREATE FUNCTION leak(topic int, n int) RETURNS bool IMMUTABLE COST 0.0001 LANGUAGE plpgsql AS \$\$ BEGIN RAISE NOTICE 'seen %', topic; RETURN n < 500; END \$\$;
	CREATE FUNCTION fails(topic int) RETURNS bool IMMUTABLE COST 0.0001 LANGUAGE plpgsql AS \$\$ BEGIN IF topic <> current_setting('outside.topic')::int THEN RAISE 'row of %', topic; END IF; RETURN true; END \$\$");
for my $method (@METHODS)
{
	my ($am, $op) = @$method[ 4, 1 ];

	for my $topic ($near, $far)
	{
		my $head = "SET ROLE tenant; SET outside.topic = $topic; $wide $forced $small";
		my ($limit, $none) = ('LIMIT 10', '');
		for my $end ('LIMIT 10', '')
		{
			my $query = "SELECT t.id FROM items t WHERE leak(t.topic, t.n) AND fails(t.topic) ORDER BY t.v $op '$vector' $end";
			my ($status, $out, $err) = $node->psql('postgres', "$head $query");
			my @seen = $err =~ /seen (\d+)/g;

			is($status, 0, "$am, topic $topic, $end: no error") or diag(substr $err, -500);
			is(scalar(grep { $_ != $topic } @seen), 0, "$am, topic $topic, $end: " . @seen . ' rows seen, none of others');
			is(join(',', sort split /\n/, $out), join(',', sort split /\n/, $node->safe_psql('postgres', "SELECT id FROM items WHERE topic = $topic AND n < 500")), "$am, topic $topic: all rows")
			  if $end eq '';
			my $plan = $node->safe_psql('postgres', "$head EXPLAIN (COSTS OFF) $query");
			like($plan, qr/Index Scan using items_\S+ on items/, "$am, topic $topic, $end: by the index");
		}
	}
}
$node->safe_psql('postgres', 'ALTER TABLE items DISABLE ROW LEVEL SECURITY');

# Nor is it where the index has the policy's column, but cannot tell all of its values apart.
$node->safe_psql('postgres', "CREATE TABLE secrets AS SELECT id, v, n, ('00000000-0000-0000-0000-00000000000' || topic)::uuid AS owner, topic FROM items;"
	. indexes('secrets', columns => 'owner') . "ANALYZE secrets; GRANT SELECT ON secrets TO tenant; ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON secrets USING (owner = ('00000000-0000-0000-0000-00000000000' || current_setting('outside.topic'))::uuid)");
for my $method (@METHODS)
{
	my ($am, $op) = @$method[ 4, 1 ];

	for my $end ('LIMIT 10', '')
	{
		my $query = "SELECT t.id FROM secrets t WHERE leak(t.topic, t.n) AND fails(t.topic) ORDER BY t.v $op '$vector' $end";
		my ($status, $out, $err) = $node->psql('postgres', "SET ROLE tenant; SET outside.topic = $far; $wide $forced $small EXPLAIN (COSTS OFF) $query; $query");
		my @seen = $err =~ /seen (\d+)/g;

		is($status, 0, "$am, policy in the index, $end: no error") or diag(substr $err, -500);
		is(scalar(grep { $_ != $far } @seen), 0, "$am, policy in the index, $end: " . @seen . ' rows seen, none of others');
		like($out, qr/Index Cond: \(owner = .*^\d+$/ms, "$am, policy in the index, $end: by the index, rows");
	}
}

# ---- a standby ----

my $standby = new_standby($node);
$node->safe_psql('postgres', 'UPDATE items SET n = n + 1 WHERE id % 3 = 1; DELETE FROM items WHERE id % 10 = 2; VACUUM items; UPDATE items SET n = n - 1 WHERE id % 3 = 1');
$node->safe_psql('postgres', "BEGIN; UPDATE items SET topic = 7 - topic WHERE id % 2 = 0; PREPARE TRANSACTION 'open'");
caught_up($node, $standby);
for my $method (@METHODS)
{
	conditions_ok($standby, $method, \@conditions, name => 'standby', index => '\S*', set => $small);
	conditions_ok($standby, $method, \@conditions, name => 'standby', index => '\S*', set => $small, k => 10);
}
$node->safe_psql('postgres', "COMMIT PREPARED 'open'");
caught_up($node, $standby);
conditions_ok($standby, $_, every(3, 1, @conditions), name => 'standby, committed', index => '\S*', set => $small) for @METHODS;

for my $server ($node, $standby)
{
	unlike(slurp_file($server->logfile), qr/leak:|PANIC|TRAP|INDEX_CORRUPTED|reference leak/, 'nothing else in the log of ' . $server->name);
}
$standby->stop;
$node->stop;
done_testing();
