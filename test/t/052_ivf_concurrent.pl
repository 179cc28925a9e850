
# Scans while lists are split, merged, rewritten and vacuumed: each scan gives
# every row that its snapshot sees, once, by an index and by the table.  The
# indexes are made on an empty table, so they also learn meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $node = new_node('ivf_concurrent', conf => "max_connections = 30\n");

$node->safe_psql('postgres', "CREATE TABLE items (id serial PRIMARY KEY, v vector(24));
	CREATE INDEX codes ON items USING ivfpq (v vector_l2_ops);
	CREATE INDEX vectors ON items USING ivfflat (v vector_cosine_ops);
	CREATE INDEX apart ON items USING ivfflat (($WIDE) vector_l2_ops, (id % 10))");

# Rows as the index tells and as the table does, in one snapshot; the comparison fails with a text that is no number.
sub complete
{
	my ($order, $condition) = (@_, 'true');

	return "SELECT (CASE WHEN a <> b OR a <> c THEN a || ' rows, ' || b || ' different, of ' || c ELSE '1' END)::int
FROM (SELECT count(*) AS a, count(DISTINCT id) AS b FROM (SELECT id FROM items WHERE $condition ORDER BY $order) s) x,
	(SELECT count(*) AS c FROM (SELECT id + 0 FROM items WHERE $condition OFFSET 0) s) y;\n";
}
my $latest = '(SELECT v FROM items ORDER BY id DESC LIMIT 1)';
my $wide = "$WIDE <-> (SELECT $WIDE FROM items ORDER BY id DESC LIMIT 1)";
my %scripts = (
	# a topic that moves on
	insert => "\\set topic random(1, 7)
INSERT INTO items (v) SELECT (SELECT array_agg(random() + (g * j + :topic * j) % 5 * 0.3) FROM generate_series(1, 24) j)::vector
FROM generate_series(1, 50) g;",
	delete => "\\set part random(0, 96)
DELETE FROM items WHERE id % 97 = :part;",
	vacuum => 'VACUUM (INDEX_CLEANUP ON) items;',
	scan => "BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL enable_seqscan = off;
" . complete("v <-> $latest") . complete("v <=> $latest") . complete('v <=> (SELECT NULL::vector)')
	  # conditions that the index does not have: passes over the table, at last with little memory
	  . complete("v <-> $latest", 'id % 50 = 3') . complete("v <=> $latest", 'id % 50 = 4')
	  . "SET LOCAL work_mem = '64kB';\n" . complete("v <-> $latest", 'id % 40 = 5')
	  . "SET LOCAL enable_sort = off;\n" . complete($wide) . complete($wide, 'id % 10 = 3') . 'END;');
my %weights = (insert => 40, delete => 6, vacuum => 3, scan => 20);

my $directory = PostgreSQL::Test::Utils::tempdir();
for my $script (keys %scripts)
{
	open my $fh, '>', "$directory/$script" or die $!;
	print $fh $scripts{$script};
	close $fh or die $!;
}
for my $round (1 .. 2)
{
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '-c statement_timeout=120s';
	my $handle = IPC::Run::start(
		[   'pgbench', '-n', '-M', 'simple', '-c', 6, '-j', 2, '-T', 8, "--random-seed=$round",
			(map { ('-f', "$directory/$_\@$weights{$_}") } sort keys %weights), $node->connstr('postgres') ],
		'<', File::Spec->devnull, '>', \$out, '2>', \$err);

	$handle->finish;
	is($handle->result(0), 0, "round $round: pgbench ends well") or diag($err);
	unlike($err, qr/ERROR|aborted/, "round $round: no client saw an error");
	my ($done) = $out =~ /number of transactions actually processed: (\d+)/;
	cmp_ok($done // 0, '>', 30, "round $round: $done transactions");
	check_ok($node, $_, "round $round, $_") for qw(codes vectors apart);
	# most of it goes, and lists are merged
	$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 10 > 0');
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
	check_ok($node, $_, "round $round, $_, shrunken") for qw(codes vectors apart);
}

$node->stop;
done_testing();
