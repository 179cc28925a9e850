
# A streaming standby gives the same rows as its primary after every kind of
# change, with each page compared as it is replayed, and works when promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $primary = new_node('primary', streaming => 1, conf => "wal_consistency_checking = all\n");
my %indexes = (l2 => 'none', cosine => 'sq8', ip => 'rabitq4');

load_vectors($primary, 'pool', make_vectors(3000, 48, 1));
load_vectors($primary, 'queries', make_vectors(40, 48, 2));

# One index comes with the backup, the others by replay.
$primary->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, v vector(48));
	INSERT INTO items SELECT * FROM pool WHERE id <= 2000');
sub create_index
{
	my ($metric) = @_;
	$primary->safe_psql('postgres',
		"CREATE INDEX idx_$metric ON items USING hnsw (v vector_${metric}_ops) WITH (quantizer = '$indexes{$metric}')");
	return;
}
create_index('l2');

my $standby = new_standby($primary);

sub same
{
	my ($name) = @_;

	same_answers($primary, $standby, $name, sort keys %indexes);

	# records on pages of their own
	my $nearest = "SET enable_seqscan = off; SELECT q.id, array(SELECT id FROM items
		ORDER BY v::sparsevec(48) <+> q.v::sparsevec(48) LIMIT 10) FROM queries q ORDER BY 1";
	is($standby->safe_psql('postgres', $nearest), $primary->safe_psql('postgres', $nearest),
		"$name, sparse: the standby answers the same");
	check_ok($standby, 'idx_sparse', "$name, sparse, standby");

	# values of further columns
	my $filtered = "SELECT q.id, array(SELECT id FROM items
		WHERE id % 7 = q.id % 7 AND id > 500 ORDER BY v <+> q.v LIMIT 10) FROM queries q ORDER BY 1";
	my $forced = 'SET enable_seqscan = off; SET enable_sort = off;';
	like($standby->safe_psql('postgres', "$forced EXPLAIN $filtered"), qr/Index Scan using idx_filtered/, "$name, filtered: the index is used");
	is($standby->safe_psql('postgres', "$forced $filtered"), $primary->safe_psql('postgres', "$forced $filtered"),
		"$name, filtered: the standby answers the same");
	check_ok($standby, 'idx_filtered', "$name, filtered, standby");
	return;
}

create_index('cosine');
create_index('ip');
$primary->safe_psql('postgres', 'CREATE INDEX idx_sparse ON items USING hnsw ((v::sparsevec(48)) sparsevec_l1_ops)');
$primary->safe_psql('postgres', 'CREATE INDEX idx_filtered ON items USING hnsw (v vector_l1_ops, id, (id % 7))');
same('build');

$primary->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id > 2000');
same('insert');

$primary->safe_psql('postgres', 'BEGIN; INSERT INTO items SELECT id + 10000, v FROM pool WHERE id <= 300; ROLLBACK;
	UPDATE items SET v = (SELECT v FROM pool WHERE pool.id = items.id % 7 + 1) WHERE id % 50 = 0;
	UPDATE items SET id = id + 30000 WHERE id % 40 = 7; UPDATE items SET id = id - 30000 WHERE id > 30000');
same('rollback and update');

$primary->safe_psql('postgres', 'DELETE FROM items WHERE id % 4 = 1');
same('delete');

$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
same('vacuum');

$primary->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id % 4 = 1');
same('insert again');

$primary->safe_psql('postgres', 'REINDEX TABLE items');
same('reindex');

$primary->safe_psql('postgres', "REINDEX INDEX CONCURRENTLY idx_$_") for sort keys %indexes;
same('reindex concurrently');

$primary->safe_psql('postgres', 'CREATE TABLE empty (id int, v vector(48)); CREATE INDEX empty_v ON empty USING hnsw (v vector_l2_ops)');
caught_up($primary, $standby);
is($standby->safe_psql('postgres', "SET enable_seqscan = off; SELECT count(*) FROM (SELECT id FROM empty ORDER BY v <-> (SELECT v FROM queries WHERE id = 1)) s"),
	0, 'an empty index on the standby');

$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO items SELECT id + 20000, v FROM pool WHERE id <= 500;
	DELETE FROM items WHERE id % 4 = 2; VACUUM (INDEX_CLEANUP ON) items;
	INSERT INTO empty SELECT * FROM pool LIMIT 100');
for my $metric (sort keys %indexes)
{
	check_ok($standby, "idx_$metric", "promoted, $metric");
	complete_ok($standby, 'items', $metric, "promoted, $metric");
	recall_ok($standby, 0.95, "promoted, $metric", metric => $metric, ef => 100);
}
check_ok($standby, 'idx_filtered', 'promoted, filtered');
complete_ok($standby, 'empty', 'l2', 'promoted, the index that was empty');
unlike(slurp_file($standby->logfile), qr/inconsistent page found|PANIC/, 'replay found no page that differs');
$standby->stop;

done_testing();
