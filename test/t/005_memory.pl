
# An index is as good when its graph does not fit maintenance_work_mem; vectors
# of many dimensions are indexed and found; codes that do not fit a page are
# refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use Test::More;
use VecidxTest;

my $node = new_node('memory');

load_vectors($node, 'items', make_vectors(10000, 64, 1));
load_vectors($node, 'queries', make_vectors(50, 64, 2));
for my $quantizer (@QUANTIZERS)
{
	my %recall;

	for my $memory (qw(256MB 1MB))
	{
		$node->safe_psql('postgres', "DROP INDEX IF EXISTS idx; SET maintenance_work_mem = '$memory';
			CREATE INDEX idx ON items USING hnsw (v vector_l2_ops) WITH (quantizer = '$quantizer')");
		$recall{$memory} = recall_ok($node, 0.95, "$quantizer, built in $memory", ef => 60);
		check_ok($node, 'idx', "$quantizer, built in $memory");
		complete_ok($node, 'items', 'l2', "$quantizer, built in $memory");
	}
	cmp_ok(abs($recall{'256MB'} - $recall{'1MB'}), '<=', 0.03, "$quantizer: recall does not depend on memory");
}

# Dimensions and rows; at 16,000 only rabitq4 (the default, the empty name)
# fits a page, and at 3,072 all but none.
my @sizes = ([ 2000, 300 ], [ 3072, 300 ], [ 16000, 120 ]);

for my $size (@sizes)
{
	my ($dim, $rows) = @$size;

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS wide, wide_queries; SELECT setseed(0.5);
		CREATE TABLE wide (id int PRIMARY KEY, v vector($dim));
		INSERT INTO wide SELECT i, ARRAY(SELECT random() - 0.5 + 0 * i FROM generate_series(1, $dim))::vector
		FROM generate_series(1, $rows) i;
		CREATE TABLE wide_queries AS SELECT id, v FROM wide WHERE id <= 20");
	for my $quantizer ('', qw(none sq8 rabitq4))
	{
		my $with = $quantizer ? "WITH (quantizer = '$quantizer')" : '';

		for my $metric (qw(l2 cosine))
		{
			my $name = "$dim dimensions, $metric, " . ($quantizer || 'default');
			my %what = (table => 'wide', queries => 'wide_queries', metric => $metric, ef => 100);

			$node->safe_psql('postgres', "DROP INDEX IF EXISTS wide_v;
				CREATE INDEX wide_v ON wide USING hnsw (v vector_${metric}_ops) $with");
			recall_ok($node, 1, "$name, each row itself", %what, k => 1, ef => 40);
			recall_ok($node, 0.95, $name, %what);
			check_ok($node, 'wide_v', $name);
			$node->safe_psql('postgres', 'INSERT INTO wide SELECT id + 1000, v FROM wide WHERE id <= 5;
				DELETE FROM wide WHERE id > 1000; VACUUM (INDEX_CLEANUP ON) wide');
			recall_ok($node, 0.95, "$name, changed", %what);
			check_ok($node, 'wide_v', "$name, changed");
		}
	}
}

$node->stop;
done_testing();
