
# A base backup taken while rows come and go, restored to a point in time; and
# what an unlogged table is after a crash.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use Test::More;
use VecidxTest;

my $node = new_node('origin', streaming => 1, archiving => 1);

load_vectors($node, 'pool', make_vectors(4000, 48, 1));
load_vectors($node, 'queries', make_vectors(40, 48, 2));
$node->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, v vector(48));
	INSERT INTO items SELECT * FROM pool WHERE id <= 2000;
	CREATE INDEX idx ON items USING hnsw (v vector_l2_ops)');

my $changes = join '', map {
	"INSERT INTO items SELECT * FROM pool WHERE id = $_; DELETE FROM items WHERE id = $_ - 2000;\n"
	  . ($_ % 500 ? '' : "VACUUM (INDEX_CLEANUP ON) items;\n")
} 2001 .. 4000;
my $run = start_sql($node, $changes);
wait_for_progress($node, $run, 'SELECT max(id) > 2100 FROM items');
$node->backup('hot');
my ($status, undef, $error) = finish_sql($run);
is("$status$error", '0', 'changes went on during the backup');

# To a point between two changes that nothing later can show.
$node->safe_psql('postgres', 'DELETE FROM items WHERE id > 3900; VACUUM (INDEX_CLEANUP ON) items');
my $rows = $node->safe_psql('postgres', 'SELECT count(*), sum(id) FROM items');
my $answers = answers($node, 'l2');
$node->safe_psql('postgres', "SELECT pg_create_restore_point('here')");
$node->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id > 3900; DELETE FROM items WHERE id < 3000;
	VACUUM (INDEX_CLEANUP ON) items; SELECT pg_switch_wal()');

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($node, 'hot', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf', "recovery_target_name = 'here'\nrecovery_target_action = promote\n");
$node->poll_query_until('postgres', "SELECT last_archived_wal >= pg_walfile_name(pg_switch_wal()) OR last_archived_count > 0
	FROM (SELECT last_archived_wal, archived_count AS last_archived_count FROM pg_stat_archiver) s");
$restored->start;
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';

is($restored->safe_psql('postgres', 'SELECT count(*), sum(id) FROM items'), $rows, 'restored: the rows of that moment');
is(answers($restored, 'l2'), $answers, 'restored: the answers of that moment');
check_ok($restored, 'idx', 'restored');
complete_ok($restored, 'items', 'l2', 'restored');
recall_ok($restored, 0.95, 'restored', ef => 100);
$restored->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id > 3900');
check_ok($restored, 'idx', 'restored and changed');
recall_ok($restored, 0.95, 'restored and changed', ef => 100);
$restored->stop;

# An unlogged table is empty after a crash, and its index with it.
$node->safe_psql('postgres', 'CREATE UNLOGGED TABLE passing (id int PRIMARY KEY, v vector(48));
	CREATE INDEX passing_v ON passing USING hnsw (v vector_l2_ops);
	INSERT INTO passing SELECT * FROM pool WHERE id <= 500');
complete_ok($node, 'passing', 'l2', 'unlogged');
check_ok($node, 'passing_v', 'unlogged');
crash($node, 'server');
is($node->safe_psql('postgres', 'SELECT count(*) FROM passing'), 0, 'unlogged: empty after the crash');
complete_ok($node, 'passing', 'l2', 'unlogged, after the crash');
check_ok($node, 'passing_v', 'unlogged, after the crash');
$node->safe_psql('postgres', 'INSERT INTO passing SELECT * FROM pool WHERE id <= 500');
complete_ok($node, 'passing', 'l2', 'unlogged, filled again');
check_ok($node, 'passing_v', 'unlogged, filled again');
recall_ok($node, 0.95, 'unlogged, filled again', table => 'passing', ef => 100);

$node->stop;
done_testing();
