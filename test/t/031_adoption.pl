
# A database of pgvector is taken over in place: ALTER EXTENSION vecidx UPDATE
# from the version "pgvector".  Needs a PostgreSQL that has pgvector installed
# beside vecidx (Debian's package postgresql-17-pgvector, for example).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $node = new_node('node');

my $begin = "CREATE EXTENSION vecidx VERSION 'pgvector'";
my $adopt = 'ALTER EXTENSION vecidx UPDATE';
my $pgvector = $node->safe_psql('postgres', "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'");

# without pgvector, only what can be said without it
$node->safe_psql('postgres', 'CREATE DATABASE neither');
like(($node->psql('neither', $begin))[2], qr/required extension "vector" is not (installed|available)/, 'where pgvector is not');
if ($pgvector !~ /^0\.8\.[0-7]$/)
{
  SKIP:
	{
		skip($pgvector eq '' ? 'this PostgreSQL has no pgvector: install its package' :
			  "only pgvector 0.8.0 to 0.8.7 can be taken over, not $pgvector", 1);
	}
	done_testing();
	exit;
}
note "pgvector $pgvector";

# The database postgres has a fresh vecidx.

# Objects, whatever their OIDs: every catalog that an extension's objects are in.
my @catalogs = (
	"SELECT p.oid::regprocedure, prorettype::regtype, proargnames, proargmodes, pg_get_function_arguments(p.oid),
		prolang, procost, prorows, prosupport::regprocedure, prokind, prosecdef, proleakproof, proisstrict, proretset,
		provolatile, proparallel, prosrc, probin, proconfig
		FROM pg_proc p JOIN m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass",
	"SELECT aggfnoid::regprocedure, aggkind, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn,
		aggfinalextra, aggfinalmodify, aggsortop, aggtranstype::regtype, aggtransspace, agginitval
		FROM pg_aggregate p JOIN m ON m.objid = aggfnoid AND m.classid = 'pg_proc'::regclass",
	"SELECT o.oid::regoperator, oprkind, oprcanmerge, oprcanhash, oprresult::regtype, oprcom::regoperator,
		oprnegate::regoperator, oprcode, oprrest, oprjoin
		FROM pg_operator o JOIN m ON m.objid = o.oid AND m.classid = 'pg_operator'::regclass",
	"SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod
		FROM pg_cast c JOIN m ON m.objid = c.oid AND m.classid = 'pg_cast'::regclass",
	"SELECT t.oid::regtype, typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typsubscript, typelem::regtype,
		typarray::regtype, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typalign, typstorage, typcollation
		FROM pg_type t JOIN m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass",
	"SELECT amname, amhandler::regprocedure, amtype FROM pg_am a JOIN m ON m.objid = a.oid AND m.classid = 'pg_am'::regclass",
	"SELECT opcname, opcintype::regtype, opcdefault, opckeytype::regtype, amname, opfname
		FROM pg_opclass c JOIN m ON m.objid = c.oid AND m.classid = 'pg_opclass'::regclass
		JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_am a ON a.oid = opcmethod",
	"SELECT opfname, amname, pg_describe_object('pg_amop'::regclass, o.oid, 0)
		FROM pg_opfamily f JOIN m ON m.objid = f.oid AND m.classid = 'pg_opfamily'::regclass JOIN pg_am a ON a.oid = opfmethod
		JOIN pg_amop o ON amopfamily = f.oid",
	"SELECT opfname, amname, pg_describe_object('pg_amproc'::regclass, p.oid, 0), amproc::regprocedure
		FROM pg_opfamily f JOIN m ON m.objid = f.oid AND m.classid = 'pg_opfamily'::regclass JOIN pg_am a ON a.oid = opfmethod
		JOIN pg_amproc p ON amprocfamily = f.oid",
	"SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(refclassid, refobjid, refobjsubid), deptype
		FROM pg_depend d JOIN m USING (classid, objid)",
	"SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(refclassid, refobjid, refobjsubid), deptype
		FROM pg_depend d WHERE classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass) AND objid >= 16384");

sub rows
{
	my ($node, $db, $extension, @queries) = @_;
	my $members = "WITH m AS (SELECT classid, objid FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid IN (SELECT oid FROM pg_extension WHERE extname ~ '$extension'))";

	return join("\n", map { "-- $_\n" . join("\n", sort split(/\n/, $node->safe_psql($db, "$members $_"))) } @queries) . "\n";
}

# What a database is, to see that a failure changed nothing.
sub state_of
{
	my ($db) = @_;

	return rows($node, $db, '^(vector|vecidx)$', @catalogs,
		'SELECT extname, extversion, extnamespace::regnamespace FROM pg_extension',
		'SELECT indexrelid::regclass, indisvalid, indisready, indislive FROM pg_index',
		'SELECT oid::regclass, relfilenode, relkind FROM pg_class WHERE oid >= 16384',
		"SELECT m.classid::regclass, m.objid FROM m");
}

# Compare two long texts, showing the lines that differ.
sub same
{
	my ($got, $expected, $name) = @_;
	my %in_got = map { $_ => 1 } split /\n/, $got;
	my %in_expected = map { $_ => 1 } split /\n/, $expected;

	return ok(1, $name) if $got eq $expected;
	ok(0, $name);
	diag "- $_" for grep { !$in_got{$_} } sort keys %in_expected;
	diag "+ $_" for grep { !$in_expected{$_} } sort keys %in_got;
	return;
}

# A statement that has to fail, with an error like this.
sub fails
{
	my ($db, $sql, $like, $name) = @_;
	my ($status, undef, $error) = $node->psql($db, $sql);

	like("$status $error", qr/^[^0].*$like/s, $name);
	return;
}

my @made;

sub make_database
{
	my ($db, $sql) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, $sql);
	push @made, $db;
	return;
}

# 1. With nothing but pgvector in it, the database is what CREATE EXTENSION makes.

my $fresh = rows($node, 'postgres', '^vecidx$', @catalogs);

fails('postgres', $begin, 'extension "vecidx" already exists', 'where vecidx is');

make_database('bare', 'CREATE EXTENSION vector');
$node->safe_psql('bare', $begin);
is($node->safe_psql('bare', "SELECT '[1,2,3]'::vector <-> '[1,2,5]'"), 2, 'pgvector still works between the two commands');
my ($status, $out, $error) = $node->psql('bare', $adopt);
is("$status$out$error", '0', 'taken over, without a warning where there is no index');
is( rows($node, 'bare', '^vector$', 'SELECT m.* FROM m'), rows($node, 'neither', '^vector$', 'SELECT m.* FROM m'),
	'pgvector has no members');
same(rows($node, 'bare', '^vecidx$', @catalogs), $fresh, 'catalogs are those of a fresh vecidx');
$node->safe_psql('bare', 'DROP EXTENSION vector');
same(rows($node, 'bare', '^vecidx$', @catalogs), $fresh, 'and after DROP EXTENSION vector');
is($node->safe_psql('bare', 'SELECT amvalidated FROM (SELECT bool_and(amvalidate(oid)) AS amvalidated FROM pg_opclass) s'),
	't', 'operator classes are valid');
$node->safe_psql('bare', 'DROP EXTENSION vecidx');
is($node->safe_psql('bare', 'SELECT count(*) FROM pg_proc WHERE oid >= 16384'), 0, 'DROP EXTENSION vecidx leaves nothing');

# 2. A database in use: everything that can depend on pgvector's objects.

my $hnsw_classes = $node->safe_psql('postgres', "SELECT opcintype::regtype || ' ' || opcname FROM pg_opclass
	WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw') ORDER BY 1");
my %column = (vector => 'v', halfvec => 'h', sparsevec => 's', bit => 'b');
my ($hnsw_indexes, @index_names) = ('');
for (split /\n/, $hnsw_classes)
{
	my ($type, $class) = split ' ';
	next unless exists $column{$type};    # of a filter column, which is never the first
	$hnsw_indexes .= "CREATE INDEX hnsw_$class ON items USING hnsw ($column{$type} $class) WITH (m = 8, ef_construction = 40);\n";
	push @index_names, "hnsw_$class";
}

my $used = <<"END";
CREATE EXTENSION vector;
CREATE TABLE items (
	id int PRIMARY KEY,
	v vector(4) NOT NULL DEFAULT '[1,1,1,1]' CHECK (vector_norm(v) < 1e6),
	h halfvec(4) GENERATED ALWAYS AS (v::halfvec(4)) STORED,
	s sparsevec(4) GENERATED ALWAYS AS (v::sparsevec(4)) STORED,
	b bit(4) GENERATED ALWAYS AS (binary_quantize(v)::bit(4)) STORED,
	any_v vector,
	vs vector(2)[],
	UNIQUE (v, id)
);
INSERT INTO items (id, v, any_v, vs) SELECT i, ARRAY[i % 17 - 8, i % 5, -i, i * 0.25]::vector,
	array_fill(i % 7 - 3, ARRAY[1 + i % 3])::vector, ARRAY['[1,2]', '[3,4]']::vector(2)[] FROM generate_series(1, 300) i;
INSERT INTO items (id, v, any_v) VALUES (1000, '[0,0,0,1]', '[0]'), (1001, '[0,0,0,-1]', '[-0]'), (1002, '[1e-40,0,0,2]', '[-0,0]');
INSERT INTO items (id) VALUES (1003);
$hnsw_indexes
CREATE INDEX ivf_l2 ON items USING ivfflat (v vector_l2_ops) WITH (lists = 3);
CREATE INDEX ivf_half ON items USING ivfflat (h halfvec_cosine_ops) WITH (lists = 3);
CREATE INDEX ivf_bit ON items USING ivfflat (b bit_hamming_ops) WITH (lists = 3);
CREATE INDEX hnsw_expression ON items USING hnsw ((subvector(v, 1, 2)::vector(2)) vector_cosine_ops) WHERE id > 10;
CREATE INDEX bt_v ON items (v);
CREATE INDEX bt_any ON items (any_v);
CREATE INDEX bt_h ON items (h);
CREATE INDEX bt_s ON items (s, id);
CREATE STATISTICS items_stats ON v, h FROM items;
ANALYZE items;

CREATE TABLE large (id int, v vector(3000), h halfvec(3000), s sparsevec(100000));
ALTER TABLE large ALTER v SET STORAGE EXTENDED, ALTER s SET STORAGE EXTENDED;
INSERT INTO large SELECT i, w, w, w::sparsevec(3000)::text::sparsevec FROM (
	SELECT i, array_agg((i * j) % 11)::vector AS w FROM generate_series(1, 20) i, generate_series(1, 3000) j GROUP BY i) x
	WHERE false;
INSERT INTO large SELECT i, w, w::halfvec(3000), ('{1:' || i || ',99999:-1}/100000')::sparsevec FROM (
	SELECT i, array_agg((i * j) % 11)::vector AS w FROM generate_series(1, 20) i, generate_series(1, 3000) j GROUP BY i) x;

CREATE TABLE parts (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (101);
CREATE INDEX parts_v ON parts USING hnsw (v vector_l2_ops);
INSERT INTO parts SELECT i, ARRAY[i, -i]::vector FROM generate_series(1, 100) i;
CREATE TABLE by_vector (v vector(1)) PARTITION BY LIST (v);
CREATE TABLE by_vector_1 PARTITION OF by_vector FOR VALUES IN ('[1]', '[2]');
INSERT INTO by_vector VALUES ('[1]'), ('[2]');

CREATE DOMAIN unit AS vector(2) CHECK (VALUE <-> '[0,0]' <= 1);
CREATE TYPE pair AS (a vector(2), b sparsevec);
CREATE TABLE typed (u unit, p pair, us unit[]);
INSERT INTO typed VALUES ('[0,1]', ROW('[1,2]', '{1:1}/3'), ARRAY['[0,0]'::unit]);

CREATE VIEW near AS SELECT id, v <-> '[1,2,3,4]' AS d, avg(v) OVER () AS mean FROM items ORDER BY v <-> '[1,2,3,4]', id LIMIT 5;
CREATE MATERIALIZED VIEW sums AS SELECT b, sum(v) AS total, avg(h) AS mean, count(DISTINCT s) AS n FROM items GROUP BY b;
CREATE FUNCTION mean_of(a vector, b vector) RETURNS vector LANGUAGE sql IMMUTABLE AS 'SELECT avg(x) FROM unnest(ARRAY[a, b]) x';
CREATE FUNCTION nearest(q vector, OUT id int, OUT d float8) RETURNS SETOF record LANGUAGE plpgsql STABLE AS
	'BEGIN RETURN QUERY SELECT i.id, i.v <=> q FROM items i ORDER BY i.v <=> q, i.id LIMIT 3; END';
CREATE FUNCTION parsed(q vector) RETURNS float8 LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT q <+> '[0,0]'::vector; END;
CREATE FUNCTION goes_with() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION goes_with() DEPENDS ON EXTENSION vector;
CREATE RULE no_zero AS ON INSERT TO typed WHERE NEW.u = '[0,0]' DO INSTEAD NOTHING;
CREATE ROLE reader;
ALTER DATABASE used SET hnsw.ef_search = 77;
ALTER DATABASE used SET ivfflat.probes = 3;
REVOKE EXECUTE ON FUNCTION l2_normalize(vector) FROM public;
GRANT EXECUTE ON FUNCTION l2_normalize(vector) TO reader;
COMMENT ON TYPE vector IS 'a comment of ours';
END

# What users see: rows as text and as binary, and what the objects above say.
my $content = <<'END';
SELECT * FROM items ORDER BY id;
SELECT id, vector_send(v), halfvec_send(h), sparsevec_send(s) FROM large ORDER BY id;
SELECT id, v, h, s FROM large ORDER BY id LIMIT 2;
SELECT * FROM parts ORDER BY id;
SELECT * FROM by_vector ORDER BY v;
SELECT * FROM typed;
SELECT id, round(d::numeric, 6) FROM near;
SELECT * FROM sums ORDER BY b;
SELECT mean_of('[1,2]', '[3,5]'), parsed('[1,-2]'), goes_with();
SELECT id, round(d::numeric, 6) FROM nearest('[1,2,3,5]');
SELECT array_agg(id ORDER BY any_v, id) FROM items;
SELECT array_agg(id ORDER BY v, id), array_agg(id ORDER BY h DESC, id), array_agg(id ORDER BY s, id) FROM items;
SET enable_seqscan = off; SET enable_sort = off;
SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY s, id) x;
SELECT id FROM items WHERE v = '[1,1,1,1]';
SELECT id FROM items WHERE any_v = '[0]' ORDER BY id;
SELECT id FROM items WHERE any_v > '[2]' ORDER BY id;
SELECT has_function_privilege('reader', 'l2_normalize(vector)', 'execute'), proacl FROM pg_proc WHERE oid = 'l2_normalize(vector)'::regprocedure;
SELECT obj_description('vector'::regtype, 'pg_type');
END

my @ivf_names = ('ivf_l2', 'ivf_half', 'ivf_bit');

# Identities that must not change.
my $identities = "
	SELECT 'rel', oid::regclass::text, relfilenode, reltype FROM pg_class WHERE oid >= 16384
	UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, atttypid, 0 FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
	UNION ALL SELECT 'type', typname, oid, typarray FROM pg_type WHERE typname IN ('vector', 'halfvec', 'sparsevec')
	UNION ALL SELECT 'function', pg_describe_object('pg_proc'::regclass, oid, 0), oid, prorettype FROM pg_proc
		WHERE oid >= 16384 AND proname !~ '^vecidx|^(hnsw|ivfflat)_'
		AND (SELECT count(*) FROM old.members o WHERE o.objid = pg_proc.oid) > 0
	UNION ALL SELECT 'operator', oid::regoperator::text, oid, oprcode FROM pg_operator
		WHERE (SELECT count(*) FROM old.members o WHERE o.objid = pg_operator.oid) > 0
	UNION ALL SELECT 'class', pg_describe_object('pg_opclass'::regclass, oid, 0), oid, opcfamily FROM pg_opclass
		WHERE (SELECT count(*) FROM old.members o WHERE o.objid = pg_opclass.oid) > 0
	UNION ALL SELECT 'am', amname, oid, amhandler FROM pg_am
		WHERE (SELECT count(*) FROM old.members o WHERE o.objid = pg_am.oid) > 0
	UNION ALL SELECT 'index', indexrelid::regclass::text, i, 0 FROM pg_index, unnest(indclass) i WHERE indexrelid >= 16384
	ORDER BY 1, 2, 3";

make_database('used', $used);
$node->safe_psql('used', "CREATE SCHEMA old; CREATE TABLE old.members AS SELECT classid, objid FROM pg_depend d
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vector')");
my $content_before = $node->safe_psql('used', $content);
my $identities_before = $node->safe_psql('used', $identities);
my $dump_before = dump_of('used', '-s', '-N', 'old');

# A dump, less what differs by design: the extension, and the lines that change by the run.
sub dump_of
{
	my ($db, @options) = @_;
	my ($dump, $dump_error);

	IPC::Run::run([ 'pg_dump', @options, '-d', $node->connstr($db) ], '>', \$dump, '2>', \$dump_error) or die $dump_error;
	$dump =~ s/^\\(un)?restrict .*\n//mg;
	$dump =~ s/^--.*\n//mg;
	$dump =~ s/^(CREATE|COMMENT ON) EXTENSION .*\n//mg;
	$dump =~ s/\n\n+/\n\n/g;
	return $dump;
}

# 2a. What keeps it from being taken over, and that nothing has changed then.

my $state = state_of('used');
$node->safe_psql('used', $begin);
my $ready = state_of('used');

# db is in the state of $ready before and after
sub refused
{
	my ($before, $statements, $like, $name, $after) = @_;

	$node->safe_psql('used', $before) if $before;
	fails('used', $statements, $like, $name);
	$node->safe_psql('used', $after) if $after;
	same(state_of('used'), $ready, "$name: nothing has changed");
	return;
}

refused('', "SELECT '[1]'::vector; $adopt", 'session that has loaded pgvector.*Start a new session', 'library is loaded');
refused('', "SET local_preload_libraries = ''; SELECT count(*) FROM items WHERE v <-> '[1,1,1,1]' > 0; $adopt",
	'session that has loaded pgvector', 'library is loaded by a function');
refused("ALTER DATABASE used SET session_preload_libraries = 'vector'", $adopt,
	'session that has loaded pgvector.*session_preload_libraries', 'library is preloaded', 'ALTER DATABASE used RESET session_preload_libraries');
for my $version ('0.7.4', '0.9.0')
{
	refused(
		"UPDATE pg_extension SET extversion = '$version' WHERE extname = 'vector'", $adopt,
		"cannot take over version $version.*0\\.8\\.0 to", "version $version",
		"UPDATE pg_extension SET extversion = '$pgvector' WHERE extname = 'vector'");
}
refused('CREATE FUNCTION stray(vector) RETURNS int LANGUAGE sql AS \'SELECT 1\'; ALTER EXTENSION vector ADD FUNCTION stray(vector)',
	$adopt, 'members that vecidx does not know.*stray', 'a member of another origin',
	'ALTER EXTENSION vector DROP FUNCTION stray(vector); DROP FUNCTION stray(vector)');
refused('CREATE OPERATOR CLASS own_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <-> FOR ORDER BY float_ops,
	FUNCTION 1 vector_l2_squared_distance(vector, vector)', $adopt,
	'operator class "own_ops" .* is not one of pgvector', 'an operator class of the user',
	'DROP OPERATOR CLASS own_ops USING hnsw; DROP OPERATOR FAMILY own_ops USING hnsw');
refused("INSERT INTO pg_depend SELECT x.tableoid, x.oid, 0, v.tableoid, v.oid, 0, 'n' FROM pg_extension x, pg_extension v
	WHERE x.extname = 'plpgsql' AND v.extname = 'vector'", $adopt, 'extension "plpgsql" requires extension "vector"',
	'an extension that builds on pgvector',
	"DELETE FROM pg_depend WHERE classid = 'pg_extension'::regclass AND objid = (SELECT oid FROM pg_extension WHERE extname = 'plpgsql')
		AND refclassid = 'pg_extension'::regclass");
refused('CREATE FUNCTION vecidx_vector_l2_support(internal) RETURNS internal LANGUAGE internal AS \'int8inc\'', $adopt,
	'function vecidx_vector_l2_support\(internal\) already exists|already exists with same argument types', 'a function in the way',
	'DROP FUNCTION vecidx_vector_l2_support(internal)');
refused('CREATE SCHEMA other; ALTER EXTENSION vector SET SCHEMA other', $adopt, 'different schemas.*SET SCHEMA other', 'another schema',
	'ALTER EXTENSION vector SET SCHEMA public; DROP SCHEMA other');
for my $tag ('CREATE FUNCTION', 'ALTER TYPE', 'ALTER OPERATOR', 'CREATE OPERATOR CLASS', 'COMMENT', 'DROP FUNCTION', 'ALTER EXTENSION')
{
	my $name = "an error at $tag";
	refused("CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''stopped''; END';
		CREATE EVENT TRIGGER stop ON ddl_command_end WHEN tag IN ('$tag') EXECUTE FUNCTION stop()", "$adopt", 'stopped', $name,
		'DROP EVENT TRIGGER stop; DROP FUNCTION stop()');
}
{
	# a transaction that writes through pgvector
	my $connection = $node->connstr('used');
	like($node->safe_psql('used', "BEGIN; UPDATE items SET v = v WHERE id = 1;
\\! psql -X -d '$connection' -c \"SET lock_timeout = '300ms'\" -c '$adopt' 2>&1
ROLLBACK"), qr/lock timeout/, 'waits for writers');
	same(state_of('used'), $ready, 'waits for writers: nothing has changed');
}
fails('used', 'SET ROLE reader; ALTER EXTENSION vecidx UPDATE', 'must be owner of extension vecidx', 'another user');
same($node->safe_psql('used', $content), $content_before, 'pgvector works after all these');

# 2b. Taken over, while a session has a cursor open on an index.

my $connection = $node->connstr('used');
($status, $out, $error) = $node->psql('used', "SET enable_seqscan = off;
	PREPARE p AS SELECT count(*) FROM items WHERE v <-> '[1,2,3,4]' < 1e9;
	EXECUTE p;
	BEGIN;
	DECLARE c CURSOR FOR SELECT 'id' || id FROM items ORDER BY v <-> '[1,2,3,4]';
	FETCH 1 FROM c;
\\! psql -X -q -d '$connection' -c '$adopt' 2>&1
	FETCH 1 FROM c;
	COMMIT;
	EXECUTE p;", on_error_stop => 0);
like($out, qr/^304\nid\d+\nWARNING: .*hnsw indexes of pgvector are out of use.*\nHINT: .*REINDEX.*\nWARNING: .*ivfflat indexes of pgvector are out of use.*\nHINT: .*REINDEX.*\nid\d+$/s,
	'a cursor goes on');
like($out, qr/public\.$_\b/, "the warning names $_") for (@index_names, @ivf_names, 'hnsw_expression', 'parts_1_v_idx');
like($error, qr/session that has loaded pgvector.*Start a new session/s, 'a session that is older has to be renewed');

is($node->safe_psql('used', "SELECT extversion FROM pg_extension WHERE extname = 'vecidx'"),
	$node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'vecidx'"), 'version');
same($node->safe_psql('used', $identities), $identities_before, 'OIDs and files are the same');
same($node->safe_psql('used', $content), $content_before, 'content is the same');
is( $node->safe_psql('used', "SELECT bool_or(indisvalid), bool_or(indisready), bool_and(indislive), count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
		JOIN pg_am a ON a.oid = relam WHERE amname IN ('hnsw', 'ivfflat') AND relkind = 'i'"),
	'f|f|t|' . (@index_names + 3 + 1 + 2), 'indexes of pgvector are out of use');
is($node->safe_psql('used', "SELECT bool_and(indisvalid AND indisready) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
		JOIN pg_am a ON a.oid = relam WHERE amname = 'btree'"), 't', 'other indexes are in use');
{
	# the function that "depends on extension" is no member
	same(rows($node, 'used', '^vecidx$', @catalogs[ 0 .. $#catalogs - 1 ]),
		rows($node, 'postgres', '^vecidx$', @catalogs[ 0 .. $#catalogs - 1 ]), 'catalogs are those of a fresh vecidx');
}

# 2c. pgvector goes.

$node->safe_psql('used', 'DROP EXTENSION vector');
same($node->safe_psql('used', $content), $content_before, 'content is the same without pgvector');
same($node->safe_psql('used', $identities), $identities_before, 'OIDs and files are the same without pgvector');

# 2d. Before REINDEX: tables can be used.

$node->safe_psql('used', "INSERT INTO items (id, v) SELECT i, ARRAY[i, 1, 2, 3]::vector FROM generate_series(2000, 2020) i;
	UPDATE items SET v = v + '[0,0,0,1]' WHERE id < 10; DELETE FROM items WHERE id BETWEEN 20 AND 30;
	ANALYZE items; INSERT INTO parts VALUES (51, '[5,5]'); DELETE FROM parts WHERE id = 51");
$node->safe_psql('used', 'VACUUM (INDEX_CLEANUP ON) items');
unlike($node->safe_psql('used', "SET enable_seqscan = off; EXPLAIN SELECT id FROM items ORDER BY v <-> '[1,1,1,1]' LIMIT 5"),
	qr/hnsw|ivf/, 'no plan with an index of pgvector');

# Forced into use, the pages are recognised.
for ('hnsw_vector_l2_ops', 'ivf_l2')
{
	$node->safe_psql('used', "UPDATE pg_index SET indisvalid = true, indisready = true WHERE indexrelid = '$_'::regclass");
	fails('used', "SET enable_seqscan = off; SELECT id FROM items ORDER BY v <-> '[1,1,1,1]' LIMIT 5", "$_.*REINDEX",
		"a scan of pgvector's pages: $_");
	fails('used', "INSERT INTO items (id) VALUES (3000)", "$_.*REINDEX", "an insert into pgvector's pages: $_");
	fails('used', "VACUUM (INDEX_CLEANUP ON) items", "$_.*REINDEX", "a VACUUM of pgvector's pages: $_");
	like($node->safe_psql('used', "SELECT problem FROM vecidx_check('$_')"), qr/\S/, "vecidx_check of pgvector's pages: $_");
	$node->safe_psql('used', "UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = '$_'::regclass");
}

# 2e. Rebuilt.

$node->safe_psql('used', "REINDEX INDEX $_") for $index_names[0];
$node->safe_psql('used', "REINDEX INDEX CONCURRENTLY $index_names[1]");
$node->safe_psql('used', 'REINDEX DATABASE used');
is($node->safe_psql('used', 'SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)'), 0, 'all indexes are in use');
for (@index_names, @ivf_names, 'hnsw_expression', 'parts_1_v_idx', 'parts_2_v_idx')
{
	is($node->safe_psql('used', "SELECT * FROM vecidx_check('$_', true) LIMIT 5"), '', "vecidx_check of $_");
}
$node->safe_psql('used', "INSERT INTO items (id, v) SELECT i, ARRAY[i, 1, 2, 3]::vector FROM generate_series(4000, 4020) i;
	DELETE FROM items WHERE id BETWEEN 40 AND 50");
$node->safe_psql('used', 'VACUUM (INDEX_CLEANUP ON) items');
for (@index_names, @ivf_names)
{
	is($node->safe_psql('used', "SELECT * FROM vecidx_check('$_', true) LIMIT 5"), '', "vecidx_check of $_ after changes");
}
my $query = "SELECT id FROM items ORDER BY v <-> '[3,1,2,3]' LIMIT 5";
like($node->safe_psql('used', "SET enable_seqscan = off; EXPLAIN $query"), qr/hnsw_vector_l2_ops|ivf_l2/, 'an index is used again');
is($node->safe_psql('used', "SET enable_seqscan = off; SET hnsw.ef_search = 500; $query"),
	$node->safe_psql('used', "SET enable_indexscan = off; $query"), 'its answer');
SKIP:
{
	skip 'amcheck is not installed', 1
	  if $node->safe_psql('used', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") == 0;
	$node->safe_psql('used', "CREATE EXTENSION amcheck; SELECT bt_index_check(i::regclass, true)
		FROM unnest(ARRAY['bt_v', 'bt_any', 'bt_h', 'bt_s', 'items_v_id_key']) i; DROP EXTENSION amcheck");
	pass('btree indexes that pgvector made are in order');
}

is($node->safe_psql('used', "LOAD 'vecidx'; SHOW hnsw.ef_search; SHOW ivfflat.probes"), "77\n3", 'settings of the database');

# 2f. Dumped and restored, and dumped as it was before.

$node->safe_psql('used', 'REFRESH MATERIALIZED VIEW sums');
my $dump = dump_of('used', '-N', 'old');
my $now = $node->safe_psql('used', $content);
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('restored', 'CREATE EXTENSION vecidx');
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';

	open my $fh, '>', $file or die "$file: $!";
	print $fh $dump;
	close $fh or die "$file: $!";
	$node->safe_psql('restored', "\\i $file");
}
# comments on an extension's members are not dumped
$node->safe_psql('restored', "COMMENT ON TYPE vector IS 'a comment of ours'");
same($node->safe_psql('restored', $content), $now, 'dumped and restored into a fresh vecidx');
$dump_before =~ s/DEPENDS ON EXTENSION vector/DEPENDS ON EXTENSION vecidx/;
same(dump_of('used', '-s', '-N', 'old'), $dump_before, 'the dumped schema is that of pgvector');

# 3. A session of pgvector that is open all the while, and has the index in its
# caches, gets an error, also where no function of the library is called.

make_database('older', "CREATE EXTENSION vector; CREATE TABLE t (id int, v vector(3));
	INSERT INTO t SELECT i, ARRAY[i, 1, 2]::vector FROM generate_series(1, 100) i;
	CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)");
{
	my $other = "\\! psql -X -q -d '" . $node->connstr('older') . "' 2>/dev/null";
	my @late = (
		'EXECUTE p',
		"SELECT id FROM t ORDER BY v <-> '[3,1,2]' LIMIT 1",
		'INSERT INTO t SELECT * FROM t WHERE id = 5',
		'UPDATE t SET v = v WHERE id = 6',
		'VACUUM t');
	my $late = join '', map { "$_;\n" } @late;
	my ($code, $answers, $errors) = $node->psql('older', "SET enable_seqscan = off;
		SET plan_cache_mode = force_generic_plan;
		PREPARE p AS SELECT id FROM t ORDER BY v <-> '[3,1,2]' LIMIT 1;
		EXECUTE p;
		UPDATE t SET v = v WHERE id = 1;
$other -c \"$begin\" -c '$adopt'
$late
$other -c 'DROP EXTENSION vector' -c 'REINDEX INDEX t_v'
$late", on_error_stop => 0);
	is($answers, '3', 'an older session has an answer before, and none after');
	is(scalar(() = $errors =~ /ERROR:  vecidx cannot be loaded into a session that has loaded pgvector/g), 2 * @late, 'but an error for each statement')
	  or diag $errors;
}
is($node->safe_psql('older', "SELECT count(*) FROM t"), 100, 'nothing was written');
is($node->safe_psql('older', "SELECT * FROM vecidx_check('t_v', true)"), '', 'its index');

# 4. pgvector in a schema of its own, which vecidx then has too.

make_database('elsewhere', 'CREATE SCHEMA "In"; CREATE EXTENSION vector SCHEMA "In"; CREATE TABLE t (v "In".vector(2))');
$node->safe_psql('elsewhere', "BEGIN; $begin; $adopt; DROP EXTENSION vector; COMMIT");
is( $node->safe_psql('elsewhere', "SELECT DISTINCT extnamespace::regnamespace, pronamespace::regnamespace FROM pg_extension, pg_proc
		WHERE extname = 'vecidx' AND pg_proc.oid >= 16384"), '"In"|"In"', 'in the schema that pgvector was in');
$node->safe_psql('elsewhere', 'CREATE SCHEMA next; ALTER EXTENSION vecidx SET SCHEMA next');
is($node->safe_psql('elsewhere', "SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'v'"),
	't|next.vector(2)', 'and can be moved');
fails('elsewhere', 'DROP SCHEMA next', 'extension vecidx depends on schema next', 'its schema is known to be needed');

$node->stop;
done_testing();
