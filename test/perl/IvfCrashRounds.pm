
# IvfCrashRounds.pm: kill -9 while an IVF index is built, while it learns and
# while its lists are split; recover, look at the index, and go on.  Used by a
# short test and a long one.

package IvfCrashRounds;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Time::HiRes qw(time usleep);
use VecidxTest;

our @EXPORT = qw(ivf_crash_rounds);

my $POOL = 12000;
my $DIM = 24;
my %INDEXES = (
	flat => 'ivfflat (v vector_ip_ops)',
	apart => "ivfflat (($WIDE) vector_l2_ops, (id % 10))",
	codes => 'ivfpq (v vector_l2_ops)',
	pq => 'ivfpq (v vector_cosine_ops) WITH (quantizer = pq)');
my %METRIC = (flat => 'ip', codes => 'l2', pq => 'cosine');
my @NAMES = sort keys %INDEXES;

# Sound, and with all rows.
sub whole
{
	my ($node, $name) = @_;

	apart_ok($node, 'items', 'apart', "$name, apart");
	for my $index (sort keys %METRIC)
	{
		check_ok($node, $index, "$name, $index");
		complete_ok($node, 'items', $METRIC{$index}, "$name, $index");
	}
	return;
}

sub empty_table
{
	my ($node) = @_;

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, v vector($DIM));"
		. join '', map { "CREATE INDEX $_ ON items USING $INDEXES{$_};" } @NAMES);
	return;
}

# Clients that insert rows of the pool, each its own.
sub start_writers
{
	my ($node, $first, $last, $clients) = @_;
	my @runs;

	for my $client (0 .. $clients - 1)
	{
		my $sql = "SET client_min_messages = debug1; SELECT pg_backend_pid();\n";
		for (my $id = $first; $id <= $last; $id += 10)
		{
			my $end = $id + 9 < $last ? $id + 9 : $last;
			$sql .= "INSERT INTO items SELECT id, v FROM pool WHERE id BETWEEN $id AND $end AND id % $clients = $client RETURNING id;\n";
		}
		push @runs, start_sql($node, $sql);
	}
	return @runs;
}

# Returns how many indexes the clients saw learn.
sub finish_writers
{
	my (@runs) = @_;
	my $learned = 0;

	for my $run (@runs)
	{
		my (undef, undef, $err) = finish_sql($run);
		$learned += () = $err =~ /has learned/g;
	}
	return $learned;
}

sub crash_build
{
	my ($node, $how, $name) = @_;
	my $index = $NAMES[ int(rand @NAMES) ];
	my $create = "CREATE INDEX unfinished ON pool USING $INDEXES{$index}";

	# how long it takes here
	my $begun = time;
	$node->safe_psql('postgres', "SET max_parallel_maintenance_workers = 1; $create");
	my $takes = time - $begun;
	$node->safe_psql('postgres', 'DROP INDEX unfinished');

	my $run = start_sql($node, "SELECT pg_backend_pid(); SET max_parallel_maintenance_workers = 1; $create");
	my $under_way = wait_for_progress($node, $run, 'SELECT count(*) > 0 FROM pg_stat_progress_create_index');
	my $after = rand($takes * 0.8);
	usleep(1e6 * $after);
	$run->{handle}->pump_nb if $under_way && $run->{handle}->pumpable;
	$under_way &&= $run->{handle}->pumpable;
	my ($pid) = $run->{out} =~ /^(\d+)/;
	crash($node, $how, $pid);
	finish_sql($run);
	note(sprintf '%s: a build of %s, which takes %.2f s, after %.2f s', $name, $index, $takes, $after);
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'unfinished'"), 0,
		"$name: no trace of the unfinished index")
	  if $under_way;
	$node->safe_psql('postgres', "DROP INDEX IF EXISTS unfinished; $create");
	check_ok($node, 'unfinished', "$name, built again");
	$node->safe_psql('postgres', 'DROP INDEX unfinished');
	return $under_way;
}

# At about so many rows.
sub crash_inserts
{
	my ($node, $how, $name, $at, $clients) = @_;

	empty_table($node);
	my @runs = start_writers($node, 1, $POOL, $clients);
	my $under_way = wait_for_progress($node, $runs[0], "SELECT count(*) >= $at FROM items");
	usleep(rand 40_000);
	for my $run (@runs)
	{
		$run->{handle}->pump_nb if $run->{handle}->pumpable;
	}
	my ($pid) = $runs[0]{out} =~ /^(\d+)/;
	crash($node, $how, $pid);
	my $learned = finish_writers(@runs);
	my @acknowledged = map { my (undef, @rows) = split /\n/, $_->{out}; @rows } @runs;
	my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM items');

	note("$name: $rows rows, $learned indexes had learned");
	is( $node->safe_psql('postgres',
			'SELECT count(*) FROM unnest(ARRAY[' . join(',', @acknowledged) . ']::int[]) a WHERE NOT EXISTS (SELECT FROM items WHERE id = a)'),
		0, "$name: none of " . @acknowledged . ' acknowledged rows is lost');
	whole($node, "$name, recovered");

	# What was half done is taken up again.
	my ($code, undef, $err) = finish_sql(start_sql($node, 'SET client_min_messages = debug1;
		INSERT INTO items SELECT * FROM pool p WHERE id <= 6000 AND NOT EXISTS (SELECT FROM items i WHERE i.id = p.id)'));
	is($code, 0, "$name: inserts go on") or diag($err);
	$learned += () = $err =~ /has learned/g;
	# a crash may come between learning and its message
	cmp_ok($learned, '>=', @NAMES - 1, "$name: indexes learn");
	whole($node, "$name, work goes on");
	$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 3 = 0');
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
	whole($node, "$name, vacuumed");
	for my $index (sort keys %METRIC)
	{
		my $am = $INDEXES{$index} =~ /^(\w+)/ ? $1 : die;
		recall_ok($node, 0.8, "$name, $index", metric => $METRIC{$index}, set => "SET $am.probes = 20;");
	}
	return $under_way;
}

# $rounds crashes at random points: turn by turn while an index is built, while
# it learns and while many insert.
sub ivf_crash_rounds
{
	my ($rounds) = @_;
	my $seed = $ENV{VECIDX_TEST_SEED} // int(time);
	my $node = new_node('ivf_crash', conf => "shared_buffers = 32MB\ncheckpoint_timeout = 30s\n");
	my $hits = 0;

	srand $seed;
	note("VECIDX_TEST_SEED=$seed");
	load_vectors($node, 'pool', make_vectors($POOL, $DIM, 1));
	load_vectors($node, 'queries', make_vectors(30, $DIM, 2));
	empty_table($node);
	for my $round (1 .. $rounds)
	{
		my $how = int(($round + 1) / 3) % 2 ? 'server' : 'backend';
		my $kind = ('splits', 'build', 'learning')[ $round % 3 ];
		my $name = "round $round, $kind, $how";

		if ($kind eq 'build') { $hits++ if crash_build($node, $how, $name); }
		elsif ($kind eq 'learning') { $hits++ if crash_inserts($node, $how, $name, 900 + int(rand 500), 3); }
		else { $hits++ if crash_inserts($node, $how, $name, 1500 + int(rand 4000), 6); }
	}
	ok($hits >= 0.6 * $rounds, "$hits of $rounds crashes came in the middle of the work");
	$node->stop;
	return;
}

1;
