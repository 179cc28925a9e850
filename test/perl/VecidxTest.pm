
# VecidxTest.pm: what the TAP tests share.
#
# Data: clustered vectors from a generator with a fixed seed, so that every run
# and every PostgreSQL version sees the same rows.  They lie near a subspace of
# few dimensions, as embeddings do, and differ in length, so that the metrics
# disagree about who is near.
#
# Tables have the columns id and v.  A truth is found by a sequential scan.

package VecidxTest;

use strict;
use warnings;

use Exporter 'import';
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  %METRICS @QUANTIZERS $WIDE
  new_node make_vectors load_vectors
  recall recall_ok check_ok complete_ok apart_ok answers
  new_standby caught_up same_answers
  start_sql finish_sql wait_for_progress crash
);

# name => operator; the operator class is vector_<name>_ops
our %METRICS = (l2 => '<->', ip => '<#>', cosine => '<=>', l1 => '<+>');
our @QUANTIZERS = qw(none sq8 rabitq4);

# A table's vectors of 24 dimensions as ones so wide that ivfflat keeps them apart
# from their rows, in an index with a further column: ivfflat (($WIDE) vector_l2_ops, (id % 10)).
our $WIDE = '(v || array_fill(0::real, ARRAY[276])::vector)::vector(300)';

# A running server with the extension.  conf => further settings; streaming =>
# true to allow standbys.
sub new_node
{
	my ($name, %opt) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $opt{streaming} ? 1 : 0,
		has_archiving => $opt{archiving} ? 1 : 0);
	$node->append_conf('postgresql.conf',
		"autovacuum = off\nrestart_after_crash = on\nmax_wal_size = 1GB\n" . ($opt{conf} // ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION vecidx');
	return $node;
}

# Pseudo-random numbers (Park and Miller): the same everywhere.
{
	my $state = 1;

	sub seed_random { $state = 1 + shift() % 2147483646; return; }

	sub uniform
	{
		$state = $state * 48271 % 2147483647;
		return $state / 2147483647;
	}

	# near enough to a normal distribution
	sub normal { return 2 * (uniform() + uniform() + uniform() - 1.5); }
}

# n vectors in SQL text form.  The model (clusters and subspace) depends on
# dim alone, the vectors on seed too: queries come from the rows' distribution.
sub make_vectors
{
	my ($n, $dim, $seed) = @_;
	my ($rank, $clusters) = (12, 40);
	my (@basis, @centre, @vectors);

	seed_random($dim);
	push @basis, [ map { normal() } 1 .. $dim ] for 1 .. $rank;
	push @centre, [ map { 1.5 * normal() } 1 .. $rank ] for 1 .. $clusters;

	seed_random(1000 + $seed);
	for (1 .. $n)
	{
		my $c = $centre[ int(uniform() * $clusters) ];
		my $length = 0.7 + 0.6 * uniform();
		my @v = map { 0.3 * normal() } 1 .. $dim;
		for my $r (0 .. $rank - 1)
		{
			my $b = $basis[$r];
			my $z = $c->[$r] + normal();
			$v[$_] += $z * $b->[$_] for 0 .. $dim - 1;
		}
		push @vectors, '[' . join(',', map { sprintf '%.4f', $_ * $length } @v) . ']';
	}
	return \@vectors;
}

# Make the table and fill it with the vectors, ids from 1.
sub load_vectors
{
	my ($node, $table, $vectors) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$table.txt";
	my ($dim) = (($vectors->[0] =~ tr/,//) + 1);
	my $id = 0;

	open my $fh, '>', $file or die "$file: $!";
	print $fh ++$id, "\t$_\n" for @$vectors;
	close $fh or die "$file: $!";
	$node->safe_psql('postgres',
		"CREATE TABLE $table (id int PRIMARY KEY, v vector($dim)); COPY $table FROM '$file'; ANALYZE $table");
	return;
}

# Compare an index's answers with the truth, for every row of a table of
# queries.  Options: table, queries (items, queries), metric (l2), k (10),
# ef (the default), set (further SET commands), where (a condition on t, the
# table, which may name q, the query).  Returns recall, the number of
# queries that came back short and the number that came back out of order.
# Rows as near as the k-th true neighbour count as found, whichever of several
# equally near ones they are.
sub recall
{
	my ($node, %opt) = @_;
	my $table = $opt{table} // 'items';
	my $queries = $opt{queries} // 'queries';
	my $op = $METRICS{ $opt{metric} // 'l2' };
	my $k = $opt{k} // 10;
	my $where = defined $opt{where} ? "WHERE $opt{where}" : '';
	my $found = "ARRAY(SELECT t.v $op q.v FROM $table t $where ORDER BY t.v $op q.v LIMIT $k)";
	my $plan_query = "SELECT $found FROM $queries q";
	my $answer = $node->safe_psql(
		'postgres', "
		SET max_parallel_workers_per_gather = 0;
		SET enable_indexscan = off;
		CREATE TEMP TABLE truth AS SELECT q.id, $found AS d FROM $queries q;
		SET enable_indexscan = on;
		SET enable_seqscan = off;
		" . (defined $opt{ef} ? "SET hnsw.ef_search = $opt{ef};" : '') . ($opt{set} // '') . "
		CREATE TEMP TABLE found AS SELECT q.id, $found AS d FROM $queries q;
		SELECT coalesce(round(avg((SELECT count(*) FROM unnest(f.d) x WHERE x <= t.d[cardinality(t.d)])
						 / nullif(cardinality(t.d), 0)::numeric), 4), 1),
			   count(*) FILTER (WHERE cardinality(f.d) < cardinality(t.d)),
			   count(*) FILTER (WHERE f.d <> (SELECT array_agg(x ORDER BY x) FROM unnest(f.d) x))
		FROM truth t JOIN found f USING (id);
		EXPLAIN (COSTS OFF) $plan_query;
	");
	my ($first, @plan) = split /\n/, $answer;

	die "no index scan in the plan:\n@plan" unless grep { /Index Scan using \S+ on $table/ } @plan;
	return split /\|/, $first;
}

# Recall of at least $least, nothing short, everything in order.
sub recall_ok
{
	my ($node, $least, $name, %opt) = @_;
	my ($recall, $short, $disorder) = recall($node, %opt);
	my $ok = ok($recall >= $least, "$name: recall $recall >= $least");

	is("$short short, $disorder out of order", '0 short, 0 out of order', "$name: whole and ordered")
	  or $ok = 0;
	return $recall;
}

# The ten nearest rows of every query, as text, to compare two servers.
sub answers
{
	my ($node, $metric) = @_;
	my $op = $METRICS{$metric};

	return $node->safe_psql('postgres', "SET enable_seqscan = off;
		SELECT q.id, ARRAY(SELECT t.id FROM items t ORDER BY t.v $op q.v LIMIT 10) FROM queries q ORDER BY q.id");
}

# The checker finds nothing to say, of the index and of its heap.
sub check_ok
{
	my ($node, $index, $name) = @_;

	return is($node->safe_psql('postgres', "SELECT * FROM vecidx_check('$index', true) LIMIT 20"),
		'', "$name: vecidx_check");
}

# A scan of the whole index gives every row once.
sub complete_ok
{
	my ($node, $table, $metric, $name) = @_;
	my $op = $METRICS{$metric};
	my $answer = $node->safe_psql(
		'postgres', "
		SET enable_seqscan = off;
		SELECT count(*), count(DISTINCT id)
		FROM (SELECT id FROM $table ORDER BY v $op (SELECT v FROM queries WHERE id = 1)) s;
		SET enable_seqscan = on;
		SET enable_indexscan = off;
		SET enable_indexonlyscan = off;
		SELECT count(*), count(*) FROM $table;
		SET enable_seqscan = off;
		SET enable_indexscan = on;
		EXPLAIN (COSTS OFF) SELECT id FROM $table ORDER BY v $op (SELECT v FROM queries WHERE id = 1);
	");
	my ($index, $heap, @plan) = split /\n/, $answer;

	die "no index scan in the plan:\n@plan" unless grep { /Index Scan using \S+ on $table/ } @plan;
	return is($index, $heap, "$name: every row is in the index, once");
}

# The same of an index with vectors that stand apart ($WIDE), with a condition and without; and it is sound.
sub apart_ok
{
	my ($node, $table, $index, $name) = @_;
	my $query = "(SELECT $WIDE FROM queries WHERE id = 1)";

	check_ok($node, $index, $name);
	for my $condition ('id % 10 = 3', 'true')
	{
		my $scan = "SELECT id FROM $table WHERE $condition ORDER BY $WIDE <-> $query";
		my $answer = $node->safe_psql(
			'postgres', "
			SET enable_seqscan = off;
			SET enable_sort = off;
			SELECT count(*), count(DISTINCT id) FROM ($scan) s;
			RESET enable_seqscan;
			SET enable_indexscan = off;
			SELECT count(*), count(*) FROM $table WHERE $condition;
			SET enable_indexscan = on;
			SET enable_seqscan = off;
			EXPLAIN (COSTS OFF) $scan");
		my ($found, $heap, @plan) = split /\n/, $answer;

		die "no scan of $index in the plan:\n@plan" unless grep { /Index Scan using $index on/ } @plan;
		is($found, $heap, "$name, $condition: every row is found, once");
	}
	return;
}

# A streaming standby, from a backup that is made now.
sub new_standby
{
	my ($primary) = @_;
	my $standby = PostgreSQL::Test::Cluster->new('standby');

	$primary->backup('base');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->start;
	return $standby;
}

# Wait until it has all that the primary has written.
sub caught_up
{
	my ($primary, $standby) = @_;

	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}

# It then answers as the primary does, by the indexes idx_<metric>, and they are sound.
sub same_answers
{
	my ($primary, $standby, $name, @metrics) = @_;

	caught_up($primary, $standby);
	for my $metric (@metrics)
	{
		my $rows = answers($primary, $metric);

		is(answers($standby, $metric), $rows, "$name, $metric: the standby answers the same");
		check_ok($standby, "idx_$metric", "$name, $metric, standby");
	}
	return;
}

# Run SQL in a psql of its own, in the background; finish_sql waits for it and
# returns (exit code, output, errors).
sub start_sql
{
	my ($node, $sql) = @_;
	my %run = (out => '', err => '');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/background.sql';

	# From a file: nobody is there to read a pipe when the server is killed.
	open my $fh, '>', $file or die "$file: $!";
	print $fh $sql;
	close $fh or die "$file: $!";
	$run{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', File::Spec->devnull, '>', \$run{out}, '2>', \$run{err},
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default * 5));
	return \%run;
}

sub finish_sql
{
	my ($run) = @_;

	$run->{handle}->finish;
	return ($run->{handle}->result(0) // 0, $run->{out}, $run->{err});
}

# Wait until the query gives t or the background command is over.  Returns
# whether the command was still at work.
sub wait_for_progress
{
	my ($node, $run, $query) = @_;

	for (1 .. 3000)
	{
		$run->{handle}->pump_nb;
		return 0 unless $run->{handle}->pumpable;
		return 1 if $node->safe_psql('postgres', $query) eq 't';
		usleep(10_000);
	}
	die "timed out waiting for: $query";
}

# kill -9.  How: "server" kills every process of the server and starts it
# again; "backend" kills the one with the given process id, after which the
# postmaster restarts the rest by itself.  Returns when the server answers.
sub crash
{
	my ($node, $how, $pid) = @_;

	if ($how eq 'backend')
	{
		my $offset = -s $node->logfile;

		kill 'KILL', $pid or return 0;
		for (1 .. 1800)
		{
			last if slurp_file($node->logfile, $offset) =~ /reinitializing.*ready to accept connections/s;
			usleep(100_000);
		}
		$node->poll_query_until('postgres', 'SELECT true') or die 'no recovery';
	}
	else
	{
		my $postmaster = $node->{_pid};
		my @children;

		# Stopped first, so that the children cannot be told or replaced.
		kill 'STOP', $postmaster;
		for my $stat (glob '/proc/[0-9]*/stat')
		{
			my $text = eval { slurp_file($stat) } // next;
			push @children, $1 if $text =~ /^(\d+) \(.*\) \S $postmaster /s;
		}
		kill 'KILL', $postmaster, @children;
		$node->kill9;
		for (1 .. 600)
		{
			last unless grep { kill 0, $_ } @children;
			usleep(50_000);
		}
		$node->start;
	}
	return 1;
}

1;
