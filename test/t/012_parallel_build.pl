
# Builds by several processes: as good as by one, with the workers that were
# asked for, of every kind of table and index, in any memory; cancelled, failing
# in a worker, losing a worker; and without shared memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use ParallelBuild;
use Test::More;
use VecidxTest;

my $rows = 12000;
my $node = new_node('parallel', conf => "max_worker_processes = 16\nmax_parallel_workers = 12\n$SEGMENTS_IN_DATA_DIR");

load_vectors($node, 'items', make_vectors($rows, 32, 1));
load_vectors($node, 'queries', make_vectors(50, 32, 2));

# ---- How many workers ----

my $create = 'CREATE INDEX idx ON items USING hnsw (v vector_l2_ops)';

for my $workers (0, 1, 2, 4)
{
	my $said = build($node, "$create; DROP INDEX idx", workers => $workers);

	is($said->{asked}, $workers || -1, "$workers workers: asked for");
	is($said->{came}, $workers || -1, "$workers workers: came");
	if ($workers > 0)
	{
		is($said->{processes}, $workers + 1, "$workers workers: each scans, and the leader");
		is($said->{read}, $rows, "$workers workers: every row is read once");
	}
}
$node->safe_psql('postgres', 'ALTER TABLE items SET (parallel_workers = 1)');
is(build($node, "$create; DROP INDEX idx", workers => 4)->{asked}, 1, 'parallel_workers of the table');
$node->safe_psql('postgres', 'ALTER TABLE items SET (parallel_workers = 0)');
is(build($node, "$create; DROP INDEX idx", workers => 4)->{asked}, -1, 'parallel_workers of 0');
$node->safe_psql('postgres', 'ALTER TABLE items RESET (parallel_workers)');

is(build($node, 'CREATE TABLE few AS SELECT * FROM items WHERE id <= 1000;
	CREATE INDEX ON few USING hnsw (v vector_l2_ops)')->{asked}, -1, 'few rows: no worker');
is(build($node, 'CREATE TEMP TABLE own AS SELECT * FROM items;
	CREATE INDEX ON own USING hnsw (v vector_l2_ops)')->{asked}, -1, 'temporary table: no worker');
is(build($node, "CREATE FUNCTION risky(id int) RETURNS bool IMMUTABLE PARALLEL RESTRICTED LANGUAGE plpgsql
	AS 'BEGIN RETURN id > 0; END';
	$create WHERE risky(id); DROP INDEX idx")->{asked}, -1, 'a predicate that is not parallel safe: no worker');

# ---- As good as by one process ----

for my $metric (qw(l2 cosine))
{
	for my $quantizer (@QUANTIZERS)
	{
		my %recall;

		for my $how ([ 0, '256MB' ], [ 3, '256MB' ], [ 3, '1MB' ])
		{
			my ($workers, $memory) = @$how;
			my $name = "$metric $quantizer, $workers workers, $memory";
			my $said = build($node, "DROP INDEX IF EXISTS idx;
				CREATE INDEX idx ON items USING hnsw (v vector_${metric}_ops) WITH (quantizer = '$quantizer')",
				workers => $workers, memory => $memory);
			my @notices = $said->{text} =~ /(hnsw graph no longer fits)/g;

			is(@notices, $memory eq '1MB' ? 1 : 0, "$name: says once when memory is used up");
			$recall{"$workers $memory"} = recall_ok($node, 0.9, $name, metric => $metric);
			check_ok($node, 'idx', $name);
			complete_ok($node, 'items', $metric, $name);
		}
		for my $how ('3 256MB', '3 1MB')
		{
			cmp_ok(abs($recall{$how} - $recall{'0 256MB'}), '<=', 0.03, "$metric $quantizer, $how: recall as by one process");
		}
	}
}
$node->safe_psql('postgres', 'DROP INDEX idx');

# One process gives the same graph each time.
my @answers = map {
	build($node, $create, workers => 0);
	my $answer = $node->safe_psql('postgres', 'SET hnsw.ef_search = 10; SET hnsw.iterative_scan = off; SET enable_seqscan = off;
		SELECT q.id, ARRAY(SELECT t.id FROM items t ORDER BY t.v <-> q.v LIMIT 10) FROM queries q ORDER BY q.id');
	$node->safe_psql('postgres', 'DROP INDEX idx');
	$answer;
} 1 .. 2;
is($answers[0], $answers[1], 'one process gives the same graph each time');

# ---- Rows of all kinds ----

$node->safe_psql('postgres', "
	CREATE TABLE equal AS SELECT i AS id, (SELECT v FROM items WHERE id = 1 + i % 7) AS v FROM generate_series(1, 20000) i;
	CREATE TABLE gaps AS SELECT id, CASE WHEN id % 10 = 0 THEN NULL WHEN id % 10 = 1 THEN array_fill(0, '{32}')::vector(32)
		ELSE v END AS v FROM items;
	CREATE TABLE nothing (id int, v vector(32)) WITH (parallel_workers = 2);
	CREATE TABLE nulls WITH (parallel_workers = 2) AS SELECT id, NULL::vector(32) AS v FROM items;
	ALTER TABLE equal ALTER v TYPE vector(32);
	ALTER TABLE gaps ALTER v TYPE vector(32)");
for my $memory (qw(256MB 1MB))
{
	is(build($node, 'CREATE INDEX equal_idx ON equal USING hnsw (v vector_l2_ops)', memory => $memory)->{came}, 2, 'equal rows: built together');
	complete_ok($node, 'equal', 'l2', "equal rows, $memory");
	check_ok($node, 'equal_idx', "equal rows, $memory");
	cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('equal_idx')"), '<', 400_000, 'equal rows share nodes');
	$node->safe_psql('postgres', 'DROP INDEX equal_idx');
}
is(build($node, 'CREATE INDEX gaps_idx ON gaps USING hnsw (v vector_cosine_ops)')->{came}, 2, 'NULLs and zero vectors: built together');
check_ok($node, 'gaps_idx', 'NULLs and zero vectors');
is($node->safe_psql('postgres', "SET enable_seqscan = off;
	SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM gaps ORDER BY v <=> (SELECT v FROM queries WHERE id = 1)) s"),
	'9600|9600', 'NULLs and zero vectors are left out');
is($node->safe_psql('postgres', "SELECT reltuples FROM pg_class WHERE relname = 'gaps_idx'"), '9600', 'the rows of all processes are counted');
# (PostgreSQL 18 leaves the table's count alone where autovacuum is off)
like($node->safe_psql('postgres', "SELECT reltuples FROM pg_class WHERE relname = 'gaps'"), qr/^(12000|-1)$/, 'those of the table, too');
for my $table (qw(nothing nulls))
{
	is(build($node, "CREATE INDEX ${table}_idx ON $table USING hnsw (v vector_l2_ops)")->{came}, 2, "$table: built together");
	$node->safe_psql('postgres', "INSERT INTO $table SELECT id, v FROM items WHERE id <= 20");
	check_ok($node, "${table}_idx", $table);
}

# ---- Indexes of all kinds ----

build($node, "$create WHERE id % 2 = 0");
is($node->safe_psql('postgres', 'SET enable_seqscan = off;
	SELECT count(*) FROM (SELECT id FROM items WHERE id % 2 = 0 ORDER BY v <-> (SELECT v FROM queries WHERE id = 1)) s'), '6000', 'partial index');
check_ok($node, 'idx', 'partial index');
$node->safe_psql('postgres', 'DROP INDEX idx');

is(build($node, 'CREATE INDEX idx ON items USING hnsw (((v + v)::vector(32)) vector_l2_ops)')->{came}, 2, 'index on an expression: built together');
check_ok($node, 'idx', 'index on an expression');
is($node->safe_psql('postgres', 'SET enable_seqscan = off;
	SELECT count(*) FROM (SELECT id FROM items ORDER BY ((v + v)::vector(32)) <-> (SELECT v FROM queries WHERE id = 1)) s'), $rows, 'index on an expression');
is(build($node, 'REINDEX INDEX idx')->{came}, 2, 'REINDEX: built together');
check_ok($node, 'idx', 'REINDEX');
is(build($node, 'REINDEX INDEX CONCURRENTLY idx')->{came}, 2, 'REINDEX CONCURRENTLY: built together');
check_ok($node, 'idx', 'REINDEX CONCURRENTLY');
$node->safe_psql('postgres', 'DROP INDEX idx');

is(build($node, 'CREATE INDEX CONCURRENTLY idx ON items USING hnsw (v vector_l2_ops)')->{came}, 2, 'CONCURRENTLY: built together');
recall_ok($node, 0.9, 'CONCURRENTLY');
check_ok($node, 'idx', 'CONCURRENTLY');
$node->safe_psql('postgres', 'DROP INDEX idx; CREATE UNLOGGED TABLE unlogged AS SELECT * FROM items');
is(build($node, 'CREATE INDEX unlogged_idx ON unlogged USING hnsw (v vector_l2_ops)')->{came}, 2, 'unlogged: built together');
check_ok($node, 'unlogged_idx', 'unlogged');
is(build($node, "BEGIN; CREATE TABLE fresh AS SELECT * FROM items; CREATE INDEX fresh_idx ON fresh USING hnsw (v vector_l2_ops); COMMIT")->{came},
	2, 'a table of the same transaction: built together');
check_ok($node, 'fresh_idx', 'a table of the same transaction');

# A snapshot may need row versions that a HOT chain leads to and the index does
# not: whichever process meets one, the index is marked.
for my $workers (0, 3)
{
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS hot;
		CREATE TABLE hot WITH (fillfactor = 50) AS SELECT * FROM items; VACUUM hot');
	my $holder = start_sql($node, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM hot; SELECT pg_sleep(60)');
	wait_for_progress($node, $holder, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'");
	$node->safe_psql('postgres', "UPDATE hot SET v = v + v WHERE id > $rows - 3");
	build($node, 'CREATE INDEX hot_idx ON hot USING hnsw (v vector_l2_ops)', workers => $workers);
	is($node->safe_psql('postgres', "SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'hot_idx'::regclass"), 't',
		"$workers workers: broken HOT chains are noticed");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
	finish_sql($holder);
}

# ---- Cancelled, failed, killed ----

# Slow enough to be met on the way: a predicate that sleeps.
$node->safe_psql('postgres', "
	CREATE FUNCTION slow(id int) RETURNS bool IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql
	AS 'BEGIN IF id % 50 = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN true; END';
	CREATE FUNCTION fails(id int) RETURNS bool IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql
	AS 'BEGIN IF id = $rows - 100 THEN RAISE EXCEPTION ''row % is bad'', id; END IF; RETURN true; END';
	ALTER TABLE items SET (parallel_workers = 2)");

my $before = leftovers($node);
for my $memory (qw(64MB 1MB))
{
	for my $how (sort keys %INTERRUPTIONS)
	{
		my ($sql, $expect) = @{ $INTERRUPTIONS{$how} };
		my $run = start_sql($node, "SET max_parallel_maintenance_workers = 2; SET maintenance_work_mem = '$memory';
			CREATE INDEX idx ON items USING hnsw (v vector_l2_ops) WHERE slow(id)");

		ok(wait_for_progress($node, $run, "SELECT count(*) > 0 FROM pg_stat_progress_create_index
			WHERE phase = 'building index: loading tuples' AND tuples_done > " . ($memory eq '1MB' ? 6000 : 1000)),
			"$how in $memory: progress is seen");
		isnt(leftovers($node), $before, "$how in $memory: there is something to be left");
		$node->safe_psql('postgres', $sql);
		my ($code, undef, $err) = finish_sql($run);
		isnt($code, 0, "$how in $memory: the build ends");
		like($err, $expect, "$how in $memory: it says why");
		nothing_left($node, "$how in $memory", $before);
	}
}
my ($code, undef, $err) = $node->psql('postgres', "SET max_parallel_maintenance_workers = 2; $create WHERE fails(id)");
isnt($code, 0, 'an error in the midst: the build fails');
like($err, qr/row 11900 is bad/, 'an error in the midst: it reaches the client');
nothing_left($node, 'an error in the midst', $before);
$node->safe_psql('postgres', 'ALTER TABLE items RESET (parallel_workers)');
is(build($node, $create)->{came}, 2, 'and the next build goes well');
check_ok($node, 'idx', 'and the next build goes well');

# Workers that the server has no room for are done without.
$node->append_conf('postgresql.conf', 'max_parallel_workers = 1');
$node->reload;
my $said = build($node, "DROP INDEX idx; $create", workers => 4);
is("$said->{came} of $said->{asked}", '1 of 4', 'fewer workers than asked for');
is($said->{read}, $rows, 'fewer workers than asked for: every row is read');
check_ok($node, 'idx', 'fewer workers than asked for');
$node->stop;

# ---- Little shared memory ----

SKIP:
{
	my $small = small_shm_node('small_shm') or skip 'no user and mount namespaces here', 1;

	load_vectors($small, 'items', make_vectors($rows, 32, 1));
	load_vectors($small, 'queries', make_vectors(50, 32, 2));

	# kilobytes that are left
	for my $free (60000, 2000, 500, 250, 40)
	{
		leave_shm($small, $free);
		my $found = build($small, "DROP INDEX IF EXISTS idx; $create", workers => 4);
		my $name = "$free kB of shared memory";
		note("$name: $found->{came} workers of $found->{asked}");
		if ($free == 60000)
		{
			is($found->{came}, 4, "$name: all workers");
			unlike($found->{text}, qr/NOTICE:  could not get/, "$name: nothing to say");
		}
		else
		{
			my @notices = $found->{text} =~ /NOTICE:  could not get enough shared memory/g;
			is(@notices, 1, "$name: a notice says so");
		}
		is($found->{came}, 4, "$name: a smaller graph in memory") if $free == 2000;
		is($found->{processes}, 0, "$name: one process") if $free == 40;
		recall_ok($small, 0.9, $name);
		check_ok($small, 'idx', $name);
		complete_ok($small, 'items', 'l2', $name);
	}
	$small->stop;
}

done_testing();
