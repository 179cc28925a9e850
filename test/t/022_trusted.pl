# Whoever may create in a database may have the extension there, as with
# pgvector, and gets nothing else by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $node = new_node('trusted');
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE guest LOGIN; CREATE DATABASE theirs OWNER owner');
my @as = map { [ extra_params => [ '-U', $_ ] ] } qw(owner guest);
my ($owner, $guest) = @as;

my ($status, undef, $error) = $node->psql('theirs', 'CREATE EXTENSION vecidx', @$guest);
isnt($status, 0, 'a guest does not create the extension');
like($error, qr/permission denied/, 'for want of the right to create in the database');

# What stands in the schema already is not taken for a part of the extension.
($status, undef, $error) = $node->psql('theirs',
	'CREATE SCHEMA mine; CREATE TYPE mine.vector AS ENUM (); CREATE EXTENSION vecidx SCHEMA mine', @$owner);
isnt($status, 0, 'a type of that name in the schema is in the way');
like($error, qr/type "vector" already exists/, 'and the error says so');
($status, undef, $error) = $node->psql('theirs', 'DROP TYPE mine.vector;
	CREATE FUNCTION mine.hamming_distance(bit, bit) RETURNS float8 LANGUAGE sql AS $$ SELECT 0::float8 $$;
	CREATE EXTENSION vecidx SCHEMA mine', @$owner);
isnt($status, 0, 'so is a function');
like($error, qr/function "hamming_distance" already exists/, 'and the error says so');
$node->safe_psql('theirs', 'DROP SCHEMA mine CASCADE', @$owner);

$node->safe_psql('theirs', 'CREATE SCHEMA shared; GRANT USAGE ON SCHEMA shared TO guest; CREATE EXTENSION vecidx SCHEMA shared', @$owner);
is($node->safe_psql('theirs', "SELECT extowner::regrole FROM pg_extension WHERE extname = 'vecidx'"), 'owner', 'the owner has it');
$node->safe_psql('theirs', "CREATE TABLE items (id int, v shared.vector(3));
	INSERT INTO items SELECT i, format('[%s,0,1]', i)::shared.vector FROM generate_series(1, 100) i;
	CREATE INDEX items_v ON items USING hnsw (v shared.vector_l2_ops);
	GRANT SELECT ON items TO guest", @$owner);
is($node->safe_psql('theirs', "SET enable_seqscan = off; SELECT id FROM items ORDER BY v OPERATOR(shared.<->) '[7,0,1]' LIMIT 1", @$guest),
	7, 'a guest searches');
is($node->safe_psql('theirs', "SELECT count(*) FROM shared.vecidx_check('items_v')", @$owner), 0, 'the owner of an index checks it');
($status, undef, $error) = $node->psql('theirs', "SELECT * FROM shared.vecidx_check('items_v')", @$guest);
like($error, qr/must be owner of index items_v/, 'a guest does not');

# Taking over a pgvector database changes catalogs.
is($node->safe_psql('theirs', "SELECT superuser, trusted FROM pg_available_extension_versions WHERE name = 'vecidx' AND version = 'pgvector'"),
	't|f', 'the takeover needs a superuser, with pgvector at hand or not');
($status, undef, $error) = $node->psql('theirs', "DROP EXTENSION vecidx CASCADE; CREATE EXTENSION vecidx VERSION 'pgvector'", @$owner);
isnt($status, 0, 'the takeover of pgvector is for superusers');
like($error, qr/permission denied to create extension "vecidx"|required extension "vector" is not installed/, 'and the error says so');

$node->stop;
done_testing();
