
# Pages that a crash leaves between an extension of the file and their use are
# given back by VACUUM, and hold items again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $BLOCK = 8192;
my $node = PostgreSQL::Test::Cluster->new('leaked');
my ($help) = run_command([ 'initdb', '--help' ]);

# pages are made by hand here
$node->init(extra => $help =~ /--no-data-checksums/ ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION vecidx');

load_vectors($node, 'pool', make_vectors(600, 16, 1));
$node->safe_psql(
	'postgres', "
	CREATE TABLE t AS SELECT id, v FROM pool;
	CREATE INDEX t_idx ON t USING hnsw (v vector_l2_ops, (id / 1000000)) WITH (m = 4);
	DELETE FROM t WHERE id % 10 = 0");
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('t_idx')");

sub blocks { return $node->safe_psql('postgres', "SELECT pg_relation_size('t_idx') / $BLOCK"); }

# Many TIDs of one node: chunks, which go to extra pages.
sub add_equal
{
	my ($n) = @_;
	$node->safe_psql('postgres', "INSERT INTO t SELECT 100000 + i, (SELECT v FROM pool WHERE id = 5) FROM generate_series(1, $n) i");
	return;
}

# A page that was to be in an extent (src/index/page.h), as the extension leaves
# it; of the version that the metapage says.
$node->safe_psql('postgres', 'CHECKPOINT');
my ($version) = unpack('x6 v', substr(slurp_file($path), $BLOCK - 16, 16));
my $reserved = pack('x8 v6 V', 0, 0, 24, $BLOCK - 16, $BLOCK - 16, $BLOCK | 4, 0);
$reserved .= "\0" x ($BLOCK - 16 - length $reserved);
$reserved .= pack('V v v V V', 0x58444956, 0, $version, 1, 0);
is(length $reserved, $BLOCK, 'a page is a page');

my $before = blocks();
$node->stop;
open my $fh, '>>:raw', $path or die "$path: $!";
print $fh $reserved x 4, "\0" x (4 * $BLOCK);
close $fh or die "$path: $!";
$node->start;
is(blocks(), $before + 8, 'the file has pages that belong to nobody');
check_ok($node, 't_idx', 'before VACUUM');

# Before VACUUM nobody knows of them.
add_equal(3000);
my $grown = blocks();
cmp_ok($grown, '>', $before + 8, 'without VACUUM items go to new pages');
check_ok($node, 't_idx', 'grown');

$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) t');
check_ok($node, 't_idx', 'after VACUUM');
add_equal(6000);
is(blocks(), $grown, 'after VACUUM they go to the pages that were lost');
check_ok($node, 't_idx', 'used again');

# What VACUUM did to them is in the WAL.
$node->stop('immediate');
$node->start;
check_ok($node, 't_idx', 'after a crash');
is( $node->safe_psql('postgres', "SET enable_seqscan = off; SET hnsw.ef_search = 400;
	SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 5)) s"),
	9540, 'all rows are found');

$node->stop;
done_testing();
