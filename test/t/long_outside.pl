
# Conditions on what is not in the index: all of them, by every access method, at
# several settings.

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
my $memory = "SET work_mem = '64kB'; SET hnsw.scan_mem_multiplier = 1;";
my $relaxed = 'SET hnsw.iterative_scan = relaxed_order; SET ivfflat.iterative_scan = relaxed_order; SET ivfpq.iterative_scan = relaxed_order;';
my %least = (hnsw => 0.96, ivfflat => 0.93, ivfpq => 0.92, exact => 0.98);

load_outside($node);
for my $method (@METHODS)
{
	my ($am, $label) = @$method[ 0, 4 ];

	for my $setting (
		[ 'small', 'SET hnsw.ef_search = 20; SET ivfflat.probes = 3; SET ivfpq.probes = 3;' ],
		[ 'least', "SET hnsw.ef_search = 1; SET ivfflat.probes = 1; SET ivfpq.probes = 1; $memory" ],
		[ 'large', 'SET hnsw.ef_search = 200; SET ivfflat.probes = 30; SET ivfpq.probes = 30;' ])
	{
		my ($name, $set) = @$setting;

		conditions_ok($node, $method, \@CONDITIONS, name => $name, set => $set);
		my $recall = conditions_ok($node, $method, \@CONDITIONS, name => $name, k => 10, queries => 12, set => $set);
		cmp_ok($recall, '>=', $least{$label}, sprintf '%s, %s: recall %.3f', $label, $name, $recall) if $name ne 'least';
		conditions_ok($node, $method, \@CONDITIONS, name => $name, k => 300, set => $set);
		conditions_ok($node, $method, \@CONDITIONS, name => "$name, no iteration", way => 'limited', set => "$set SET $am.iterative_scan = off;");
		conditions_ok($node, $method, \@CONDITIONS, name => "$name, relaxed order", way => 'relaxed', set => "$set $relaxed SET ivfpq.rerank = off;");
	}
}
$node->stop;
done_testing();
