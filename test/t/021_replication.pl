
# Logical replication of every type, initial copy and stream, in text and binary:
# between two vecidx databases, from pgvector, and back to pgvector.  Then the move
# as docs/moving.md has it.

use strict;
use warnings;

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PgvectorNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $conf = "wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_worker_processes = 30
max_logical_replication_workers = 20
wal_retrieve_retry_interval = 100ms
logical_decoding_work_mem = 64kB
";
my ($rows, $dim) = (400, 16);

sub vecidx_node
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "autovacuum = off\n$conf");
	$node->start;
	return { node => $node, name => 'vecidx', extension => 'vecidx' };
}

my $near = vecidx_node('near');
my $far = vecidx_node('far');
my @pgvector = map { { %$_, extension => 'vector' } } pgvector_nodes(conf => $conf);

# Every type with and without dimensions, in arrays and in composites; tables
# whose rows are found by comparing them whole, after a scan or (from PostgreSQL
# 16 on) with the help of a btree on the vectors; vectors that are stored out of line; a table to be truncated.
my $tables = "
CREATE TYPE pair AS (v vector(2), h halfvec);
CREATE TABLE items (id int PRIMARY KEY, v vector($dim), h halfvec($dim), s sparsevec(100), b bit($dim), note text);
CREATE TABLE plain (v vector(3), h halfvec(3), s sparsevec(5), b bit(8), note text);
ALTER TABLE plain REPLICA IDENTITY FULL;
CREATE TABLE keyless (id int, v vector(3));
ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE various (id int PRIMARY KEY, v vector, h halfvec, s sparsevec, b bit varying, a vector(2)[], p pair);
CREATE TABLE wide (id int PRIMARY KEY, v vector(3000), h halfvec(5000), n int DEFAULT 0);
CREATE TABLE passing (id int PRIMARY KEY, v vector(2));
";

my $vectors = make_vectors($rows, $dim, 1);
my $data = "SELECT setseed(0.5);
COPY pg_temp.source FROM stdin;
" . join('', map { "$_\t$vectors->[$_ - 1]\n" } 1 .. $rows) . "\\.
INSERT INTO items SELECT id, v, v::halfvec, ('{1:' || id || ',50:1,100:-' || id || '}/100')::sparsevec,
	binary_quantize(v), 'row ' || id FROM source;
INSERT INTO plain SELECT ARRAY[id % 7, id, -1]::vector, ARRAY[id % 7, id, -1]::halfvec, ('{2:' || id || '}/5')::sparsevec,
	(id % 256)::bit(8), CASE WHEN id % 2 = 0 THEN 'even' END FROM source WHERE id <= 100;
INSERT INTO plain SELECT * FROM plain;
INSERT INTO keyless SELECT id, ARRAY[id % 9, -id % 9, id % 2]::vector FROM source WHERE id <= 100;
INSERT INTO various VALUES
	(1, '[1]', '[65504,-65504,6.1e-5]', '{}/5', '', '{}', NULL),
	(2, '[3.4028235e38,-1.1754944e-38,1e-45,0.1]', '[6e-8,-0]', '{1000000000:0.1}/1000000000', '101',
		'{\"[1,2]\",NULL,\"[3,4]\"}', ROW('[1,2]', '[3]')),
	(3, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wide SELECT id, ARRAY(SELECT random() + 0 * id FROM generate_series(1, 3000))::vector,
	ARRAY(SELECT random() + 0 * id FROM generate_series(1, 5000))::halfvec FROM generate_series(1, 5) id;
INSERT INTO passing SELECT id, ARRAY[id, 1]::vector FROM generate_series(1, 10) id;
";

# What is streamed.  The last transaction is larger than logical_decoding_work_mem.
my $changes = "
INSERT INTO items SELECT id + 1000, v, h, s, b, 'later' FROM items WHERE id <= 50;
UPDATE items SET v = (SELECT v FROM items i WHERE i.id = items.id + 1) WHERE id % 10 = 0 AND id < $rows;
UPDATE items SET note = 'noted' WHERE id % 10 = 1;
UPDATE items SET id = id + 2000 WHERE id % 10 = 2;
UPDATE items SET h = NULL, s = '{7:7}/100', b = ~b WHERE id % 10 = 3;
DELETE FROM items WHERE id % 10 = 4;
INSERT INTO plain VALUES ('[0,0,0]', '[0,0,0]', '{}/5', '00000000', NULL), (NULL, NULL, NULL, NULL, NULL);
UPDATE plain SET v = v + '[1,1,1]' WHERE note IS NULL;
UPDATE plain SET h = '[9,9,9]', s = '{5:5}/5' WHERE v < '[3,0,0]';
DELETE FROM plain WHERE v <-> '[3,50,0]' < 20;
UPDATE keyless SET v = v * v WHERE id % 3 = 0;
DELETE FROM keyless WHERE id % 3 = 1;
UPDATE various SET v = v || '[5]', a = a || '[5,6]'::vector(2), p = ROW('[8,9]', NULL) WHERE id < 3;
UPDATE wide SET n = 1;
UPDATE wide SET v = l2_normalize(v) WHERE id = 2;
DELETE FROM wide WHERE id = 3;
TRUNCATE passing;
INSERT INTO passing VALUES (1, '[7,7]');
INSERT INTO items SELECT 10000 + 1000 * n + id, v, h, s, b, repeat('x', 100) FROM items, generate_series(1, 3) n WHERE id <= $rows;
";

# All rows of all tables, in text and in the types' binary form.
my @contents = (
	map({ "SELECT * FROM $_ ORDER BY id" } qw(items keyless various wide passing)),
	'SELECT id, vector_send(v), halfvec_send(h), sparsevec_send(s) FROM items ORDER BY id',
	'SELECT id, vector_send(v), halfvec_send(h), sparsevec_send(s) FROM various ORDER BY id',
	'SELECT plain::text FROM plain ORDER BY 1');

sub contents
{
	my ($end, $db) = @_;

	return $end->{node}->safe_psql($db, join ';', @contents);
}

# Compare all rows, without is(), which would show them all.  Returns how many
# lines there are.
sub same_rows
{
	my ($from, $to, $db, $name) = @_;
	my @expected = split /^/, contents($from, $db);
	my @found = split /^/, contents($to, $db);
	my ($different) = grep { ($expected[$_] // '') ne ($found[$_] // '') } 0 .. ($#expected > $#found ? $#expected : $#found);

	ok(!defined $different, "$name: the same rows")
	  or diag(map { substr($_ // "none\n", 0, 300) . "\n" } $expected[$different], $found[$different]);
	return scalar @expected;
}

# The ten nearest rows, by the index and without it.
sub indexes_ok
{
	my ($node, $db, $name) = @_;
	my $query = "SELECT q.id, ARRAY(SELECT i.v <=> q.v FROM items i ORDER BY i.v <=> q.v LIMIT 10)
		FROM items q WHERE q.id <= 20 ORDER BY q.id";
	my $index = $node->safe_psql($db, "SET enable_seqscan = off; SET hnsw.ef_search = 200; $query");
	my $truth = $node->safe_psql($db, "SET enable_indexscan = off; $query");

	is($index, $truth, "$name: the index finds the nearest rows");
	like($node->safe_psql($db, "SET enable_seqscan = off; EXPLAIN (COSTS OFF) $query"), qr/Index Scan using items_v_idx/,
		"$name: and it is the index");
	is( $node->safe_psql(
			$db, "SELECT c.relname, p.* FROM pg_class c JOIN pg_am a ON a.oid = c.relam, vecidx_check(c.oid, true) p
			WHERE a.amname = 'hnsw' LIMIT 20"),
		'', "$name: vecidx_check");
	return;
}

my $number = 0;

sub replicate
{
	my ($from, $to, $binary) = @_;
	my $name = "$from->{name} to $to->{name}, " . ($binary ? 'binary' : 'text');
	my $db = 'db' . ++$number;
	my $subscription = "s$number";
	my ($publisher, $subscriber) = ($from->{node}, $to->{node});
	my $connection = $publisher->connstr . " dbname=$db";

	# In binary, where the receiver has to know the types by itself, it has them
	# in another schema, which the worker's search_path does not name.
	$_->safe_psql('postgres', "CREATE DATABASE $db") for $publisher, $subscriber;
	$subscriber->safe_psql($db, "CREATE SCHEMA extensions; ALTER DATABASE $db SET search_path = public, extensions")
	  if $binary;
	$publisher->safe_psql($db, "CREATE EXTENSION $from->{extension}; $tables");
	$subscriber->safe_psql($db, "CREATE EXTENSION $to->{extension}" . ($binary ? ' SCHEMA extensions' : '') . "; $tables");
	$publisher->safe_psql($db,
		"CREATE TEMP TABLE source (id int, v vector($dim)); $data; CREATE PUBLICATION p FOR ALL TABLES");
	$subscriber->safe_psql(
		$db, "CREATE INDEX items_v_idx ON items USING hnsw (v vector_cosine_ops);
		CREATE INDEX plain_v_idx ON plain USING hnsw (v vector_l2_ops);
		CREATE INDEX keyless_v_idx ON keyless USING hnsw (v vector_l2_ops);
		CREATE INDEX keyless_v_btree ON keyless (v);
		CREATE SUBSCRIPTION $subscription CONNECTION '$connection' PUBLICATION p
		WITH (binary = $binary, streaming = on)");

	# 'd' to 'r': every table is copied and has caught up.
	$subscriber->poll_query_until($db, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
	  or die "$name: the initial copy does not end";
	cmp_ok(same_rows($from, $to, $db, "$name, copied"), '>', 2 * $rows, "$name: there are rows");

	$publisher->safe_psql($db, $changes);
	$publisher->wait_for_catchup($subscription);
	cmp_ok(same_rows($from, $to, $db, "$name, streamed"), '>', 6 * $rows, "$name: there are more rows");
	indexes_ok($subscriber, $db, $name) if $to->{extension} eq 'vecidx';

	$subscriber->safe_psql($db, "DROP SUBSCRIPTION $subscription");
	return;
}

for my $binary (0, 1)
{
	replicate($near, $far, $binary);
	replicate($_, $far, $binary) for @pgvector;
	replicate($near, $_, $binary) for @pgvector;
}

# The steps of docs/moving.md, and back again.  Definitions can be moved to the
# same or a later PostgreSQL by its pg_dump.
sub shell_ok
{
	my ($name, $command) = @_;
	my ($out, $err) = ('', '');
	my $done = IPC::Run::run([ 'sh', '-ec', $command ], '<', File::Spec->devnull, '>', \$out, '2>', \$err);

	return is(($done ? '' : 'failed: ') . $err, '', $name);
}

sub move_as_documented
{
	my ($from) = @_;
	my $name = "$from->{name}, as documented";
	my $db = 'moving' . ++$number;
	my ($old, $new) = ($from->{node}, $far->{node});
	my $dump = PostgreSQL::Test::Utils::tempdir() . "/$db";

	$_->safe_psql('postgres', "CREATE DATABASE $db") for $old, $new;
	$old->safe_psql($db, "CREATE EXTENSION $from->{extension}; $tables CREATE TEMP TABLE source (id int, v vector($dim));
		$data; CREATE INDEX items_v_idx ON items USING hnsw (v vector_cosine_ops) WITH (m = 8);
		CREATE INDEX ON items (note); CREATE PUBLICATION moving FOR ALL TABLES");

	shell_ok(
		"$name: definitions",
		"vecidx='-c session_preload_libraries=vecidx -c vecidx.replace_vector=on'
			pg_dump -d '" . $old->connstr . " dbname=$db' --schema-only --no-publications -Fc -f $dump
			pg_restore -l $dump | grep -v ' INDEX ' > $dump.before
			pg_restore -l $dump | grep ' INDEX ' > $dump.after
			PGOPTIONS=\$vecidx pg_restore --exit-on-error -L $dump.before -d '" . $new->connstr . " dbname=$db' $dump");
	is($new->safe_psql($db, "SELECT count(*) FROM pg_class WHERE relname ~ '^items_.*idx'"), '0', "$name: no index yet");
	$new->safe_psql($db, "CREATE SUBSCRIPTION moving CONNECTION '" . $old->connstr . " dbname=$db' PUBLICATION moving");
	$new->poll_query_until($db, "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'")
	  or die "$name: the initial copy does not end";
	$old->safe_psql($db, $changes);
	shell_ok("$name: indexes", "pg_restore --exit-on-error -L $dump.after -j 2 -d '" . $new->connstr . " dbname=$db' $dump");
	$old->poll_query_until($db,
		"SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication WHERE application_name = 'moving'")
	  or die "$name: the new database does not catch up";
	$new->safe_psql($db, 'DROP SUBSCRIPTION moving');
	same_rows($from, $far, $db, "$name, moved");
	indexes_ok($new, $db, $name);

	$new->safe_psql($db, 'CREATE PUBLICATION back FOR ALL TABLES');
	$old->safe_psql($db, "CREATE SUBSCRIPTION back CONNECTION '" . $new->connstr . " dbname=$db' PUBLICATION back
		WITH (copy_data = false)");
	$new->safe_psql($db, "DELETE FROM plain; DELETE FROM items WHERE id > 2000; UPDATE items SET v = v + v");
	$new->wait_for_catchup('back');
	same_rows($far, $from, $db, "$name, the way back");
	$old->safe_psql($db, 'DROP SUBSCRIPTION back');
	return;
}

my ($major) = $far->{node}->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;
move_as_documented($_) for $near, grep { $_->{major} <= $major } @pgvector;

SKIP:
{
	skip($PGVECTOR_ABSENT, 1) unless @pgvector;
	pass('with ' . join(', ', map { $_->{name} } @pgvector));
}

$_->{node}->stop for $near, $far, @pgvector;
done_testing();
