
# pg_dump and pg_restore in every form: types, indexes, options, settings and what
# refers to them come back as they were, with the extension in `public` or in a
# schema that no search_path names; from a pgvector database too.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PgvectorNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $directory = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $node = PostgreSQL::Test::Cluster->new('origin');

$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;

# What has an extension create vecidx where the SQL says vector.
my $replace = '-c session_preload_libraries=vecidx -c vecidx.replace_vector=on';

my $rows = 300;

# Blocks and file numbers of all hnsw indexes.
my $index_sizes = "SELECT relname, pg_relation_size(oid), relfilenode FROM pg_class
	WHERE relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND relkind = 'i' ORDER BY 1";

# A table for each type, with an index for each of its hnsw operator classes.
# value: of row i; query: the type's operator classes are tried with it.
my %types = (
	vector => { column => 'vector(8)', value => "ARRAY(SELECT sin(i * d) FROM generate_series(1, 8) d)::NSP.vector" },
	halfvec =>
	  { column => 'halfvec(40)', value => "ARRAY(SELECT sin(i * d) FROM generate_series(1, 40) d)::NSP.halfvec" },
	sparsevec => {
		column => 'sparsevec(1000)',
		value => "(ARRAY(SELECT CASE WHEN d % 25 = 0 THEN sin(i * d) ELSE 0 END FROM generate_series(1, 1000) d)::NSP.vector)::NSP.sparsevec"
	},
	bit => { column => 'bit(64)', value => "(i * 7919::bigint * 7919 * 7919)::bit(64)" });

# The operator classes of hnsw that the node has: type => [class, operator].
sub operator_classes
{
	my ($at, $db) = @_;
	my %classes;

	for (split /\n/, $at->safe_psql(
			$db, "SELECT t.typname, c.opcname, o.oprname
			FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_type t ON t.oid = c.opcintype
				JOIN pg_amop p ON p.amopfamily = c.opcfamily JOIN pg_operator o ON o.oid = p.amopopr
			WHERE a.amname = 'hnsw' AND amoppurpose = 'o' ORDER BY 1, 2"))
	{
		my ($type, $class, $operator) = split /\|/;
		push @{ $classes{$type} }, [ $class, $operator ];
	}
	return %classes;
}

# Tables and indexes that pgvector and vecidx both know.  What names the
# extension's objects says NSP.
sub common_objects
{
	my (%classes) = @_;
	my $sql = '';

	for my $type (sort keys %types)
	{
		my $column = $type eq 'bit' ? $types{$type}{column} : "NSP.$types{$type}{column}";

		$sql .= "CREATE TABLE t_$type (id int PRIMARY KEY, v $column);
			INSERT INTO t_$type SELECT i, $types{$type}{value} FROM generate_series(1, $rows) i;
			INSERT INTO t_$type VALUES (0, NULL);\n";
		$sql .= "CREATE INDEX t_$_->[0] ON t_$type USING hnsw (v NSP.$_->[0]) WITH (m = 8, ef_construction = 48);\n"
		  for @{ $classes{$type} };
	}

	# Types without dimensions, in arrays, composites and domains; extremes.
	$sql .= "
		CREATE DOMAIN unit AS NSP.vector(2) CHECK (NSP.vector_norm(VALUE) < 1.01);
		CREATE TYPE pair AS (v NSP.vector(2), h NSP.halfvec);
		CREATE TABLE various (id int PRIMARY KEY, v NSP.vector, h NSP.halfvec, s NSP.sparsevec, b bit varying,
			a NSP.vector(2)[], p pair, u unit,
			d NSP.vector(3) DEFAULT '[1,2,3]', CHECK (v OPERATOR(NSP.<>) '[0,0]'));
		INSERT INTO various VALUES
			(1, '[1]', '[65504,-65504,6.1e-5]', '{}/5', '', '{}', NULL, '[0,1]'),
			(2, '[3.4028235e38,-1.1754944e-38,1e-45,0.1]', '[6e-8,-0]', '{1000000000:0.1}/1000000000', '101',
				'{\"[1,2]\",NULL,\"[3,4]\"}', ROW('[1,2]', '[3]'), '[0.6,0.8]'),
			(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
			(4, array_fill(0.1::real, ARRAY[16000])::NSP.vector, array_fill(0.1::real, ARRAY[16000])::NSP.halfvec,
				NULL, NULL, NULL, NULL, NULL);
		ALTER TABLE various ALTER v SET STORAGE MAIN, ALTER h SET STORAGE EXTENDED, ALTER v SET STATISTICS 7;

		-- text that no filter of a dump may touch
		CREATE TABLE notes (id int PRIMARY KEY, note text);
		INSERT INTO notes VALUES (1, 'CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA NSP;'),
			(2, E'a\\nCREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA NSP;\\nCOMMENT ON EXTENSION vector IS ''b'';\\n'),
			(3, 'EXTENSION - vector');

		-- what is computed from vectors
		CREATE TABLE computed (id int PRIMARY KEY, v NSP.vector(3) NOT NULL,
			h NSP.halfvec(3) GENERATED ALWAYS AS (v::NSP.halfvec(3)) STORED,
			n NSP.vector(3) GENERATED ALWAYS AS (NSP.l2_normalize(v)) STORED,
			x float8 GENERATED ALWAYS AS (v OPERATOR(NSP.<->) '[1,1,1]') STORED,
			raw real[] GENERATED ALWAYS AS (v::real[]) STORED);
		INSERT INTO computed SELECT i, ARRAY[i, i % 7, 1] FROM generate_series(1, $rows) i;
		CREATE INDEX computed_h ON computed USING hnsw (h NSP.halfvec_l2_ops);
		CREATE INDEX computed_partial ON computed USING hnsw (v NSP.vector_l2_ops)
			WHERE v OPERATOR(NSP.<->) '[0,0,0]' < 100 AND id > 5;
		CREATE INDEX computed_expression ON computed USING hnsw ((raw::NSP.vector(3)) NSP.vector_l1_ops);
		CREATE INDEX computed_cast ON computed USING hnsw ((NSP.subvector(v, 1, 2)::NSP.halfvec(2)) NSP.halfvec_ip_ops);
		CREATE UNIQUE INDEX computed_unique ON computed (v, id);
		CREATE INDEX computed_btree ON computed (h NSP.halfvec_ops DESC);
		CREATE STATISTICS computed_statistics ON v, h FROM computed;
		CREATE RULE computed_rule AS ON UPDATE TO computed WHERE new.v OPERATOR(NSP.=) '[0,0,0]' DO INSTEAD NOTHING;
		CREATE POLICY computed_policy ON computed USING (v OPERATOR(NSP.<=>) '[1,1,1]' < 2);

		CREATE VIEW average AS SELECT id % 3 AS g, NSP.avg(v) AS a, NSP.sum(h) AS s, count(DISTINCT v) AS n
			FROM computed GROUP BY 1;
		CREATE VIEW nearest AS SELECT id, v OPERATOR(NSP.<=>) '[1,2,3]' AS d, v OPERATOR(NSP.+) v AS double,
				v OPERATOR(NSP.||) '[1]' AS longer, v::NSP.sparsevec AS sparse, NSP.binary_quantize(v) AS bits
			FROM computed ORDER BY v OPERATOR(NSP.<->) '[1,2,3]' LIMIT 5;
		CREATE MATERIALIZED VIEW rare AS SELECT id, v FROM computed WHERE id % 2 = 0;
		CREATE INDEX rare_v ON rare USING hnsw (v NSP.vector_cosine_ops);
		CREATE FUNCTION find(q NSP.vector, OUT id int, OUT d float8) RETURNS SETOF record
			BEGIN ATOMIC SELECT id, v OPERATOR(NSP.<->) q FROM computed ORDER BY v OPERATOR(NSP.<->) q LIMIT 5; END;
		CREATE FUNCTION deep(q NSP.vector) RETURNS SETOF int LANGUAGE sql SET hnsw.ef_search = 77
			AS 'SELECT id FROM public.computed ORDER BY v OPERATOR(NSP.<->) \$1 LIMIT 5';
		CREATE AGGREGATE mean(NSP.vector) (SFUNC = NSP.vector_accum, STYPE = float8[], FINALFUNC = NSP.vector_avg,
			COMBINEFUNC = NSP.vector_combine, INITCOND = '{0}', PARALLEL = SAFE);

		CREATE TABLE parts (id int, v NSP.vector(3), PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (200);
		CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
		INSERT INTO parts SELECT i, ARRAY[i, i % 5, 1] FROM generate_series(1, $rows) i;
		CREATE INDEX parts_v ON parts USING hnsw (v NSP.vector_l2_ops) WITH (m = 6);

		CREATE UNLOGGED TABLE passing (id int PRIMARY KEY, v NSP.vector(3));
		INSERT INTO passing SELECT id, v FROM computed;
		CREATE INDEX passing_v ON passing USING hnsw (v NSP.vector_l2_ops);";
	return $sql;
}

# What pgvector has not.
my $own_objects = "
	CREATE TABLE options AS SELECT i AS id, ARRAY(SELECT sin(i * d) FROM generate_series(1, 32) d)::NSP.vector(32) AS v
		FROM generate_series(1, $rows) i;
	CREATE INDEX options_none ON options USING hnsw (v NSP.vector_l2_ops) WITH (quantizer = 'none');
	CREATE INDEX options_sq8 ON options USING hnsw (v NSP.vector_l1_ops) WITH (m = 5, quantizer = sq8);
	CREATE INDEX options_rabitq4 ON options USING hnsw (v NSP.vector_cosine_ops)
		WITH (m = 8, ef_construction = 32, quantizer = 'rabitq4');
	ALTER INDEX options_none SET (m = 12);
	CREATE INDEX options_hash ON options USING hash (v);
	CREATE VIEW parts_of_vectors AS SELECT id, v[1] AS first, v[2:3] AS slice, 2 OPERATOR(NSP.*) v AS twice FROM options;
	ALTER TABLE options ADD last real GENERATED ALWAYS AS (v[32]) STORED;";

my $settings = "ALTER DATABASE DB SET hnsw.ef_search = 123; ALTER DATABASE DB SET hnsw.iterative_scan = relaxed_order;
	ALTER ROLE CURRENT_USER IN DATABASE DB SET hnsw.max_scan_tuples = 5000;";

# Run a program of the server's installation that must succeed without a word.
sub quietly
{
	my ($name, @command) = @_;
	my ($out, $err) = ('', '');

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $done = IPC::Run::run(\@command, '<', File::Spec->devnull, '>', \$out, '2>', \$err);
	return is(($done ? '' : 'failed: ') . $err, '', "$name: @command[0, 1]");
}

sub restore_sql
{
	my ($name, $db, $file, @options) = @_;

	return quietly($name, 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', File::Spec->devnull, @options, '-d', $db, '-f', $file);
}

# Everything that pg_dump knows of a database.  A dump of a restored database is
# the dump that it was restored from, rows included.
sub dumped
{
	my ($db, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'pg_dump', '-d', $node->connstr($db), @options ], '>', \$out, '2>', \$err) or die $err;
	$out =~ s/^\\(un)?restrict .*\n//mg;
	return $out;
}

sub first_difference
{
	my ($left, $right) = @_;
	my @left = split /\n/, $left;
	my @right = split /\n/, $right;

	while (@left && @right && $left[0] eq $right[0]) { shift @left; shift @right; }
	return join "\n", map { substr($_ // 'nothing', 0, 200) } $left[0], $right[0];
}

# The binary form of every value, and what views make of them.
sub values_of
{
	my ($at, $db, $schema) = @_;
	my $sends = join ', ', map { "md5(string_agg(NSP.${_}_send(" . substr($_, 0, 1) . "), '' ORDER BY id))" }
	  qw(vector halfvec sparsevec);
	my $sql = join ';', "SELECT $sends FROM various",
	  map({ "SELECT count(v), md5(string_agg(" . ($_ eq 'bit' ? 'pg_catalog.bit_send' : "NSP.${_}_send") . "(v), '' ORDER BY id)) FROM t_$_" }
		sort keys %types),
	  'SELECT * FROM notes ORDER BY id', 'SELECT * FROM computed ORDER BY id', 'SELECT * FROM various WHERE id < 4 ORDER BY id',
	  'SELECT * FROM average ORDER BY g', 'SELECT * FROM nearest', "SELECT * FROM find('[3,2,1]')", "SELECT deep('[3,2,1]')",
	  'SELECT mean(v) FROM computed', 'SELECT * FROM parts ORDER BY id', 'SELECT * FROM rare ORDER BY id';

	return $at->safe_psql($db, $sql =~ s/NSP/$schema/gr);
}

# Answers to several queries of one session.
sub answers_to
{
	my ($db, $set, @queries) = @_;

	return split /^next\n/m, $node->safe_psql($db, join("SELECT 'next';", $set, @queries)) =~ s/^next\n//r . "\n";
}

# Every hnsw index is sound and, for those of the tables by type, used and right.
sub indexes_ok
{
	my ($db, $schema, $name) = @_;
	my %classes = operator_classes($node, $db);

	is( $node->safe_psql(
			$db, "SELECT c.relname, p.* FROM pg_class c JOIN pg_am a ON a.oid = c.relam,
			LATERAL $schema.vecidx_check(c.oid, true) p WHERE a.amname = 'hnsw' AND c.relkind = 'i' LIMIT 20"),
		'', "$name: vecidx_check of every index");

	my @cases = map { my $type = $_; map { [ "t_$type", 'v', @$_ ] } @{ $classes{$type} } } sort keys %types;
	push @cases, [ 'computed', 'h', 'computed_h', '<->' ], [ 'parts', 'v', 'parts_1_v_idx', '<->' ],
	  [ 'computed', "(raw::$schema.vector(3))", 'computed_expression', '<+>' ];
	my (@queries, @wrong, @unused);
	for my $case (@cases)
	{
		my ($table, $column, $index, $operator) = @$case;
		my $distance = "$column OPERATOR($schema.$operator) (SELECT $column FROM $table WHERE id = 7)";

		push @queries, "SELECT round(($distance)::numeric, 4) FROM $table ORDER BY $distance LIMIT 10;";
	}
	my $use = 'SET enable_sort = off; SET enable_seqscan = off; SET hnsw.ef_search = 400;';
	my $never = 'SET enable_indexscan = off;';
	my @found = answers_to($db, $use, @queries);
	my @truth = answers_to($db, $never, @queries);
	my @plans = answers_to($db, $use, map { "EXPLAIN (COSTS OFF) $_" } @queries);
	for my $i (0 .. $#cases)
	{
		my $index = $cases[$i]->[2];

		push @wrong, "$index:\n$found[$i]not\n$truth[$i]" if $found[$i] ne $truth[$i] || $found[$i] eq '';
		push @unused, "$index:\n$plans[$i]" unless $plans[$i] =~ /Index Scan using (t_)?$index on/;
	}
	is("@wrong", '', "$name: indexes find the nearest rows");
	is("@unused", '', "$name: by " . scalar(@cases) . ' indexes');
	return;
}

my $copies = 0;

# restore: a function that restores into the database of this name.  settings:
# true where they are restored too.
sub round_trip
{
	my ($name, $origin, $schema, %opt) = @_;
	my $db = 'copy' . ++$copies;

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0") unless $opt{creates};
	$opt{restore}->($db);
	$db = $opt{creates} if $opt{creates};

	my ($expected, $found) = ($opt{expected}, dumped($db));
	ok($expected eq $found, "$name: dumps the same again") or diag(first_difference($expected, $found));
	is(values_of($node, $db, $schema), $opt{values}, "$name: the same values");
	indexes_ok($db, $schema, $name);
	return $db;
}

for my $schema ('public', 'elsewhere')
{
	my $origin = "origin_$schema";
	my $plain = "$directory/$schema.sql";
	my $custom = "$directory/$schema.custom";
	my $folder = "$directory/$schema.dir";
	my @dump = ('pg_dump', '-d', $origin);
	my @restore = ('pg_restore', '--exit-on-error');

	$node->safe_psql('postgres', "CREATE DATABASE $origin TEMPLATE template0");
	$node->safe_psql($origin, "CREATE SCHEMA IF NOT EXISTS $schema; CREATE EXTENSION vecidx SCHEMA $schema");
	my $objects = common_objects(operator_classes($node, $origin)) . $own_objects . $settings =~ s/DB/$origin/gr;
	$node->safe_psql($origin, "SET client_min_messages = warning; " . $objects =~ s/NSP/$schema/gr);
	my @same = ($origin, $schema, expected => dumped($origin), values => values_of($node, $origin, $schema));

	indexes_ok($origin, $schema, "in $schema");

	quietly('plain', @dump, '-f', $plain);
	round_trip("plain, $schema", @same, restore => sub { restore_sql('plain', shift, $plain, '-1') });

	quietly('custom', @dump, '-Fc', '-f', $custom);
	round_trip("custom, $schema", @same, restore => sub { quietly('custom', @restore, '-j', 2, '-d', shift, $custom) });

	# The other forms differ in what precedes what, not in what is named how.
	next unless $schema eq 'elsewhere';

	quietly('directory', @dump, '-Fd', '-j', 2, '-f', $folder);
	my $settings_query = "SELECT d.datname, r.rolname, s.setconfig FROM pg_db_role_setting s
		JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole
		WHERE datname = '$origin' ORDER BY 1, 2";
	my $set = $node->safe_psql($origin, $settings_query);
	like($set, qr/hnsw.ef_search=123/, 'the database has settings');
	$node->safe_psql('postgres', "ALTER DATABASE $origin RENAME TO aside");
	round_trip(
		'directory, with its database', @same,
		creates => $origin,
		restore => sub { quietly('directory', @restore, '-C', '-d', 'postgres', $folder) });
	is($node->safe_psql($origin, $settings_query), $set, 'directory: settings of the database and of a role in it');
	is($node->safe_psql($origin, 'SHOW hnsw.ef_search'), '123', 'directory: and they are in force');

	round_trip(
		'sections', @same,
		restore => sub {
			my ($db) = @_;
			quietly("section $_", @restore, '--section', $_, '-d', $db, $custom) for qw(pre-data data post-data);
		});

	# Rows come to indexes that are there.  Neither half fills materialized views.
	quietly('schema', @dump, '--schema-only', '-f', "$plain.schema");
	quietly('data', @dump, '--data-only', '-f', "$plain.data");
	round_trip(
		'schema, then data', @same,
		restore => sub {
			my ($db) = @_;
			restore_sql('schema', $db, "$plain.schema");
			restore_sql('data', $db, "$plain.data");
			$node->safe_psql($db, 'REFRESH MATERIALIZED VIEW rare');
		});

	quietly('inserts', @dump, '--rows-per-insert', 50, '-f', "$plain.inserts");
	round_trip('inserts', @same, restore => sub { restore_sql('inserts', shift, "$plain.inserts") });

	my $alone = dumped($origin, '--extension', 'vecidx');
	like($alone, qr/^CREATE EXTENSION IF NOT EXISTS vecidx WITH SCHEMA elsewhere;$/m, 'pg_dump --extension');

	# The extension moves to another schema, and all follows that is not text.
	$node->safe_psql(
		$origin, "ALTER EXTENSION vecidx SET SCHEMA public;
		CREATE OR REPLACE FUNCTION deep(q public.vector) RETURNS SETOF int LANGUAGE sql SET hnsw.ef_search = 77
			AS 'SELECT id FROM public.computed ORDER BY v OPERATOR(public.<->) \$1 LIMIT 5'");
	is(values_of($node, $origin, 'public'), { @same[ 2 .. $#same ] }->{values}, 'SET SCHEMA: the same values');
	indexes_ok($origin, 'public', 'SET SCHEMA');
	quietly('after SET SCHEMA', @dump, '-f', "$plain.moved");
	$node->safe_psql('postgres', 'CREATE DATABASE moved TEMPLATE template0');
	restore_sql('after SET SCHEMA', 'moved', "$plain.moved", '-1');
	is(values_of($node, 'moved', 'public'), { @same[ 2 .. $#same ] }->{values}, 'after SET SCHEMA: the same values');
}

# COPY in binary, out and in.
for my $table (map({ "t_$_" } sort keys %types), 'various')
{
	$node->safe_psql('origin_public', "COPY $table TO '$directory/$table.bin' (FORMAT binary);
		CREATE TABLE back (LIKE $table INCLUDING ALL); COPY back FROM '$directory/$table.bin' (FORMAT binary)");
	is( $node->safe_psql('origin_public', "SELECT count(*), count(*) FILTER (WHERE before::text IS DISTINCT FROM after::text)
			FROM $table before FULL JOIN back after USING (id)") =~ s/\|0$//r,
		$node->safe_psql('origin_public', "SELECT count(*) FROM $table"), "$table: binary COPY");
	is( $node->safe_psql(
			'origin_public', "SELECT p.* FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam,
			vecidx_check(c.oid, true) p WHERE indrelid = 'back'::regclass AND a.amname = 'hnsw'"),
		'', "$table: vecidx_check after binary COPY");
	$node->safe_psql('origin_public', 'DROP TABLE back');
}

# vecidx.replace_vector: off, CREATE EXTENSION vector is what it was; on, it makes vecidx.
{
	my ($status, $out, $error);
	my $info = 'SELECT extname, nspname, obj_description(e.oid) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace
		WHERE extname <> \'plpgsql\'';

	$node->safe_psql('postgres', 'CREATE DATABASE named TEMPLATE template0');
	($status, $out, $error) = $node->psql('named', "LOAD 'vecidx'; CREATE EXTENSION vecidx; CREATE EXTENSION vector");
	like($error, qr/ERROR:  (extension "vector" is not available|type "vector" already exists)/,
		'off: CREATE EXTENSION vector does not concern vecidx');
	$node->safe_psql('named', 'DROP EXTENSION vecidx');

	my $on = "LOAD 'vecidx'; SET vecidx.replace_vector = on;";
	($status, $out, $error) = $node->psql(
		'named', "$on CREATE SCHEMA s; CREATE EXTENSION vector SCHEMA s VERSION '0.8.0'; COMMENT ON EXTENSION vector IS 'other'; $info");
	is("$status $out", '0 vecidx|s|vector data type, distances and nearest-neighbour indexes', 'on: it makes vecidx');
	like($error, qr/NOTICE:  creating extension "vecidx" in place of "vector"/, 'on: and says so');

	# the statement of a cached plan stays what it was
	($status, $out, $error) = $node->psql(
		'named', "$on CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE EXTENSION IF NOT EXISTS vector; END';
		SELECT f(); SELECT f(); DROP EXTENSION vecidx; SELECT f(); SELECT f();
		SET vecidx.replace_vector = off; SELECT f()");
	like($error, qr/extension "vecidx" already exists, skipping.*creating extension "vecidx".*ERROR:  .*"vector"/s,
		'on: in a function');
	($status, $out, $error) = $node->psql('named', "$on CREATE EXTENSION vector; CREATE EXTENSION vector");
	like($error, qr/ERROR:  extension "vecidx" already exists/, 'on: not twice');
	($status, $out, $error) = $node->psql('named', "$on ALTER EXTENSION vector UPDATE TO '0.8.6'; SELECT extversion <> '0.8.6' FROM pg_extension WHERE extname = 'vecidx'");
	is("$status $out", '0 t', 'on: an update of vector leaves vecidx as it is');
	like($error, qr/NOTICE:  extension "vector" is "vecidx" here and stays as it is/, 'on: and says so');
	($status, $out, $error) = $node->psql('named', "$on DROP EXTENSION vector");
	like($error, qr/ERROR:  extension "vector" does not exist/, 'on: nothing else is renamed');
}

# Dumps of pgvector databases.  A dump can be restored by the same or a later
# PostgreSQL only.
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;
my $tried = 0;
my @pgvector = pgvector_nodes();
for my $pgvector (grep { $_->{major} <= $major } @pgvector)
{
	for my $schema ('public', 'extensions')
	{
		my $name = "$pgvector->{name}, in $schema";
		my $from = $pgvector->{node};
		my $db = 'moving_' . $schema . ++$tried;
		my $file = "$directory/$db";

		$from->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
		$from->safe_psql($db, "CREATE SCHEMA IF NOT EXISTS $schema; CREATE EXTENSION vector SCHEMA $schema");
		my %theirs = operator_classes($from, $db);
		my %ours = operator_classes($node, 'origin_public');
		for my $type (keys %theirs)
		{
			my %known = map { $_->[0] => 1 } @{ $ours{$type} };
			$theirs{$type} = [ grep { $known{ $_->[0] } } @{ $theirs{$type} } ];
		}
		my $objects = common_objects(%theirs) . $settings =~ s/DB/$db/gr;
		$from->safe_psql($db, "SET client_min_messages = warning; " . $objects =~ s/NSP/$schema/gr);
		my $expected = values_of($from, $db, $schema);

		# The command of docs/moving.md, for archives and for SQL.
		my @dump = ('pg_dump', '-d', $from->connstr($db));
		quietly($name, @dump, '-Fc', '-f', "$file.custom");
		quietly($name, @dump, '-C', '-f', "$file.sql");
		quietly($name, @dump, '--inserts', '-f', "$file.inserts");
		$node->safe_psql('postgres', "CREATE DATABASE ${db}_$_ TEMPLATE template0") for qw(custom inserts);
		local $ENV{PGOPTIONS} = $replace;
		quietly($name, 'pg_restore', '--exit-on-error', '-j', 2, '-d', "${db}_custom", "$file.custom");
		restore_sql($name, 'postgres', "$file.sql");
		restore_sql($name, "${db}_inserts", "$file.inserts", '-1');
		delete $ENV{PGOPTIONS};

		for my $to ($db, "${db}_custom", "${db}_inserts")
		{
			is(values_of($node, $to, $schema), $expected, "$name: $to has the same values");
			indexes_ok($to, $schema, "$name, $to");
		}
		is($node->safe_psql($db, 'SHOW hnsw.ef_search'), '123', "$name: settings of the database");
	}
}
$_->{node}->stop for @pgvector;

SKIP:
{
	skip(@pgvector ? "pgvector only on a later PostgreSQL than $major" : $PGVECTOR_ABSENT, 1) unless $tried;
	pass('with pgvector');
}

# pg_upgrade takes the files of indexes over as they are; where the version is the
# same, what it does is the same.
{
	my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
	my $bin = $node->config_data('--bindir');
	my @kept = ('origin_public', 'origin_elsewhere');
	my %schema = (origin_public => 'public', origin_elsewhere => 'public');

	for my $db (split /\n/, $node->safe_psql('postgres', "SELECT datname FROM pg_database WHERE NOT datistemplate"))
	{
		$node->safe_psql('postgres', "DROP DATABASE $db") unless $db eq 'postgres' || $schema{$db};
	}
	my %dumped = map { $_ => dumped($_) } @kept;
	my %values = map { $_ => values_of($node, $_, $schema{$_}) } @kept;
	my %sizes = map { $_ => $node->safe_psql($_, $index_sizes) } @kept;

	$node->stop;
	$upgraded->init;
	my $here = getcwd();
	my @directories = map { File::Spec->rel2abs($_->data_dir) } $node, $upgraded;
	chdir $directory or die $!;
	command_ok(
		[   'pg_upgrade', '--no-sync', '--link', '-d', $directories[0], '-D', $directories[1], '-b', $bin, '-B', $bin,
			'-s', $upgraded->host, '-p', $node->port, '-P', $upgraded->port ],
		'pg_upgrade');
	chdir $here or die $!;
	$upgraded->start;
	$node = $upgraded;
	for my $db (@kept)
	{
		ok(dumped($db) eq $dumped{$db}, "pg_upgrade, $db: dumps the same again");
		is(values_of($node, $db, $schema{$db}), $values{$db}, "pg_upgrade, $db: the same values");
		is($node->safe_psql($db, $index_sizes), $sizes{$db}, "pg_upgrade, $db: the same files");
		indexes_ok($db, $schema{$db}, "pg_upgrade, $db");
		$node->safe_psql($db, 'INSERT INTO computed SELECT id + 1000, v FROM computed; DELETE FROM parts WHERE id % 2 = 1; VACUUM parts');
		indexes_ok($db, $schema{$db}, "pg_upgrade, $db, changed");
	}
}

$node->stop;
done_testing();
