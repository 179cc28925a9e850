
# IVF indexes on a streaming standby: the same rows as on the primary after
# every kind of change, lists that are split, packed and dissolved among them, with
# each page compared as it is replayed; and when promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $primary = new_node('primary', streaming => 1, conf => "wal_consistency_checking = all\nwal_keep_size = 4GB\n");
my %indexes = (
	l2 => 'ivfflat (v vector_l2_ops)',
	cosine => 'ivfpq (v vector_cosine_ops) WITH (quantizer = pq)',
	ip => 'ivfpq (v vector_ip_ops) WITH (bits = 1, lists = 20)');

load_vectors($primary, 'pool', make_vectors(6000, 24, 1));
load_vectors($primary, 'queries', make_vectors(30, 24, 2));
$primary->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, v vector(24))');
$primary->safe_psql('postgres', "CREATE INDEX idx_$_ ON items USING $indexes{$_}") for sort keys %indexes;
$primary->safe_psql('postgres', "CREATE INDEX apart ON items USING ivfflat (($WIDE) vector_l2_ops, (id % 10))");

my $standby = new_standby($primary);

sub same
{
	my ($name) = @_;

	same_answers($primary, $standby, $name, sort keys %indexes);
	apart_ok($standby, 'items', 'apart', "$name, apart, standby");
	return;
}

same('empty');

# A query under way on the standby while the index learns, and while VACUUM
# gives what was there before free, which does not wait for the standby's
# queries.  Nothing is near or far from a zero vector under cosine: lists are
# gone through one after the other, each when a row is asked for.  The index
# learns from rows that no query ever sees, so that VACUUM of the table itself
# does not conflict with the query; nor are they on a page that the cursor may
# hold, for there are rows without vectors between.
{
	my $rows = 900;
	my $zero = '[' . join(',', (0) x 24) . ']';
	my ($run, $status, $out, $err);

	$primary->safe_psql('postgres', "CREATE TABLE over (id int);
		CREATE TABLE early (id int PRIMARY KEY, v vector(24));
		CREATE INDEX idx_early ON early USING ivfpq (v vector_cosine_ops);
		INSERT INTO early SELECT id, v FROM pool WHERE id <= $rows;
		INSERT INTO early SELECT -i, NULL FROM generate_series(1, 500) i");
	$primary->safe_psql('postgres', 'VACUUM early');
	caught_up($primary, $standby);
	$run = start_sql($standby, "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
		DECLARE c CURSOR FOR SELECT id FROM early ORDER BY v <=> '$zero';
		FETCH 3 FROM c;
		DO 'BEGIN WHILE NOT EXISTS (SELECT FROM over) LOOP PERFORM pg_sleep(0.01); END LOOP; END';
		FETCH ALL FROM c;");
	wait_for_progress($standby, $run, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO%')");
	$primary->safe_psql('postgres', "BEGIN; INSERT INTO early SELECT id, v FROM pool WHERE id > $rows AND id <= 2500; ROLLBACK");
	$primary->safe_psql('postgres', 'SELECT txid_current()');
	$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) early') for 1 .. 2;
	$primary->safe_psql('postgres', 'INSERT INTO over VALUES (1)');
	caught_up($primary, $standby);
	($status, $out, $err) = finish_sql($run);
	is($err, '', 'the directory of a query on the standby is replaced and given free');
	ok(join(',', sort { $a <=> $b } split(/\s+/, $out)) eq join(',', 1 .. $rows), 'and each row comes once');
}

# in order, so that lists fill up one after the other, and in many transactions
for my $part (0 .. 9)
{
	$primary->safe_psql('postgres', "INSERT INTO items SELECT id, v FROM (
		SELECT id, v, ntile(10) OVER (ORDER BY (v::real[])[1]) - 1 AS part FROM pool) p WHERE part = $part");
	same("insert $part") if $part % 4 == 1;
}
$primary->safe_psql('postgres', 'BEGIN; INSERT INTO items SELECT id + 10000, v FROM pool WHERE id <= 2000; ROLLBACK');
same('rollback');
$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
same('vacuum');
$primary->safe_psql('postgres', 'DELETE FROM items WHERE id % 10 > 0');
$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items') for 1 .. 3;
same('lists shrunk');
$primary->safe_psql('postgres', 'INSERT INTO items SELECT * FROM pool WHERE id % 10 > 0');
same('insert again');
$primary->safe_psql('postgres', 'REINDEX TABLE items');
same('reindex');
$primary->safe_psql('postgres', 'INSERT INTO items SELECT id + 20000, v FROM pool');
same('grown after reindex');

# A standby that tells of its snapshots has them heeded, without a slot, too:
# lists that are replaced in one long statement stay then, and otherwise their
# space is used again.
{
	my %pages;

	for my $told ('off', 'on')
	{
		$standby->safe_psql('postgres', "ALTER SYSTEM SET hot_standby_feedback = $told");
		$standby->reload;
		$primary->poll_query_until('postgres',
			'SELECT backend_xmin IS ' . ($told eq 'on' ? 'NOT NULL' : 'NULL') . ' FROM pg_stat_replication')
		  or die 'no word from the standby';
		$pages{$told} = $primary->safe_psql('postgres', "CREATE TABLE grown_$told (LIKE items);
			CREATE INDEX idx_grown_$told ON grown_$told USING ivfflat (v vector_l2_ops);
			INSERT INTO grown_$told SELECT id, v FROM pool WHERE id <= 1500;
			INSERT INTO grown_$told SELECT id, v FROM pool WHERE id > 1500;
			SELECT pg_relation_size('idx_grown_$told') / current_setting('block_size')::int");
	}
	cmp_ok($pages{on}, '>', $pages{off} * 1.2, "replaced lists stay where a standby may read them ($pages{off} pages without)");
}

$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO items SELECT id + 30000, v FROM pool; DELETE FROM items WHERE id % 4 = 2');
$standby->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) items');
for my $metric (sort keys %indexes)
{
	check_ok($standby, "idx_$metric", "promoted, $metric");
	complete_ok($standby, 'items', $metric, "promoted, $metric");
}
apart_ok($standby, 'items', 'apart', 'promoted, apart');
unlike(slurp_file($standby->logfile), qr/inconsistent page found|PANIC/, 'replay found no page that differs');
$standby->stop;

done_testing();
