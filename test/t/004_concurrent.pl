
# Inserts, deletes, updates, scans and VACUUM at once, with every quantizer; then
# builds while rows change.  A scan that comes back short or out of order divides
# by zero.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $rows = 6000;
my $node = new_node('concurrent', conf => "max_connections = 30\n");

load_vectors($node, 'pool', make_vectors($rows, 64, 1));
load_vectors($node, 'queries', make_vectors(50, 64, 2));

# Ids below 2000 stay, so that a scan always has rows to find; vectors come
# from few rows of the pool, so that many are equal.
my %scripts = (
	insert => "\\set id random(2000, $rows)
INSERT INTO items SELECT id, v FROM pool WHERE id = :id ON CONFLICT DO NOTHING;",
	delete => "\\set id random(2000, $rows)
DELETE FROM items WHERE id = :id;",
	update => "\\set id random(2000, $rows)
\\set other random(1, 100)
UPDATE items SET v = (SELECT v FROM pool WHERE id = :other) WHERE id = :id;",
	change => "\\set id random(2000, $rows)
\\set bucket random(0, 2)
UPDATE items SET bucket = :bucket WHERE id = :id;",
	vacuum => 'VACUUM (INDEX_CLEANUP ON) items;',
	scan => "\\set q random(1, 50)
SET enable_seqscan = off;
SELECT 1 / (count(*) = 20 AND array_agg(d) = array_agg(d ORDER BY d))::int
FROM (SELECT v <-> (SELECT v FROM queries WHERE id = :q) AS d FROM items ORDER BY 1 LIMIT 20) s;",
	long_scan => "\\set q random(1, 50)
SET enable_seqscan = off;
SELECT 1 / (count(*) >= 1999 AND count(*) = count(DISTINCT id))::int
FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = :q)) s;",
	filtered_scan => "\\set q random(1, 50)
SET enable_seqscan = off;
SELECT 1 / (count(*) = 20 AND bool_and(bucket = 1) AND array_agg(d) = array_agg(d ORDER BY d))::int
FROM (SELECT bucket, v <-> (SELECT v FROM queries WHERE id = :q) AS d FROM items WHERE bucket = 1 ORDER BY 2 LIMIT 20) s;",
	long_filtered_scan => "\\set q random(1, 50)
SET enable_seqscan = off;
SELECT 1 / (count(*) >= 666 AND count(*) = count(DISTINCT id) AND bool_and(bucket = 1))::int
FROM (SELECT id, bucket FROM items WHERE bucket = 1 ORDER BY v <-> (SELECT v FROM queries WHERE id = :q)) s;");
my %weights = (insert => 40, delete => 25, update => 20, change => 20, vacuum => 1,
	scan => 20, long_scan => 3, filtered_scan => 10, long_filtered_scan => 3);

my $directory = PostgreSQL::Test::Utils::tempdir();
for my $script (keys %scripts)
{
	open my $fh, '>', "$directory/$script" or die $!;
	print $fh $scripts{$script};
	close $fh or die $!;
}

# Start pgbench with these scripts; finish it with finish_pgbench.  A statement
# that hangs is ended.
sub start_pgbench
{
	my ($seconds, @names) = @_;
	my %run = (out => '', err => '');
	local $ENV{PGOPTIONS} = '-c statement_timeout=60s';

	$run{handle} = IPC::Run::start(
		[   'pgbench', '-n', '-M', 'simple', '-c', 6, '-j', 2, '-T', $seconds, '--random-seed=1',
			(map { ('-f', "$directory/$_\@$weights{$_}") } @names), $node->connstr('postgres') ],
		'<', File::Spec->devnull, '>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub finish_pgbench
{
	my ($run, $name) = @_;

	$run->{handle}->finish;
	is($run->{handle}->result(0), 0, "$name: pgbench ends well") or diag($run->{err});
	unlike($run->{err}, qr/ERROR|aborted/, "$name: no client saw an error");
	my ($done) = $run->{out} =~ /number of transactions actually processed: (\d+)/;
	cmp_ok($done // 0, '>', 100, "$name: $done transactions");
	return;
}

# Where there are none, the condition is tested above the scan.
my %filter_columns = (none => '', sq8 => ', bucket', rabitq4 => ', id, bucket');

for my $quantizer (@QUANTIZERS)
{
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS items;
		CREATE TABLE items (id int PRIMARY KEY, v vector(64), bucket int DEFAULT random() * 2);
		CREATE INDEX idx ON items USING hnsw (v vector_l2_ops$filter_columns{$quantizer}) WITH (quantizer = '$quantizer');
		INSERT INTO items SELECT id, v, id % 3 FROM pool WHERE id < 4000");
	finish_pgbench(start_pgbench(10, sort keys %weights), $quantizer);
	check_ok($node, 'idx', $quantizer);
	complete_ok($node, 'items', 'l2', $quantizer);
	recall_ok($node, 0.95, $quantizer, ef => 100);
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
	check_ok($node, 'idx', "$quantizer, vacuumed");
	complete_ok($node, 'items', 'l2', "$quantizer, vacuumed");
	recall_ok($node, 0.95, "$quantizer, vacuumed", ef => 100);
}

# Builds that let rows change meanwhile.  VACUUM stays out: it and they wait
# for one another's locks.
my $load = start_pgbench(12, grep { $_ ne 'vacuum' } sort keys %weights);
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY idx');
$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY later ON items USING hnsw (v vector_cosine_ops)');
ok($load->{handle}->pumpable, 'the builds were done while rows changed');
finish_pgbench($load, 'concurrent builds');
check_ok($node, $_, "built concurrently, $_") for qw(idx later);
complete_ok($node, 'items', $_, "built concurrently, $_") for qw(l2 cosine);
recall_ok($node, 0.95, "built concurrently, $_", metric => $_, ef => 100) for qw(l2 cosine);

$node->stop;
done_testing();
