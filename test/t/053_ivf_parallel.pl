
# IVF indexes made by several processes: the same lists as by one, also where
# shared memory is short; the progress that others see; and builds that are
# cancelled, or lose a process, while they train or load.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use ParallelBuild;
use Test::More;
use Time::HiRes qw(usleep);
use VecidxTest;

my $rows = 12000;
my $pool = make_vectors($rows, 32, 1);
my $queries = make_vectors(50, 32, 2);

sub load
{
	my ($node) = @_;

	load_vectors($node, 'items', $pool);
	load_vectors($node, 'queries', $queries);
	return;
}

# name => [access method, index]
my %indexes = (
	ivfflat => [ 'ivfflat', 'ivfflat (v vector_l2_ops) WITH (lists = 100)' ],
	pq => [ 'ivfpq', 'ivfpq (v vector_l2_ops) WITH (quantizer = pq)' ]);

# What one list gives to each query, in order: it tells lists, and by the order
# that estimates have, codes.
sub contents
{
	my ($node, $am) = @_;

	return $node->safe_psql('postgres', "SET enable_seqscan = off; SET $am.probes = 1; SET $am.iterative_scan = off; "
		. ($am eq 'ivfpq' ? 'SET ivfpq.rerank = off; ' : '')
		. 'SELECT q.id, ARRAY(SELECT t.id FROM items t ORDER BY t.v <-> q.v LIMIT 1000) FROM queries q ORDER BY q.id');
}

# ---- The same by any number of processes, in any shared memory ----

my %expected;
my $node = new_node('ivf_parallel', conf => "max_worker_processes = 16\nmax_parallel_workers = 12\n$SEGMENTS_IN_DATA_DIR");

load($node);
# as many workers as are allowed
$node->safe_psql('postgres', 'ALTER TABLE items SET (parallel_workers = 4)');
for my $name (sort keys %indexes)
{
	my ($am, $index) = @{ $indexes{$name} };

	is_deeply(build($node, "CREATE INDEX idx ON items USING $index", workers => 0)->{groups}, [], "$name: one process");
	$expected{$name} = contents($node, $am);
	like($expected{$name}, qr/\{\d+,\d+,/, "$name: lists have rows");
	for my $workers (1, 4)
	{
		my $said = build($node, "DROP INDEX idx; CREATE INDEX idx ON items USING $index", workers => $workers);

		is_deeply($said->{groups}, [ ("$workers of $workers") x 2 ], "$name: $workers workers train, and load");
		is($said->{read}, $rows, "$name, $workers workers: every row is read once");
		is(contents($node, $am), $expected{$name}, "$name, $workers workers: lists and codes are those of one process");
		check_ok($node, 'idx', "$name, $workers workers");
	}
	$node->safe_psql('postgres', 'DROP INDEX idx');
}

SKIP:
{
	my $small = small_shm_node('ivf_small_shm') or skip 'no user and mount namespaces here', 1;

	load($small);
	my $segments = $small->safe_psql('postgres', "SELECT count(*) FROM pg_ls_dir('/dev/shm')");
	$small->safe_psql('postgres', 'ALTER TABLE items SET (parallel_workers = 4)');

	# Kilobytes that are left.  In order: for all; for fewer workers to train; for
	# none to train; for fewer to load; for none; and not for the lists in between.
	for my $free (60000, 2200, 600, 260, 200, 40)
	{
		leave_shm($small, $free);
		for my $name (sort keys %indexes)
		{
			my ($am, $index) = @{ $indexes{$name} };
			my $case = "$free kB of shared memory, $name";
			my $said = build($small, "DROP INDEX IF EXISTS idx; CREATE INDEX idx ON items USING $index", workers => 4);
			my @short = $said->{text} =~ /NOTICE:  could not get enough shared memory for (?:a )?(parallel \w+)/g;

			note("$case: workers: ", join ', ', @{ $said->{groups} });
			if ($free == 60000)
			{
				is_deeply([ \@short, $said->{groups} ], [ [], [ ('4 of 4') x 2 ] ], "$case: enough");
			}
			elsif ($free == 600)
			{
				is_deeply([ \@short, $said->{groups} ], [ ['parallel training'], ['4 of 4'] ], "$case: trained by one process, which is said");
			}
			elsif ($free == 40)
			{
				is_deeply([ \@short, $said->{groups} ], [ [ 'parallel training', 'parallel build' ], [] ], "$case: made by one process, which is said");
			}
			is(contents($small, $am), $expected{$name}, "$case: lists and codes are those of one process");
			check_ok($small, 'idx', $case);
			complete_ok($small, 'items', 'l2', $case);
		}
	}
	is($small->safe_psql('postgres', 'DROP INDEX idx; SELECT count(*) FROM pg_ls_dir(\'/dev/shm\') f WHERE f <> \'fill\''), $segments,
		'no segment is left');
	$small->stop;
}

# ---- Progress ----

# What the view says of the only build, from its first word to its last.
$node->safe_psql('postgres', 'CREATE UNLOGGED TABLE seen (n serial, phase text, tuples bigint, blocks bigint, total bigint)');

sub watch_build
{
	my ($sql) = @_;
	my $watch = start_sql($node, q{
		SET synchronous_commit = off;
		TRUNCATE seen;
		SELECT 'ready';
		DO $$
		DECLARE
			current record;
			previous record;
		BEGIN
			LOOP
				SELECT phase, tuples_done AS tuples, blocks_done AS blocks, blocks_total AS total
				INTO current FROM pg_stat_progress_create_index;
				EXIT WHEN NOT FOUND AND previous IS NOT NULL;
				IF FOUND AND current IS DISTINCT FROM previous THEN
					INSERT INTO seen (phase, tuples, blocks, total)
					VALUES (current.phase, current.tuples, current.blocks, current.total);
					previous := current;
				END IF;
				COMMIT;
			END LOOP;
		END $$;});

	for (1 .. 1000)
	{
		last if $watch->{out} =~ /ready/;
		usleep(10_000);
		$watch->{handle}->pump_nb;
	}
	build($node, $sql);
	is((finish_sql($watch))[0], 0, "$sql: was looked at");
	return;
}

for my $name (sort keys %indexes)
{
	my @phases = ('initializing', 'sampling rows', 'performing k-means', 'assigning tuples', 'loading tuples', 'logging pages');
	my @long = @phases[ 1 .. 3 ];
	my %seen;
	my $counts = 0;

	# much may pass between two looks
	for my $try (1 .. 5)
	{
		watch_build("DROP INDEX IF EXISTS idx; CREATE INDEX idx ON items USING $indexes{$name}[1]");
		my @order = split /\n/, $node->safe_psql('postgres', "SELECT substr(phase, 17) FROM seen
			WHERE phase LIKE 'building index: %' GROUP BY phase ORDER BY min(n)");
		my %here = map { $_ => 1 } @order;
		is(join(', ', @order), join(', ', grep { $here{$_} } @phases), "$name: phases in order");
		# (PostgreSQL's count of blocks begins with all of them)
		is( $node->safe_psql('postgres', "SELECT count(*) FROM (SELECT tuples < lag(tuples) OVER (ORDER BY n) AS back FROM seen) s WHERE back"),
			0, "$name: rows are counted up");
		is( $node->safe_psql('postgres', "SELECT max(tuples), max(blocks) = max(total), max(total) = pg_relation_size('items') / 8192 FROM seen"),
			"$rows|t|t", "$name: in the end all is done");
		is( $node->safe_psql('postgres', "SELECT coalesce(max(tuples), 0) FROM seen WHERE phase LIKE '%sampling rows' OR phase LIKE '%k-means'"),
			0, "$name: none before training is done");
		$seen{$_} = 1 for @order;
		my $distinct = $node->safe_psql('postgres', "SELECT count(DISTINCT tuples) FROM seen WHERE phase LIKE '%assigning tuples'");
		$counts = $distinct if $distinct > $counts;
		last if $counts > 2 && !grep { !$seen{$_} } @long;
	}
	is(join(', ', grep { $seen{$_} } @long), join(', ', @long), "$name: phases that take long are seen");
	cmp_ok($counts, '>', 2, "$name: rows are counted on the way");
	$node->safe_psql('postgres', 'DROP INDEX idx');
}

# ---- Cancelled, killed ----

# Training that takes seconds; and workers that are slow to load.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE wide AS SELECT i AS id, (SELECT array_agg(sin(i * 0.7 * j) + cos(i % 50 * j)) FROM generate_series(1, 128) j)::vector(128) AS v
	FROM generate_series(1, 20000) i;
	ALTER TABLE wide ALTER v TYPE vector(128);
	ALTER TABLE wide SET (parallel_workers = 2);
	ALTER TABLE items SET (parallel_workers = 2);
	CREATE FUNCTION slow_worker(id int) RETURNS bool IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
	BEGIN
		IF id % 10 = 0 AND EXISTS (SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_type = 'parallel worker') THEN
			PERFORM pg_sleep(0.2);
		END IF;
		RETURN true;
	END $$});
my %stages = (
	'training' => [
		'CREATE INDEX idx ON wide USING ivfflat (v vector_l2_ops) WITH (lists = 3000)',
		"p.phase = 'building index: performing k-means'" ],
	'loading' => [
		'CREATE INDEX idx ON items USING ivfpq (v vector_l2_ops) WHERE slow_worker(id)',
		"p.phase = 'building index: assigning tuples' AND a.wait_event = 'PgSleep'" ]);
my $before = leftovers($node);

for my $stage (sort keys %stages)
{
	for my $how (sort keys %INTERRUPTIONS)
	{
		my ($create, $met) = @{ $stages{$stage} };
		my ($sql, $expect) = @{ $INTERRUPTIONS{$how} };
		my $run = start_sql($node, "SET max_parallel_maintenance_workers = 2; $create");

		ok(wait_for_progress($node, $run, "SELECT count(*) > 0 FROM pg_stat_progress_create_index p, pg_stat_activity a
			WHERE a.backend_type = 'parallel worker' AND $met"), "$how, $stage: met");
		isnt(leftovers($node), $before, "$how, $stage: there is something to be left");
		$node->safe_psql('postgres', $sql);
		my ($code, undef, $err) = finish_sql($run);
		isnt($code, 0, "$how, $stage: the build ends");
		like($err, $expect, "$how, $stage: it says why");
		nothing_left($node, "$how, $stage", $before);
	}
}
my ($code, undef, $err) = $node->psql('postgres', "SET max_parallel_maintenance_workers = 2; SET statement_timeout = '700ms'; $stages{loading}[0]");
isnt($code, 0, 'timed out: the build ends');
like($err, qr/canceling statement due to statement timeout/, 'timed out: it says why');
nothing_left($node, 'timed out', $before);

for my $name (sort keys %indexes)
{
	my ($am, $index) = @{ $indexes{$name} };

	is_deeply(build($node, "DROP INDEX IF EXISTS idx; CREATE INDEX idx ON items USING $index")->{groups}, [ ('2 of 2') x 2 ],
		"$name: the next build goes well");
	is(contents($node, $am), $expected{$name}, "$name: and gives what it should");
	check_ok($node, 'idx', "$name, the next build");
}
$node->stop;
done_testing();
