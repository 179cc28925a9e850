
# CrashRounds.pm: kill -9 in the middle of work, recover, look at the index.
# Used by a short test and a long one.

package CrashRounds;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Time::HiRes qw(usleep);
use VecidxTest;

our @EXPORT = qw(crash_rounds);

my $POOL = 20000;
my $DIM = 32;

# One round each: work in the background, a crash in the middle of it, and
# returns true if the work was under way when the crash came.

# A build dies with its transaction; the index that was there stays.
sub crash_build
{
	my ($node, $how, $fraction, $round) = @_;
	my $memory = int($round / 3) % 2 ? '1MB' : '64MB';   # past memory and within it
	my $run = start_sql($node,
		"SET maintenance_work_mem = '$memory'; SELECT pg_backend_pid();
		 CREATE INDEX unfinished ON pool USING hnsw (v vector_l2_ops);");
	my $under_way = wait_for_progress($node, $run,
		"SELECT coalesce(max(tuples_done), 0) >= $POOL * $fraction FROM pg_stat_progress_create_index");

	crash_now($node, $how, $run);
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'unfinished'"),
		0, "round $round: no trace of the unfinished index")
	  if $under_way;
	$node->safe_psql('postgres', 'DROP INDEX IF EXISTS unfinished');
	return $under_way;
}

# Rows whose insertion was acknowledged are there afterwards.
sub crash_inserts
{
	my ($node, $how, $fraction, $round) = @_;
	my $missing = "SELECT p.id FROM pool p WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.id = p.id) ORDER BY md5(p.id || '/$round')";
	my @ids = split /\n/, $node->safe_psql('postgres', "$missing LIMIT 6000");
	my @runs;

	for my $client (0 .. 2)
	{
		my $sql = "SELECT pg_backend_pid();\n";
		$sql .= "INSERT INTO items SELECT id, v FROM pool WHERE id = $ids[$_] RETURNING id;\n"
		  for grep { $_ % 3 == $client } 0 .. $#ids;
		push @runs, start_sql($node, $sql);
	}
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM items');
	my $under_way = wait_for_progress($node, $runs[0],
		"SELECT count(*) - $before >= 1500 * $fraction FROM items");

	crash_now($node, $how, @runs);
	my @acknowledged = map { my (undef, @rows) = split /\n/, $_->{out}; @rows } @runs;
	ok(@acknowledged > 0, "round $round: " . scalar(@acknowledged) . ' rows were acknowledged');
	is( $node->safe_psql('postgres',
			'SELECT count(*) FROM unnest(ARRAY[' . join(',', @acknowledged) . ']::int[]) a WHERE NOT EXISTS (SELECT 1 FROM items WHERE id = a)'),
		0, "round $round: none of them is lost");
	return $under_way;
}

# VACUUM is slowed down by its cost settings, so that there is a middle.
sub crash_vacuum
{
	my ($node, $how, $fraction, $round) = @_;

	$node->safe_psql('postgres', "DELETE FROM items WHERE id % 5 = $round % 5");
	my $run = start_sql($node,
		"SET vacuum_cost_delay = 1; SET vacuum_cost_limit = 200; SELECT pg_backend_pid();
		 VACUUM (INDEX_CLEANUP ON) items;");
	my $under_way = wait_for_progress($node, $run,
		"SELECT phase = 'vacuuming indexes' FROM pg_stat_progress_vacuum UNION ALL SELECT false LIMIT 1");

	usleep(400_000 * $fraction) if $under_way;
	$run->{handle}->pump_nb;
	$under_way &&= $run->{handle}->pumpable;
	crash_now($node, $how, $run);
	return $under_way;
}

# Kill, and let the clients find out.
sub crash_now
{
	my ($node, $how, @runs) = @_;
	my ($pid) = $runs[0]->{out} =~ /^(\d+)/;

	crash($node, $how, $pid);
	finish_sql($_) for @runs;
	return;
}

# $rounds crashes, turn by turn in a build, in inserts and in VACUUM, of one
# backend or of all processes, at varying points of the work.
sub crash_rounds
{
	my ($rounds) = @_;
	my $node = new_node('crash', conf => "shared_buffers = 32MB\ncheckpoint_timeout = 30s\n");
	my @kinds = ([ 'build', \&crash_build ], [ 'inserts', \&crash_inserts ], [ 'vacuum', \&crash_vacuum ]);
	my $hits = 0;

	load_vectors($node, 'pool', make_vectors($POOL, $DIM, 1));
	load_vectors($node, 'queries', make_vectors(50, $DIM, 2));
	$node->safe_psql('postgres', "CREATE TABLE items (id int PRIMARY KEY, v vector($DIM));
		INSERT INTO items SELECT * FROM pool WHERE id <= 5000;
		CREATE INDEX idx ON items USING hnsw (v vector_l2_ops);
		CREATE INDEX sparse ON items USING hnsw ((v::sparsevec($DIM)) sparsevec_l2_ops);
		CREATE INDEX filtered ON items USING hnsw (v vector_l1_ops, id, (id % 10));
		CREATE INDEX flat ON items USING ivfflat (v vector_ip_ops);
		CREATE INDEX pq ON items USING ivfpq (v vector_cosine_ops)");
	# by metric: which index a query takes
	my @indexes = qw(idx sparse filtered flat pq);
	my @metrics = qw(l2 l1 ip cosine);
	my $least = recall_ok($node, 0.95, 'before', ef => 100) - 0.03;

	for my $round (1 .. $rounds)
	{
		my ($kind, $work) = @{ $kinds[ $round % 3 ] };
		my $how = $round % 2 ? 'server' : 'backend';
		my $fraction = (0.15, 0.55, 0.85, 0.35)[ int($round / 3) % 4 ];
		my $name = "round $round, $kind, $how";

		$hits++ if $work->($node, $how, $fraction, $round);
		check_ok($node, $_, "$name, recovered, $_") for @indexes;
		complete_ok($node, 'items', $_, "$name, recovered, $_") for @metrics;
		recall_ok($node, $least, "$name, recovered", ef => 100);

		# What was half done is taken up again.
		$node->safe_psql('postgres', "INSERT INTO items SELECT * FROM pool p
			WHERE id <= 1000 AND NOT EXISTS (SELECT 1 FROM items i WHERE i.id = p.id)");
		$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
		check_ok($node, $_, "$name, work goes on, $_") for @indexes;
		complete_ok($node, 'items', $_, "$name, work goes on, $_") for @metrics;
		recall_ok($node, $least, "$name, work goes on", ef => 100);
	}

	ok($hits >= 0.7 * $rounds, "$hits of $rounds crashes came in the middle of the work");
	$node->stop;
	return;
}

1;
