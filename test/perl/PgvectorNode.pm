
# PgvectorNode.pm: servers that have pgvector, to move away from.
#
# They come from the PostgreSQL under test, if it offers the extension `vector`,
# and from each pg_config that VECIDX_TEST_PGVECTOR names (separated by colons).
# One that lies in the file system of another distribution, as debootstrap makes
# it (ROOT/usr/lib/postgresql/17/bin/pg_config), is run by that system's own
# loader and libraries if it cannot be run as it is.

package PgvectorNode;

use strict;
use warnings;

use Exporter 'import';
use File::Path qw(make_path);
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(pgvector_nodes $PGVECTOR_ABSENT);

our $PGVECTOR_ABSENT = 'no pgvector here: install its package, or set VECIDX_TEST_PGVECTOR to the pg_config '
  . 'of a PostgreSQL that has it';

# Programs that the test module and they themselves start.
my @PROGRAMS = qw(initdb pg_config pg_controldata pg_ctl postgres psql);

sub output
{
	my (@command) = @_;
	my ($out, $err) = ('', '');

	return undef unless eval { IPC::Run::run(\@command, '>', \$out, '2>', \$err) };
	chomp $out;
	return $out;
}

# The directory above bin/ of an installation that can be run: the one of this
# pg_config, or one made of scripts that start its programs.
sub runnable
{
	my ($pg_config, $number) = @_;
	my $prefix = $pg_config =~ s{/bin/pg_config$}{}r;

	return $prefix if defined output($pg_config, '--version');

	my ($root, $path) = $prefix =~ m{^(.*)(/usr/lib/postgresql/\d+)$} or return undef;
	my ($loader) = glob "$root/lib*/ld-linux-*.so.*" or return undef;
	my $libraries = join ':', glob("$root/lib/*-linux-gnu"), glob("$root/usr/lib/*-linux-gnu");
	my $made = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir()) . "/pgvector$number";
	my $share = $path =~ s{^/usr/lib}{/usr/share}r;

	make_path("$made$path/bin", "$made/usr/share/postgresql");
	symlink "$prefix/lib", "$made$path/lib" or die $!;
	symlink "$root$share", "$made$share" or die $!;
	for my $program (@PROGRAMS)
	{
		my $file = "$made$path/bin/$program";

		open my $fh, '>', $file or die "$file: $!";
		print $fh "#!/bin/sh\nexec $loader --argv0 \"\$0\" --library-path $libraries $prefix/bin/$program \"\$@\"\n";
		close $fh or die "$file: $!";
		chmod 0755, $file or die "$file: $!";
	}
	return "$made$path";
}

# Running servers with pgvector available, each with a name of its own.  conf
# => further settings.
sub pgvector_nodes
{
	my (%opt) = @_;
	my @prefixes;
	my @nodes;

	my $share = output('pg_config', '--sharedir');
	push @prefixes, [ 'pg_config', undef ] if defined $share && -f "$share/extension/vector.control";
	for my $pg_config (split /:/, $ENV{VECIDX_TEST_PGVECTOR} // '')
	{
		push @prefixes, [ $pg_config, runnable($pg_config, scalar @prefixes) // die "cannot run $pg_config" ];
	}
	for my $entry (@prefixes)
	{
		my ($pg_config, $prefix) = @$entry;
		my $name = 'pgvector' . (scalar @nodes ? scalar @nodes : '');
		my $node = PostgreSQL::Test::Cluster->new($name, defined $prefix ? (install_path => $prefix) : ());

		$node->init;
		$node->append_conf('postgresql.conf', "autovacuum = off\n" . ($opt{conf} // ''));
		$node->start;
		my $version = $node->safe_psql('postgres',
			"SELECT default_version FROM pg_available_extensions WHERE name = 'vector'");
		die "$pg_config: no extension vector" unless $version;
		my ($server) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;
		push @nodes, { node => $node, major => $server, name => "pgvector $version on PostgreSQL $server" };
	}
	return @nodes;
}

1;
