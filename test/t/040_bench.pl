
# The benchmark programs measure what they say they do, on small tables of this server: figures of every
# kind in the JSON, pictures that open, and messages that say what to do.
# Needs Python with numpy and psycopg2; h5py and matplotlib where they are installed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my ($python) = grep { run_log([ $_, '-c', 'import numpy, psycopg2' ], '>', \my $out, '2>', \my $err) } qw(/usr/bin/python3 python3);
plan(skip_all => 'no python3 with numpy and psycopg2 (python3-numpy, python3-psycopg2)') if !$python;

sub has_module
{
	my ($module) = @_;
	return run_log([ $python, '-c', "import $module" ], '>', \my $out, '2>', \my $err);
}

my $bench = "$FindBin::RealBin/../bench";
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('bench');
my @server = ('--dsn', $node->connstr('postgres'));
my @index = ('--extensions', 'vecidx', '--seconds', 1, '--rounds', 1);
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{MPLCONFIGDIR} = $dir;

# pgbench is looked for in PATH, and there is no reason for another server's.
my $bindir = $node->config_data('--bindir');
$ENV{PATH} = "$bindir:$ENV{PATH}";

# Runs a program; its exit status and what it wrote.
sub bench
{
	my ($program, @args) = @_;
	my $done = run_log([ $python, "$bench/$program", @args ], '>', \my $out, '2>', \my $err);
	return ($done, $out, $err);
}

sub result { return decode_json(slurp_file("$dir/$_[0]")); }

# What is true of every rate: a number above 0, and latencies in order.
sub rate_ok
{
	my ($entry, $rate, $name) = @_;
	ok($entry->{$rate} > 0 && 0 < $entry->{p50_ms} && $entry->{p50_ms} <= $entry->{p99_ms}, "$name: $rate, p50, p99")
	  or diag(encode_json($entry));
	return;
}

# Data: rows of small whole numbers in float16, as a .npy and as ann-benchmarks writes an .hdf5.
my $have_h5py = has_module('h5py');
run_log([ $python, '-c', <<'PYTHON', $dir, $have_h5py ? 1 : 0 ]) or die "no data";
import sys
import numpy as np
folder, hdf5 = sys.argv[1], sys.argv[2] == "1"
rng = np.random.default_rng(1)
base, query = (rng.integers(-20, 20, (n, 16)).astype(np.float16) for n in (1000, 40))
np.save(folder + "/base.npy", base)
np.save(folder + "/query.npy", query)
if hdf5:
    import h5py
    with h5py.File(folder + "/small.hdf5", "w") as f:
        f["train"], f["test"] = base.astype("f4"), query.astype("f4")
        f.attrs["distance"] = "euclidean"
PYTHON

# ---- comparison, everything once
my ($done, $out, $err) = bench('compare.py', @server, @index, '--base', "$dir/base.npy", '--query', "$dir/query.npy",
	'--clients', '1,2', '--ef-list', '10,200', '--inserts', 20, '--updates', 20, '--vacuum', 0.2,
	'--json', "$dir/compare.json", '--picture', "$dir/compare.svg");
ok($done, 'compare.py') or BAIL_OUT($err);
my $r = result('compare.json');
is(join(' ', @$r{qw(kind rows dimensions queries metric)}), 'compare 1000 16 40 cosine', 'compare.py: what was measured');
ok($r->{complete}, 'compare.py: complete');
my $t = $r->{targets}[0];
my $build = $t->{builds}[0];
ok(!(grep { !($build->{$_} > 0) } qw(seconds us_per_row bytes wal_bytes wal_bytes_per_row)), 'compare.py: build')
  or diag(encode_json($build));
is(join(' ', map { "$_->{clients}:$_->{effort}" } @{ $t->{points} }), '1:10 1:200 2:10 2:200', 'compare.py: a point for each ef and number of clients');
rate_ok($_, 'qps', "compare.py, ef $_->{effort}, $_->{clients} clients") for @{ $t->{points} };
# ef 200 of 1000 rows finds nearly all, ef 10 does not
cmp_ok($t->{points}[1]{recall}, '>=', 0.99, 'compare.py: recall with a large ef');
cmp_ok($t->{points}[0]{recall}, '<', $t->{points}[1]{recall}, 'compare.py: recall rises with ef');
for my $kind (qw(inserts updates))
{
	is(join(' ', map { "$_->{clients}:$_->{rows}" } @{ $t->{$kind}{phases} }), '1:20 2:20', "compare.py: $kind");
	rate_ok($_, 'per_second', "compare.py, $kind") for @{ $t->{$kind}{phases} };
	# at least the row itself, but for what the new version has in common with the old one
	cmp_ok($_->{wal_bytes_per_row}, '>', 50, "compare.py, $kind: WAL of a row") for @{ $t->{$kind}{phases} };
	cmp_ok($t->{$kind}{recall_after}, '>=', 0.99, "compare.py: recall after $kind");
}
ok($t->{vacuum}{deleted} > 100 && $t->{vacuum}{seconds} > 0 && $t->{vacuum}{wal_bytes} > 0, 'compare.py: VACUUM');
cmp_ok($t->{vacuum}{recall_after}, '>=', 0.99, 'compare.py: recall after VACUUM');
like($out, qr/^\| queries\/s at recall 0\.90, 2 clients +\| +\d+ \|$/m, 'compare.py: table');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'vecidx\\_compare%'"), 0,
	'compare.py: databases dropped');

# ---- other access methods, side by side
($done, $out, $err) = bench('compare.py', @server, '--extensions', 'vecidx/ivfpq,vecidx/ivfflat:lists=10', '--seconds', 1, '--rounds', 1,
	'--base', "$dir/base.npy", '--query', "$dir/query.npy", '--probes-list', '1,10', '--json', "$dir/lists.json", '--picture', "$dir/lists.svg");
ok($done, 'compare.py, lists') or diag($err);
for my $list (@{ result('lists.json')->{targets} })
{
	is("$list->{knob} " . join(' ', map { $_->{effort} } @{ $list->{points} }), "$list->{method}.probes 1 10", "$list->{method}: its setting");
	cmp_ok($list->{points}[1]{recall}, '>=', 0.99, "$list->{method}: recall with many probes");
	rate_ok($_, 'qps', "$list->{method}, $_->{effort} probes") for @{ $list->{points} };
}

# ---- growth
($done, $out, $err) = bench('growth.py', @server, @index, '--base', 'synthetic:600x16', '--queries', 20, '--sizes', '200,600',
	'--recall', 0.9, '--type', 'halfvec', '--json', "$dir/growth.json", '--picture', "$dir/growth.svg");
ok($done, 'growth.py') or diag($err);
$r = result('growth.json');
is(join(' ', map { $_->{rows} } @{ $r->{targets}[0]{sizes} }), '200 600', 'growth.py: sizes');
for my $size (@{ $r->{targets}[0]{sizes} })
{
	rate_ok($size, 'qps', "growth.py, $size->{rows} rows");
	cmp_ok($size->{build_us_per_row}, '>', 0, "growth.py, $size->{rows} rows: build");
	cmp_ok($size->{points}[-1]{recall}, '>=', 0.9, "growth.py, $size->{rows} rows: recall reached");
}

# ---- conditions
my $cells = '100,10,0.01,two,own,farthest,tenant40,tags';
($done, $out, $err) = bench('filters.py', @server, '--targets', 'vecidx/hnsw:filters=index,vecidx/ivfpq:lists=10', '--ef', 200, '--probes', 10, '--seconds', 0.01, '--rounds', 1, '--plans', 5,
	'--base', "$dir/base.npy", '--query', "$dir/query.npy", '--queries', 20, '--cells', $cells, '--columns', 'u,topic,tenant,ts,tags',
	'--json', "$dir/filters.json", '--picture', "$dir/filters.svg");
ok($done, 'filters.py') or diag($err);
$r = result('filters.json');
is("$r->{kind} $r->{rows} $r->{queries} " . scalar(@{ $r->{targets} }), 'filters 1000 20 2', 'filters.py: what was measured');
for my $target (@{ $r->{targets} })
{
	is(join(',', map { $_->{cell} } @{ $target->{cells} }), $cells, "filters.py, $target->{target}: cells");
	for my $cell (@{ $target->{cells} })
	{
		my ($best, $plans, $name) = (@$cell{qw(best plans)}, "filters.py, $target->{target}, $cell->{title}");
		rate_ok({ %$best, p99_ms => $best->{p50_ms} }, 'qps', $name);
		ok($best->{recall} >= 0.95 && $best->{short} == 0, "$name: recall and rows") or diag(encode_json($best));
		ok($best->{buffers}{hit} + $best->{buffers}{read} > 0, "$name: pages");
		is($plans->{'vector index'}{plan}, 'vector index', "$name: the vector index forced");
		like($plans->{'btree and sort'}{plan}, qr/^(bitmap|btree)$/, "$name: no vector index, a btree forced");
		is($plans->{'seq scan and sort'}{plan}, 'seq scan', "$name: a sequential scan forced");
		ok($plans->{chosen}{ratio} > 0 && exists $plans->{ $cell->{fastest} }, "$name: chosen and fastest");
	}
}
# a tenth of the rows, a hundredth where two have to hold, and 0.4 of them the largest tenant's, give or take
my %matching = map { $_->{cell} => $_->{matching_rows} } @{ $r->{targets}[0]{cells} };
for my $case ([ 100, 1000, 1000 ], [ 10, 60, 150 ], [ 'two', 1, 40 ], [ 'tenant40', 300, 500 ], [ 'tags', 5, 30 ])
{
	my ($name, $least, $most) = @$case;
	cmp_ok($matching{$name}, '>=', $least, "filters.py, $name: rows that match");
	cmp_ok($matching{$name}, '<=', $most, "filters.py, $name: not more");
}
like($out, qr/^\| 100 % +\| +vecidx\/hnsw:filters=index \| +ef 200 \| +[01]\.\d+ \| 0 of 20 \|/m, 'filters.py: table');

# ---- tenants
($done, $out, $err) = bench('tenants.py', @server, '--targets', 'vecidx/hnsw:filters=index,vecidx/ivfpq:filters=index:tenant=uuid,vecidx/ivfflat:filters=index:tenant=text',
	'--base', "$dir/base.npy", '--query', "$dir/query.npy", '--tenants', 200, '--order', 'bursts', '--asked', 12, '--ef', 100, '--clients', '1,2',
	'--seconds', 0.5, '--rounds', 1, '--inserts', 20, '--json', "$dir/tenants.json");
ok($done, 'tenants.py') or diag($err);
$r = result('tenants.json');
is("$r->{kind} $r->{rows} " . scalar(@{ $r->{targets} }), 'tenants 1000 3', 'tenants.py: what was measured');
for my $target (@{ $r->{targets} })
{
	my $name = "tenants.py, $target->{target}";
	is($target->{classes}[0]{class} . ' ' . $target->{classes}[-1]{class}, 'large none', "$name: classes");
	for my $class (@{ $target->{classes} })
	{
		my $best = $class->{best};
		ok($best->{recall} >= 0.95 && $best->{short} == 0 && $best->{queries} == 12, "$name, $class->{title}: recall and rows") or diag(encode_json($best));
		is(join(' ', map { $_->{way} } @{ $class->{points} }), 'planner index', "$name, $class->{title}: ways");
		is(join(' ', keys %{ $class->{points}[1]{plans} }), 'vector index', "$name, $class->{title}: the vector index forced");
		rate_ok($_, 'qps', "$name, $class->{title}, $_->{way}") for @{ $class->{points} };
	}
	is(join(' ', map { $_->{clients} } @{ $target->{clients} }), '1 2', "$name: clients");
	rate_ok($_, 'qps', "$name, $_->{clients} clients") for @{ $target->{clients} };
	is($target->{walk}{tenants}, 1200, "$name: all tenants in one session");
	rate_ok($_, 'per_second', "$name: inserts of $_->{clients} clients") for @{ $target->{inserts} };
}
like($out, qr/^\| none +\| +vecidx\/ivfpq:filters=index:tenant=uuid \| +planner \| +probes 0 \| +1\.0000 \| 0 of 12 \|/m, 'tenants.py: table');

# ---- pictures
SKIP:
{
	skip('no matplotlib (python3-matplotlib)', 4) if !has_module('matplotlib.figure');
	for my $name (qw(compare growth filters))
	{
		my $svg = slurp_file("$dir/$name.svg");
		ok($svg =~ /<svg.*>vecidx 0\..*<\/svg>/s && length($svg) < 100_000, "$name.svg: " . length($svg) . ' bytes');
	}
	bench('picture.py', "$dir/compare.json", "$dir/again.svg");
	ok(slurp_file("$dir/again.svg") eq slurp_file("$dir/compare.svg"), 'picture.py draws the same from the JSON');
}

# ---- .hdf5: the metric and the queries are its own
SKIP:
{
	skip('no h5py (python3-h5py)', 2) if !$have_h5py;
	($done, $out, $err) = bench('growth.py', @server, @index, '--base', "$dir/small.hdf5", '--recall', 0.5, '--json', "$dir/hdf5.json");
	ok($done, 'growth.py reads .hdf5') or diag($err);
	$r = result('hdf5.json');
	is(join(' ', @$r{qw(data rows queries metric)}), 'small 1000 40 l2', '.hdf5: rows, queries and metric of the file');
}

# ---- optional packages that are not there, and mistakes: what to do is said
mkdir "$dir/without";
append_to_file("$dir/without/$_.py", "raise ImportError('hidden')\n") for qw(h5py matplotlib tqdm);
{
	local $ENV{PYTHONPATH} = "$dir/without";
	# in a private cluster this time
	($done, $out, $err) = bench('growth.py', '--pg-config', "$bindir/pg_config", '--shared-buffers', '16MB', @index,
		'--base', "$dir/base.npy", '--queries', 10, '--rows', 300, '--sizes', 300,
		'--recall', 0.5, '--json', "$dir/without.json", '--picture', "$dir/without.svg");
	ok($done, 'in a cluster of its own, without matplotlib and tqdm') or diag($err);
	like($err, qr/no picture will be drawn: .*apt-get install python3-matplotlib/, 'without matplotlib: a message');
	ok(!-e "$dir/without.svg" && result('without.json')->{complete}, 'without matplotlib: figures but no picture');
	append_to_file("$dir/x.hdf5", '');
	like((bench('compare.py', @server, '--base', "$dir/x.hdf5"))[2], qr/apt-get install python3-h5py/, 'without h5py: a message');
}
for my $case (
	[ qr/no file .*nowhere/, '--base', 'nowhere.npy' ],
	[ qr/is not a \.npy file/, '--base', "$FindBin::RealBin/040_bench.pl" ],
	[ qr/less than half of the 1000/, '--base', "$dir/base.npy", '--query', "$dir/query.npy", '--inserts', 400, '--ef-list', 20, @index ],
	[ qr/extensions known are vecidx and vector/, '--base', "$dir/base.npy", '--extensions', 'other' ])
{
	my ($message, @args) = @$case;
	($done, $out, $err) = bench('compare.py', @server, '--clients', '1,2', @args);
	ok(!$done && $err =~ $message && $err !~ /Traceback/, "message $message") or diag($err);
}

$node->stop;
done_testing();
