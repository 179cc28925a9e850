
# Several clients write while an index learns: each row is in the index once,
# wherever it was when lists, codes and directory were replaced, and no client
# sees an error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Test::More;
use VecidxTest;

my $CLIENTS = 5;
my $ROWS = 2500;
my $node = new_node('ivf_learning');

load_vectors($node, 'pool', make_vectors($ROWS, 24, 1));
load_vectors($node, 'queries', make_vectors(20, 24, 2));

# name => [access method, options, metric]
my %kinds = (
	flat => [ 'ivfflat', '', 'l2' ],
	codes => [ 'ivfpq', '', 'ip' ],
	coarse => [ 'ivfpq', 'WITH (bits = 1, lists = 30)', 'l2' ],
	pq => [ 'ivfpq', 'WITH (quantizer = pq)', 'cosine' ]);

for my $round (1 .. 4)
{
	my ($kind) = (sort keys %kinds)[ $round % keys %kinds ];
	my ($am, $options, $metric) = @{ $kinds{$kind} };
	my $name = "round $round, $kind";
	my $op = $METRICS{$metric};

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, v vector(24));
		CREATE INDEX idx ON items USING $am (v vector_${metric}_ops) $options");

	# Each client has rows of its own, which it also changes and takes away; every
	# now and then one is rolled back, and one looks whether it finds what it wrote.
	my @runs;
	for my $client (0 .. $CLIENTS - 1)
	{
		my $sql = "SET client_min_messages = debug1; SET statement_timeout = '60s'; SET enable_seqscan = off;\n";
		for (my $id = 1; $id <= $ROWS; $id += 40)
		{
			my $mine = "id BETWEEN $id AND $id + 39 AND id % $CLIENTS = $client";

			$sql .= "INSERT INTO items SELECT id, v FROM pool WHERE $mine;\n";
			if ($id % 5 == 1)
			{
				$sql .= "BEGIN; INSERT INTO items SELECT id + 100000, v FROM pool WHERE $mine; ROLLBACK;\n"
				  . "UPDATE items SET v = (SELECT p.v FROM pool p WHERE p.id = items.id % 100 + 1) WHERE $mine AND id % 7 = 0;\n"
				  . "DELETE FROM items WHERE $mine AND id % 11 = 0;\n"
				  . "BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
				  . "SELECT CASE WHEN (SELECT count(*) || ' ' || count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v $op (SELECT v FROM queries WHERE id = $client + 1)) s)
						<> (SELECT count(*) || ' ' || count(*) FROM (SELECT id + 0 FROM items OFFSET 0) s) THEN 'rows are missing' END;\nCOMMIT;\n";
			}
		}
		push @runs, start_sql($node, $sql);
	}
	my $learned = 0;
	for my $client (0 .. $CLIENTS - 1)
	{
		my ($code, $out, $err) = finish_sql($runs[$client]);

		is($code, 0, "$name: client $client sees no error") or diag($err);
		unlike($out, qr/missing/, "$name: client $client finds all rows");
		$learned += () = $err =~ /has learned/g;
	}
	is($learned, 1, "$name: the index learns, once");
	check_ok($node, 'idx', $name);
	complete_ok($node, 'items', $metric, $name);
	# all lists at once
	is( $node->safe_psql('postgres', "SET enable_seqscan = off; SET $am.probes = 1000; SET $am.iterative_scan = off;
			SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v $op (SELECT v FROM queries WHERE id = 1)) s"),
		$node->safe_psql('postgres', 'SELECT count(*), count(*) FROM items'), "$name: each row is in one list");
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
	check_ok($node, 'idx', "$name, vacuumed");
	recall_ok($node, 0.9, $name, metric => $metric, set => "SET $am.probes = 15;");
}

# Rows that drift: lists that are split off and left alone count, too.
for my $am ('ivfflat', 'ivfpq')
{
	my ($code, $out, $err) = finish_sql(start_sql($node, "SET client_min_messages = debug1;
		CREATE TABLE drifting (v vector(2)); CREATE INDEX ON drifting USING $am (v vector_l2_ops);
		DO \$\$ BEGIN FOR i IN 0 .. 39 LOOP
			INSERT INTO drifting SELECT ARRAY[i + n / 100.0, i * 2 + n % 10]::vector FROM generate_series(1, 100) n; COMMIT;
			END LOOP; END \$\$;
		DROP TABLE drifting;"));

	is($code, 0, "$am, rows that drift: no error") or diag($err);
	my $learned = () = $err =~ /has learned/g;
	is($learned, 1, "$am, rows that drift: the index learns");
}
$node->stop;
done_testing();
