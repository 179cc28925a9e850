
# Recall of every metric with every quantizer: of a built index, of one that
# was made on an empty table and then filled row by row, after a quarter of the
# rows was deleted and vacuumed away, and after those came back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Test::More;
use VecidxTest;

my $node = new_node('recall');
my $rows = 5000;

load_vectors($node, 'pool', make_vectors($rows, 64, 1));
load_vectors($node, 'queries', make_vectors(50, 64, 2));
$node->safe_psql('postgres', 'CREATE TABLE items (id int, v vector(64))');

for my $metric (sort keys %METRICS)
{
	for my $quantizer (@QUANTIZERS)
	{
		my $name = "$metric $quantizer";
		my $create = "CREATE INDEX idx ON items USING hnsw (v vector_${metric}_ops) WITH (quantizer = '$quantizer')";
		my %with = (metric => $metric, ef => 100);

		$node->safe_psql('postgres', "INSERT INTO items SELECT * FROM pool; $create");
		recall_ok($node, 0.97, "$name, build", %with);
		recall_ok($node, 0.90, "$name, build, default ef_search", metric => $metric);
		check_ok($node, 'idx', "$name, build");

		$node->safe_psql('postgres', "TRUNCATE items; DROP INDEX idx; $create; INSERT INTO items SELECT * FROM pool");
		recall_ok($node, 0.96, "$name, insert", %with);
		complete_ok($node, 'items', $metric, "$name, insert");
		check_ok($node, 'idx', "$name, insert");
		my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('idx')");

		$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 4 = 1');
		recall_ok($node, 0.96, "$name, delete", %with);
		$node->safe_psql('postgres', 'VACUUM items');
		recall_ok($node, 0.96, "$name, vacuum", %with);
		complete_ok($node, 'items', $metric, "$name, vacuum");
		check_ok($node, 'idx', "$name, vacuum");

		$node->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id % 4 = 1');
		recall_ok($node, 0.96, "$name, insert again", %with);
		complete_ok($node, 'items', $metric, "$name, insert again");
		check_ok($node, 'idx', "$name, insert again");
		my $again = $node->safe_psql('postgres', "SELECT pg_relation_size('idx')");
		ok($again <= 1.05 * $size, "$name: space is used again ($size, then $again bytes)");

		$node->safe_psql('postgres', 'TRUNCATE items; DROP INDEX idx');
	}
}

$node->stop;
done_testing();
