
# A list that is split while VACUUM goes through the index: dead rows that the
# split had read before VACUUM took them away must not come back with the new
# lists, at whichever moment these are published.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Test::More;
use VecidxTest;

my $node = new_node('ivf_vacuum_race');

# A split reads values from the table, and calls the function of an expression
# for that.  In the session that has the setting it waits there, with the list
# closed and read, until the lock is free.
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION hold(id int, v vector) RETURNS vector IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF id = 1 AND current_setting('hold.here', true) = 'yes' THEN
			PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1);
		END IF;
		RETURN v;
	END $$});

# Transaction ids go on meanwhile: what is published is dated by the next one.
my $ids = start_sql($node, q{
	SET statement_timeout = 0;
	DO $$ BEGIN LOOP PERFORM txid_current(); COMMIT; PERFORM pg_sleep(0.002); END LOOP; END $$;});

# VACUUM naps so long, in milliseconds, after each page.
my $NAP = 40;

# One round: new lists are published after so many of the naps in the index.
# Returns whether VACUUM had not come to its last step, which waits for them.
sub race
{
	my ($after) = @_;

	$node->safe_psql(
		'postgres', q{
		DROP TABLE IF EXISTS items;
		CREATE TABLE items (id int, v vector(2), fill text DEFAULT repeat('x', 300));
		CREATE INDEX idx ON items USING ivfpq ((hold(id, v)::vector(2)) vector_l2_ops);
		INSERT INTO items SELECT i, ARRAY[i % 20, i / 20]::vector FROM generate_series(1, 120) i;
		DELETE FROM items WHERE id % 3 = 0 AND id > 60});
	my $holder = start_sql(
		$node, "
		SELECT pg_advisory_lock(1);
		DO \$\$ BEGIN
			LOOP
				EXIT WHEN EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes');
				COMMIT;
				PERFORM pg_sleep(0.001);
			END LOOP;
			COMMIT;
			PERFORM pg_sleep($after * $NAP / 1000.0);
			COMMIT;
			RAISE NOTICE 'still reading: %', EXISTS (SELECT FROM pg_stat_progress_vacuum v JOIN pg_stat_activity a USING (pid)
				WHERE v.phase = 'vacuuming indexes' AND a.wait_event_type IS DISTINCT FROM 'Lock');
		END \$\$;
		SELECT pg_advisory_unlock(1);");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND granted") or die;
	my $splitter = start_sql($node, "SET hold.here = yes;
		INSERT INTO items SELECT 1000 + i, ARRAY[i % 30, i / 30]::vector FROM generate_series(1, 200) i");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") or die;
	$node->safe_psql('postgres', "SET vacuum_cost_limit = 1; SET vacuum_cost_page_hit = 10000; SET vacuum_cost_delay = " . $NAP / 4 . ";
		VACUUM (INDEX_CLEANUP ON) items");

	my (undef, undef, $said) = finish_sql($holder);
	is((finish_sql($splitter))[0], 0, "published after nap $after: the insert ends");
	check_ok($node, 'idx', "published after nap $after");
	is( $node->safe_psql('postgres', "SET enable_seqscan = off;
		SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY hold(id, v)::vector(2) <-> '[0,0]') s"),
		'300|300', "published after nap $after: every row is found");
	return $said =~ /still reading: t/;
}

my $naps = 0;
$naps++ while race($naps + 0.5) && $naps < 40;
cmp_ok($naps, '>', 1, "VACUUM took $naps naps in the index");
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%txid_current();%' AND pid <> pg_backend_pid()");
finish_sql($ids);
$node->stop;
done_testing();
