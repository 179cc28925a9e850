
# Conditions on what is not in the index: rows that an index scan gives are those
# of a sequential scan, whatever the condition, each once and in order, at small
# settings, where searches end early and passes over the index and over the table
# follow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use OutsideOracle;
use VecidxTest;

my $node = new_node('outside');
my $small = 'SET hnsw.ef_search = 20; SET ivfflat.probes = 3; SET ivfpq.probes = 3;';

load_outside($node);

# what the ten nearest are found with at least
my %least = (hnsw => 0.96, ivfflat => 0.93, ivfpq => 0.92, exact => 0.98);

# Each condition is tried with some of the indexes here, and with all in long_outside.pl.
for my $m (0 .. $#METHODS)
{
	my $method = $METHODS[$m];
	my ($am, $label) = @$method[ 0, 4 ];
	my $some = every(11, $m, @CONDITIONS);

	conditions_ok($node, $method, every(5, $m, @CONDITIONS), set => $small);
	my $recall = conditions_ok($node, $method, every(4, $m + 1, @CONDITIONS), k => 10, set => $small);
	cmp_ok($recall, '>=', $least{$label}, sprintf '%s: recall %.3f >= %s', $label, $recall, $least{$label});

	# memory for few candidates: many passes
	conditions_ok($node, $method, $some, name => 'little memory', set => "$small SET work_mem = '64kB'; SET hnsw.scan_mem_multiplier = 1;");

	# any order, and order by what the codes say
	conditions_ok($node, $method, every(11, $m + 1, @CONDITIONS), name => 'relaxed order', way => 'relaxed',
		set => "$small SET hnsw.iterative_scan = relaxed_order; SET ivfflat.iterative_scan = relaxed_order; SET ivfpq.iterative_scan = relaxed_order; SET ivfpq.rerank = off;");

	# searches that end early look at no more rows than without a condition
	my ($off, $limited) = (
		"SET hnsw.ef_search = 40; SET $am.probes = 3; SET $am.iterative_scan = off;",
		'SET hnsw.max_scan_tuples = 500; SET ivfflat.probes = 2; SET ivfflat.max_probes = 6; SET ivfpq.probes = 2; SET ivfpq.max_probes = 6;');
	for my $case ([ 'no iteration', $off ], [ 'limited', $limited ])
	{
		my ($name, $set) = @$case;
		my ($plain) = looked_at($node, $method, 'true', set => $set);

		conditions_ok($node, $method, every(11, $m + 2, @CONDITIONS), name => $name, way => 'limited', set => $set);
		for my $cond ('t.topic = q.far', 't.n < 100', 't.n < 5000')
		{
			my ($looked_at, $returned) = looked_at($node, $method, $cond, set => $set);

			cmp_ok($looked_at, '<=', $plain, "$label, $name, $cond: $looked_at rows looked at, $plain without");
			cmp_ok($returned, '<', $looked_at, "$label, $name, $cond: $returned rows returned") if $returned > 0;
		}
	}

	# each row is looked at once, and those that are not returned are counted
	my $all = $node->safe_psql('postgres', 'SELECT count(*) FROM items WHERE v IS NOT NULL');
	for my $cond ('t.topic = q.far', 't.n < 100', 't.n < 5000', "t.body LIKE '%needle 7%'")
	{
		my ($looked_at) = looked_at($node, $method, $cond, set => $small);
		is($looked_at, $all, "$label, $cond: rows returned and removed are all rows");
		($looked_at) = looked_at($node, $method, $cond, set => $small, k => 10);
		cmp_ok($looked_at, '<=', $all, "$label, $cond, 10 nearest: $looked_at rows looked at");
	}
}
$node->stop;
done_testing();
