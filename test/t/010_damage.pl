
# Damaged index files: scans, inserts, VACUUM and vecidx_check must name the
# damage or go on, and neither crash nor run for ever.
#
# A round damages one index of each of many tables while the server is down, a
# mutation of its own in each.  Tables and indexes are put back from copies
# before every round.  VECIDX_DAMAGE_SEED repeats a run, VECIDX_DAMAGE_ROUNDS
# makes it longer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $BLOCK = 8192;
my $SPECIAL = $BLOCK - 16;
my $rounds = $ENV{VECIDX_DAMAGE_ROUNDS} // 6;
my $seed = $ENV{VECIDX_DAMAGE_SEED} // 1;

# On disk: src/index/page.h.
my %KIND = (
	meta => 1, centre => 2, code => 3, adjacency => 4, extra => 5,
	trained => 6, directory => 7, centroid => 8, list => 9, filter => 10);

# What may be answered.  XX002: vecidx found damage; XX001: PostgreSQL did, in
# a page that it could not read; 0A000: the damage looks like another format
# version.  A block far past a file's end (of the table, for a wrong TID) has
# PostgreSQL report what errno happens to say, but in these words.
sub answer_allowed
{
	return shift =~ /^(?:XX002|XX001|0A000): |^\w+: could not open file .*previous segment is only/;
}

my $rand = 0;

sub seed_rand { $rand = shift() % 2147483646 + 1; return; }

# 0 .. n - 1
sub rnd
{
	my $n = shift;
	$rand = $rand * 48271 % 2147483647;
	return int($rand / 2147483647 * $n);
}

sub pick { return $_[ rnd(scalar @_) ]; }

# 32 bits that are often wrong in an interesting way
sub wild
{
	return pick(0, 1, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, rnd(700), rnd(5000), rnd(65536) * 65536 + rnd(65536));
}

# ---- Mutations: each takes the file's contents (a reference) and returns
# what it did, or nothing if the file gives no occasion.  The second value is
# true if vecidx_check has to see it. ----

sub nblocks { return int(length(${ $_[0] }) / $BLOCK); }
sub kind_of { return unpack('x4 v', substr(${ $_[0] }, $_[1] * $BLOCK + $SPECIAL, 16)); }

sub blocks_of
{
	my ($file, $kind) = @_;
	return grep { kind_of($file, $_) == $KIND{$kind} } 0 .. nblocks($file) - 1;
}

sub some_block
{
	my $file = shift;
	my @blocks;
	@blocks = blocks_of($file, pick(sort keys %KIND)) until @blocks;
	return pick(@blocks);
}

# items of an extra page: [offset number, place in the file, length]
sub items
{
	my ($file, $block) = @_;
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));
	my @items;

	for my $i (0 .. ($lower - 24) / 4 - 1)
	{
		my $lp = unpack('V', substr($$file, $block * $BLOCK + 24 + 4 * $i, 4));
		push @items, [ $i + 1, $block * $BLOCK + ($lp & 0x7FFF), $lp >> 17 ] if ($lp >> 15 & 3) == 1;
	}
	return @items;
}

sub item_pointer { my ($block, $offset) = @_; return pack('vvv', $block >> 16, $block & 0xFFFF, $offset); }

sub random_bytes
{
	my $file = shift;
	my $block = some_block($file);
	my $n = 1 + rnd(64);
	my $at = rnd($BLOCK - $n);

	substr($$file, $block * $BLOCK + $at, $n) = pack('C*', map { rnd(256) } 1 .. $n);
	return "$n random bytes at $at of block $block";
}

sub random_page
{
	my $file = shift;
	my $block = some_block($file);

	# with a special area that says what it said
	substr($$file, $block * $BLOCK + 24, $SPECIAL - 24) = pack('C*', map { rnd(256) } 25 .. $SPECIAL);
	return "random contents of block $block";
}

sub bit_flip
{
	my $file = shift;
	my $block = some_block($file);
	my $at = $block * $BLOCK + rnd($BLOCK);

	substr($$file, $at, 1) = chr(ord(substr($$file, $at, 1)) ^ 1 << rnd(8));
	return "one bit at $at";
}

sub zeroed_page
{
	my $file = shift;
	my $block = some_block($file);

	substr($$file, $block * $BLOCK, $BLOCK) = "\0" x $BLOCK;
	return ("block $block zeroed", 1);
}

sub swapped_pages
{
	my $file = shift;
	my ($a, $b) = (some_block($file), some_block($file));
	my $seen = $a != $b;
	my $page = substr($$file, $a * $BLOCK, $BLOCK);

	substr($$file, $a * $BLOCK, $BLOCK) = substr($$file, $b * $BLOCK, $BLOCK);
	substr($$file, $b * $BLOCK, $BLOCK) = $page;
	return ("blocks $a and $b swapped", $seen);
}

sub copied_page
{
	my $file = shift;
	my ($a, $b) = (some_block($file), some_block($file));

	substr($$file, $a * $BLOCK, $BLOCK) = substr($$file, $b * $BLOCK, $BLOCK);
	return ("block $b copied over block $a", $a != $b);
}

sub wrong_links
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'adjacency'));
	my $size = unpack('V', substr($$file, 24 + 40, 4));
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));
	my $n = int(($lower - 24) / $size);
	my @done;

	for (1 .. 1 + rnd(4))
	{
		my $slot = rnd($n);
		my $link = rnd(($size - 24) / 4);
		my $value = wild();
		substr($$file, $block * $BLOCK + 24 + $slot * $size + 24 + 4 * $link, 4) = pack('V', $value);
		push @done, "slot $slot link $link = $value";
	}
	return "block $block: " . join(', ', @done);
}

# a link in use to a node that cannot be
sub impossible_link
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'adjacency'));
	my $size = unpack('V', substr($$file, 24 + 40, 4));
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));
	my @used = grep {
		my ($state, $level, $nlinks) = unpack('CCC', substr($$file, $block * $BLOCK + 24 + $_ * $size + 20, 3));
		$state == 1 && $nlinks > 0
	} 0 .. int(($lower - 24) / $size) - 1;
	return unless @used;
	my $slot = pick(@used);

	substr($$file, $block * $BLOCK + 24 + $slot * $size + 24, 4) = pack('V', pick(0xFFFFFFFF, 0xFFFFFFF0, 10_000_000));
	return ("block $block slot $slot: a link to nowhere", 1);
}

# state, level, numbers of links, pointers to items
sub adjacency_header
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'adjacency'));
	my $size = unpack('V', substr($$file, 24 + 40, 4));
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));
	my $slot = rnd(int(($lower - 24) / $size));
	my $at = 2 + rnd(21);

	substr($$file, $block * $BLOCK + 24 + $slot * $size + $at, 1) = chr(pick(0, 1, 2, 3, 255, rnd(256)));
	return "block $block slot $slot: header byte $at";
}

# a pointer to items that leads to a page which its follower has locked: the
# metapage, or the very one
sub pointer_home
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'adjacency'));
	my $size = unpack('V', substr($$file, 24 + 40, 4));
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));
	my @used = grep { unpack('C', substr($$file, $block * $BLOCK + 24 + $_ * $size + 20, 1)) == 1 } 0 .. int(($lower - 24) / $size) - 1;
	return unless @used;
	my $slot = pick(@used);
	my $at = pick(2, 8);
	my $to = pick(0, $block);

	substr($$file, $block * $BLOCK + 24 + $slot * $size + $at, 6) = item_pointer($to, 1 + rnd(3));
	return ("block $block slot $slot: " . ($at == 2 ? 'upper links' : 'TIDs') . " in block $to", 1);
}

# The chunk of a chain points back to itself or to one before it.
sub ring
{
	my $file = shift;
	my %chunks;

	for my $block (blocks_of($file, 'extra'))
	{
		for my $item (items($file, $block))
		{
			my ($node, $kind) = unpack('VC', substr($$file, $item->[1], 8));
			push @{ $chunks{$node} }, [ $block, @$item ] if $kind == 2;
		}
	}
	return unless %chunks;
	my ($longest) = sort { @{ $chunks{$b} } <=> @{ $chunks{$a} } || $a <=> $b } keys %chunks;
	my $chain = $chunks{ rnd(3) ? $longest : pick(sort keys %chunks) };
	my ($from, $to) = (pick(@$chain), pick(@$chain));
	# the pointer that is there may be the very one
	my $pointer = item_pointer($to->[0], $to->[1]);
	return if substr($$file, $from->[2] + 8, 6) eq $pointer;

	substr($$file, $from->[2] + 8, 6) = $pointer;
	return ("chunk ($from->[0],$from->[1]) of " . @$chain . " points to ($to->[0],$to->[1])", 1);
}

sub item_bytes
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'extra'));
	my @items = items($file, $block);
	return unless @items;
	my $item = pick(@items);
	my $at = rnd(24 < $item->[2] ? 24 : $item->[2]);

	substr($$file, $item->[1] + $at, 1) = chr(rnd(256));
	return "block $block item $item->[0]: byte $at";
}

sub line_pointer
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'extra'));
	my @items = items($file, $block);
	return unless @items;
	my $item = pick(@items);

	substr($$file, $block * $BLOCK + 24 + 4 * ($item->[0] - 1), 4) =
	  pick(pack('V', wild()), pack('V', rnd($BLOCK) | 1 << 15 | rnd(2000) << 17), "\0\0\0\0");
	return "block $block: line pointer $item->[0]";
}

sub page_header
{
	my $file = shift;
	my $block = some_block($file);
	my $at = pick(10, 12, 14, 16, 18);

	substr($$file, $block * $BLOCK + $at, 2) = pack('v', pick(0, 1, 24, 28, 8176, 8192, 65535, rnd(8192)));
	return "block $block: header field at $at";
}

sub special_area
{
	my $file = shift;
	my $block = some_block($file);
	my $at = pick(0, 4, 6, 8);

	substr($$file, $block * $BLOCK + $SPECIAL + $at, 2) = pack('v', pick(0, 1, 2, 3, 4, 5, 6, 65535, rnd(65536)));
	return "block $block: special area at $at";
}

sub meta_field
{
	my $file = shift;
	my $at = rnd(2) ? 4 * rnd(22) : 4 * rnd(40);
	# the extents of adjacency pages, and of filter pages
	my $map = 88 + pick(1, 2) * (8 + 250 * 8);

	$at = $map + 4 * rnd(20) if rnd(4) == 0;
	substr($$file, 24 + $at, 4) = pack('V', wild());
	return "metapage: field at $at";
}

# Other values of filter columns: only the table says that they are wrong.
sub filter_values
{
	my $file = shift;
	my @blocks = blocks_of($file, 'filter');
	return bit_flip($file) unless @blocks;
	my $block = pick(@blocks);
	my $lower = unpack('v', substr($$file, $block * $BLOCK + 12, 2));

	substr($$file, $block * $BLOCK + 24, $lower - 24) ^= "\xFF" x ($lower - 24);
	return ("block $block: all values inverted", 1);
}

# The summary of a filter page is as if the page had no values, and scans would pass it by.
sub filter_summary
{
	my $file = shift;
	my @blocks = blocks_of($file, 'filter');
	return bit_flip($file) unless @blocks;
	my $block = pick(@blocks);
	my $ncolumns = unpack('v', substr($$file, 24 + 48, 2));

	# the least code of each column, and the greatest
	substr($$file, $block * $BLOCK + 24, 16 * $ncolumns) = ("\xFF" x 8 . "\0" x 8) x $ncolumns;
	return ("block $block: a summary of nothing", 1);
}

# A filter page that has values is as if it had none yet, or leads elsewhere.
sub filter_page_lost
{
	my $file = shift;
	my @blocks = blocks_of($file, 'filter');
	return bit_flip($file) unless @blocks;
	my $block = pick(@blocks);
	my $kind = pick(0, $KIND{code}, $KIND{extra}, 11);

	substr($$file, $block * $BLOCK + $SPECIAL + 4, 2) = pack('v', $kind);
	return ("block $block: a filter page of kind $kind", 1);
}

sub truncated_file
{
	my $file = shift;
	my $n = nblocks($file);
	my $keep = rnd($n);

	$$file = substr($$file, 0, $keep * $BLOCK);
	return ("file cut from $n to $keep blocks", 1);
}

# ---- The same for inverted lists (src/ivf/ivf_page.h) ----

# a place of the directory: [block, place of the entry in the file]
sub some_entry
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'directory'));
	my ($size, $n) = unpack('V v', substr($$file, 24 + 52, 6));
	my @used = grep { unpack('V', substr($$file, $block * $BLOCK + 24 + $_ * $size + 24, 4)) == 1 } 0 .. $n - 1;

	return unless @used;
	return ($block, $block * $BLOCK + 24 + pick(@used) * $size);
}

# a segment: [block, offset number, place in the file]
sub some_segment
{
	my $file = shift;
	my $block = pick(blocks_of($file, 'list'));
	my @items = items($file, $block);
	return unless @items;
	my $item = pick(@items);

	return ($block, @$item);
}

# first and last segment, generation, counts, state, norm, changed
sub entry_field
{
	my $file = shift;
	my ($block, $at) = some_entry($file) or return;
	my $field = 2 * rnd(20);

	substr($$file, $at + $field, 2) = pack('v', pick(0, 1, 2, 0xFFFF, rnd(65536)));
	return "block $block: an entry's bytes from $field";
}

# a chain that begins on a page of another kind
sub entry_astray
{
	my $file = shift;
	my ($block, $at) = some_entry($file) or return;
	my $to = pick(0, $block, 1);

	substr($$file, $at, 6) = item_pointer($to, 1 + rnd(3));
	return ("block $block: a list begins in block $to", 1);
}

sub segment_header
{
	my $file = shift;
	my ($block, $item, $at) = some_segment($file) or return;
	my $field = 2 * rnd(12);

	substr($$file, $at + $field, 2) = pack('v', pick(0, 1, 2, 3, 0xFFFF, rnd(65536), rnd(200)));
	return "block $block item $item: bytes from $field";
}

# Segments of one list lead in a ring.
sub segment_ring
{
	my $file = shift;
	my %lists;

	for my $block (blocks_of($file, 'list'))
	{
		for my $item (items($file, $block))
		{
			my ($list, $generation) = unpack('V V', substr($$file, $item->[1], 8));
			push @{ $lists{"$list $generation"} }, [ $block, @$item ];
		}
	}
	my @chains = map { $lists{$_} } sort keys %lists;
	return unless @chains;
	my $chain = pick(@chains);
	my ($from, $to) = (pick(@$chain), pick(@$chain));

	substr($$file, $from->[2] + 8, 6) = item_pointer($to->[0], $to->[1]);
	return "segment ($from->[0],$from->[1]) of " . @$chain . " leads to ($to->[0],$to->[1])";
}

# The place of a code that stands apart is another's, or nowhere.
sub place_astray
{
	my $file = shift;
	my %pieces = (0 => [], 4 => []);

	for my $block (blocks_of($file, 'list'))
	{
		for my $item (items($file, $block))
		{
			push @{ $pieces{ unpack('v', substr($$file, $item->[1] + 18, 2)) & 4 } }, [ $block, @$item ];
		}
	}
	return segment_contents($file) unless @{ $pieces{0} } && @{ $pieces{4} };
	my $segment = pick(@{ $pieces{0} });
	my $code = pick(@{ $pieces{4} });
	my $row = rnd(unpack('v', substr($$file, $segment->[2] + 16, 2)) || 1);

	substr($$file, $segment->[2] + 24 + 6 * $row, 6) =
	  pick(item_pointer($code->[0], $code->[1]), item_pointer($code->[0], 1 + rnd(9)), item_pointer(wild(), 1), item_pointer(0, 1), item_pointer(0, 0));
	return "row $row of segment ($segment->[0],$segment->[1]) has another place";
}

# codes, factors and TIDs
sub segment_contents
{
	my $file = shift;
	my ($block, $item, $at, $length) = some_segment($file) or return;
	my $n = 1 + rnd(32);
	my $from = 24 + rnd($length - 24 - $n);

	substr($$file, $at + $from, $n) = rnd(2) ? pack('C*', map { rnd(256) } 1 .. $n) : "\xFF" x $n;
	return "block $block item $item: $n bytes from $from";
}

sub list_line_pointer
{
	my $file = shift;
	my ($block, $item) = some_segment($file) or return;

	substr($$file, $block * $BLOCK + 24 + 4 * ($item - 1), 4) =
	  pick(pack('V', wild()), pack('V', rnd($BLOCK) | 1 << 15 | rnd(2000) << 17), "\0\0\0\0");
	return "block $block: line pointer $item";
}

sub ivf_meta_field
{
	my $file = shift;
	# options and sizes, extents, what is pending
	my $at = pick(4 * rnd(24), 96 + 4 * rnd(20), 2104 + 4 * rnd(12));

	substr($$file, 24 + $at, 4) = pack('V', wild());
	return "metapage: field at $at";
}

# values that no vector has, in centroids and in what was learned
sub not_finite
{
	my $file = shift;
	my @blocks = map { blocks_of($file, $_) } qw(trained centroid);
	return unless @blocks;
	my $block = pick(@blocks);

	substr($$file, $block * $BLOCK + 24 + 4 * rnd(20), 4) = pack('V', pick(0x7F800000, 0xFF800000, 0x7FC00000));
	return "block $block: a value is not finite";
}

# A list page may hold nothing, or only what is left over: then nobody misses it.
sub perhaps_unseen
{
	my $mutation = shift;
	return sub { my ($what) = $mutation->(@_); return $what; };
}

my @IVF_MUTATIONS = (
	\&random_bytes, \&random_page, \&bit_flip,
	map({ perhaps_unseen($_) } \&zeroed_page, \&swapped_pages, \&copied_page, \&truncated_file),
	\&entry_field, \&entry_field, \&entry_astray, \&segment_header, \&segment_header, \&segment_ring, \&segment_contents,
	\&place_astray, \&place_astray, \&list_line_pointer, \&page_header, \&special_area, \&ivf_meta_field, \&not_finite);

my @MUTATIONS = (
	\&random_bytes, \&random_page, \&bit_flip, \&zeroed_page, \&swapped_pages, \&copied_page,
	\&wrong_links, \&impossible_link, \&adjacency_header, \&ring, \&ring, \&item_bytes, \&line_pointer,
	\&page_header, \&special_area, \&meta_field, \&meta_field, \&truncated_file,
	\&wrong_links, \&adjacency_header, \&pointer_home, \&filter_values, \&filter_summary, \&filter_page_lost);

# ---- The server and its tables ----

my $node = PostgreSQL::Test::Cluster->new('damage');
my ($help) = run_command([ 'initdb', '--help' ]);
$node->init(extra => $help =~ /--no-data-checksums/ ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf',
	"autovacuum = off\nrestart_after_crash = off\nfsync = off\nshared_buffers = 32MB\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION vecidx');
load_vectors($node, 'pool', make_vectors(900, 40, 1));
# the same as sparse vectors, whose records are chains; those of some rows have several chunks
$node->safe_psql(
	'postgres', q{
	CREATE TABLE sparse_pool AS SELECT id, format('{%s}/3000', (
		SELECT string_agg(format('%s:%s', i * 2, (v::real[])[i % 40 + 1] + 0.001), ',')
		FROM generate_series(1, CASE WHEN id % 50 = 7 THEN 1500 ELSE 40 END) i))::sparsevec(3000) AS v
	FROM pool});

# and as wide ones, which stand apart from their rows in an ivfflat index with further columns
$node->safe_psql('postgres', 'CREATE TABLE wide_pool AS
	SELECT id, (v || array_fill(0.5::real, ARRAY[230])::vector)::vector(270) AS v FROM pool');

# Every page kind and list has something in it: links above level 0, chains of
# TIDs in several chunks, free nodes, extents that were added.
my %DENSE = (am => 'hnsw', mutations => \@MUTATIONS, pool => 'pool', type => 'vector(40)', opclass => 'vector_l2_ops', last => 40);
my %LISTS = (%DENSE, mutations => \@IVF_MUTATIONS);
my @KINDS = (
	{ %DENSE, name => 'none', options => 'm = 4, quantizer = none' },
	{ %DENSE, name => 'rabitq4', options => 'm = 3, quantizer = rabitq4', filters => ', a, t' },
	{ %DENSE, name => 'sq8', options => 'm = 8, quantizer = sq8' },
	{ name => 'sparse', am => 'hnsw', mutations => \@MUTATIONS, pool => 'sparse_pool', type => 'sparsevec(3000)', opclass => 'sparsevec_l2_ops', last => 3000, options => 'm = 4', filters => ', a' });
my @IVF_KINDS = (
	{ %LISTS, name => 'flat', am => 'ivfflat', options => 'lists = 12' },
	{ %LISTS, name => 'rabitq', am => 'ivfpq', options => 'lists = 6', filters => ', a, t' },
	{ %LISTS, name => 'apart', am => 'ivfflat', pool => 'wide_pool', type => 'vector(270)', last => 270, options => 'lists = 6', filters => ', a, t' },
	{ %LISTS, name => 'pq', am => 'ivfpq', options => 'lists = 5, quantizer = pq, bits = 4' },
	{ %LISTS, name => 'bit1', am => 'ivfpq', options => 'lists = 12, bits = 1' });
my @kinds = (
	map({ $KINDS[ $_ % @KINDS ] } 0 .. $#MUTATIONS),
	map({ $IVF_KINDS[ $_ % @IVF_KINDS ] } 0 .. $#IVF_MUTATIONS));
my @victims;
my %seen_kind;
for my $i (0 .. $#kinds)
{
	my $kind = $kinds[$i];
	my %v = (name => "v$i", kind => $kind);
	my $pool = $kind->{pool};
	my $query = $v{query} = $node->safe_psql('postgres', "SELECT v FROM $pool WHERE id = 77");

	$node->safe_psql(
		'postgres', "
		CREATE TABLE v$i AS SELECT id, v FROM $pool WHERE id <= 400;
		ALTER TABLE v$i ALTER v TYPE $kind->{type},
			ADD a int GENERATED ALWAYS AS (id % 7) STORED, ADD t text GENERATED ALWAYS AS (CASE WHEN id % 7 <> 3 THEN 'row ' || id / 1000 END) STORED;
		CREATE INDEX v${i}_idx ON v$i USING $kind->{am} (v $kind->{opclass}@{[ $kind->{filters} // '' ]}) WITH ($kind->{options});
		INSERT INTO v$i SELECT id, v FROM $pool WHERE id > 400;
		INSERT INTO v$i SELECT 1000 + i, '$query' FROM generate_series(1, 150) i;
		INSERT INTO v$i SELECT 2000 + i % 40, v FROM $pool, generate_series(1, 10) i WHERE id BETWEEN 1 AND 20;
		DELETE FROM v$i WHERE id BETWEEN 300 AND 340;");
	$node->safe_psql('postgres', "VACUUM v$i");
	is($node->safe_psql('postgres', "SELECT * FROM vecidx_check('v${i}_idx', true)"), '', "v$i is sound")
	  unless $seen_kind{ $kind->{name} }++;
	$v{index} = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('v${i}_idx')");
	# the table, its TOAST table, and the index of that
	$v{relations} = [
		$v{index},
		map { $node->data_dir . "/$_" } split /\n/,
		$node->safe_psql(
			'postgres', "
			SELECT pg_relation_filepath(c) FROM (SELECT oid, reltoastrelid FROM pg_class WHERE oid = 'v$i'::regclass) t,
				LATERAL (SELECT t.oid UNION ALL SELECT reltoastrelid UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = reltoastrelid) r (c)
			WHERE c <> 0") ];
	push @victims, \%v;
}
$node->stop;

sub put_file
{
	my ($path, $contents) = @_;
	open my $fh, '>:raw', $path or die "$path: $!";
	print $fh $contents;
	close $fh or die "$path: $!";
	return;
}

for my $v (@victims)
{
	for my $fork ('', '_fsm', '_vm')
	{
		for my $path (map { $_ . $fork } @{ $v->{relations} })
		{
			$v->{files}{$path} = slurp_file($path) if -e $path;
		}
	}
}

# ---- Rounds ----

my %applied;

for my $round (1 .. $rounds)
{
	seed_rand($seed * 1000 + $round);
	for my $i (0 .. $#victims)
	{
		my $v = $victims[$i];
		my $contents = $v->{files}{ $v->{index} };
		my ($what, $seen);

		for my $fork ('', '_fsm', '_vm')
		{
			unlink map { $_ . $fork } @{ $v->{relations} };
		}
		put_file($_, $v->{files}{$_}) for sort keys %{ $v->{files} };

		# quantizers and mutations meet anew each round
		my $mutations = $v->{kind}{mutations};
		for (my $try = 0; !defined $what; $try++)
		{
			my $mutation = ($i + $round) % @$mutations;

			die "no occasion for mutation $mutation in $v->{name} ($v->{kind}{name})" if $try > 1000;
			($what, $seen) = $mutations->[$mutation]->(\$contents);
		}
		$applied{$what} = 1;
		put_file($v->{index}, $contents);
		@$v{qw(what seen changed)} = ($what, $seen, $contents ne $v->{files}{ $v->{index} });
	}
	$node->start;

	for my $v (@victims)
	{
		my $name = $v->{name};
		my ($pool, $type, $last) = @{ $v->{kind} }{qw(pool type last)};
		my $query = $v->{query};
		my $label = "seed $seed round $round $name ($v->{kind}{name}): $v->{what}";
		my ($out, $err) = ('', '');
		my $status = eval {
			$node->psql(
				'postgres', "
				\\set VERBOSITY verbose
				SET statement_timeout = '20s';
				SET enable_seqscan = off;
				SET ivfflat.probes = 3;
				SELECT 'check ' || count(*) FROM vecidx_check('${name}_idx', true);
				SELECT count(*) FROM (SELECT id FROM $name ORDER BY v <-> '$query' LIMIT 10) s;
				SELECT count(*) FROM (SELECT id FROM $name ORDER BY v <-> (SELECT v FROM $pool WHERE id = 321) LIMIT 300) s;
				SELECT count(*) FROM (SELECT id FROM $name ORDER BY v <-> '$query') s;
				SELECT count(*) FROM (SELECT id FROM $name ORDER BY v <-> NULL::$type) s;
				SELECT count(*) FROM (SELECT id FROM $name WHERE a = 3 ORDER BY v <-> '$query' LIMIT 10) s;
				SELECT count(*) FROM (SELECT id FROM $name WHERE a IN (1, 2) AND t IS NULL ORDER BY v <-> '$query') s;
				INSERT INTO $name SELECT id, v FROM $pool WHERE id BETWEEN 300 AND 340;
				INSERT INTO $name (id, v) VALUES (5000, '$query');
				INSERT INTO $name SELECT 6000 + id, (v::vector::real[])[2:$last] || 1::real FROM $pool WHERE id <= 30;
				DELETE FROM $name WHERE id % 3 = 0 OR id > 1000;
				VACUUM $name;
				SELECT count(*) FROM (SELECT id FROM $name ORDER BY v <-> '$query' LIMIT 200) s;
				INSERT INTO $name SELECT 7000 + id, v FROM $pool WHERE id BETWEEN 100 AND 140;
				VACUUM $name;
				SELECT count(*) FROM vecidx_check('${name}_idx', true);
				SELECT 'alive';
				",
				stdout => \$out, stderr => \$err, on_error_die => 0, on_error_stop => 0,
				timeout => $PostgreSQL::Test::Utils::timeout_default);
		};
		my @wrong = grep { !answer_allowed($_) } $err =~ /^(?:psql:\S+ )?(?:ERROR|FATAL|PANIC): +(.*)/mg;

		if (!ok($out =~ /^alive$/m && !@wrong, $label))
		{
			diag("answers: $out\nerrors: $err");
			BAIL_OUT('the server does not answer any more') unless $out =~ /^alive$/m;
		}
		my ($found) = $out =~ /^check (\d+)$/m;
		if (defined $found)
		{
			ok($found > 0, "$label: found") if $v->{seen} && $v->{changed};
		}
		else
		{
			fail("$label: vecidx_check gives rows, not an error");
			diag($err);
		}
	}
	$node->stop;
}
cmp_ok(scalar(keys %applied), '>=', $rounds * 10, 'the mutations differ');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'no process crashed');
done_testing();
