
# An IVF index made on an empty table becomes good by itself: rows that come in
# an order that drifts are found as well, at the same probes, as with a new
# index.  And what splitting leaves behind is used again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $ROWS = 16000;
my $node = new_node('drift');

load_vectors($node, 'pool', make_vectors($ROWS, 24, 1));
load_vectors($node, 'queries', make_vectors(100, 24, 2));
# the topic of a row: the nearest of some
$node->safe_psql('postgres', 'CREATE TABLE topics AS SELECT p.id, p.v,
	(SELECT t.id FROM pool t WHERE t.id <= 30 ORDER BY t.v <-> p.v LIMIT 1) AS topic FROM pool p');

for my $case ([ 'ivfflat', 'ivfflat', '' ], [ 'rabitq', 'ivfpq', '' ], [ 'pq', 'ivfpq', 'WITH (quantizer = pq)' ])
{
	my ($name, $am, $options) = @$case;
	my $probes = "SET $am.probes = 6; SET $am.iterative_scan = off;";
	my $recall = sub { return (recall($node, set => $probes))[0]; };
	my $size = sub { return $node->safe_psql('postgres', "SELECT pg_relation_size('idx') / 8192"); };

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, v vector(24));
		CREATE INDEX idx ON items USING $am (v vector_l2_ops) $options");
	for my $part (0 .. 9)
	{
		$node->safe_psql('postgres', "INSERT INTO items SELECT id, v FROM (
			SELECT id, v, topic, row_number() OVER (ORDER BY topic, id) AS n FROM topics) t
			WHERE n * 10 / ($ROWS + 1) = $part ORDER BY n");
	}
	my $grown = $recall->();
	check_ok($node, 'idx', "$name, grown");
	complete_ok($node, 'items', 'l2', "$name, grown");

	# what was left over makes room
	my $pages = $size->();
	$node->safe_psql('postgres', 'VACUUM items');
	for my $round (1 .. 4)
	{
		$node->safe_psql('postgres', "DELETE FROM items WHERE id % 4 = $round % 4");
		$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
		$node->safe_psql('postgres', "INSERT INTO items SELECT id, v FROM pool WHERE id % 4 = $round % 4");
	}
	my $pages_replaced = $size->();
	check_ok($node, 'idx', "$name, rows replaced");
	my $replaced = $recall->();

	$node->safe_psql('postgres', 'REINDEX INDEX idx');
	my $fresh = $recall->();
	my $new = $size->();
	cmp_ok($pages, '<=', 2 * $new, "$name: $pages pages, of a new index $new");
	cmp_ok($pages_replaced, '<=', 2.5 * $new, "$name: $pages_replaced pages when all rows were replaced");
	cmp_ok($grown, '>=', $fresh - 0.03, "$name: recall $grown, of a new index $fresh");
	cmp_ok($replaced, '>=', $fresh - 0.03, "$name: recall $replaced when all rows were replaced");
	cmp_ok($fresh, '<', 0.999, "$name: few enough probes to tell");
}
$node->stop;
done_testing();
