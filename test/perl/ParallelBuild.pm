
# ParallelBuild.pm: builds by several processes, what they say, what they leave
# behind, and servers with little shared memory.

package ParallelBuild;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecidxTest;

our @EXPORT = qw(build %INTERRUPTIONS $SEGMENTS_IN_DATA_DIR leftovers nothing_left small_shm_node leave_shm);

# Run CREATE INDEX or the like, with workers.  Options: workers (2), memory
# (256MB).  Returns what the server said: how many workers were asked for and
# came (-1: none were asked for; of several groups the first), all groups as
# "2 of 4", how many processes read rows and how many they read, and the text
# of it all.
sub build
{
	my ($server, $sql, %opt) = @_;
	my %said;
	my ($status, $out, $err) = $server->psql('postgres', '
		SET max_parallel_maintenance_workers = ' . ($opt{workers} // 2) . ";
		SET maintenance_work_mem = '" . ($opt{memory} // '256MB') . "';
		SET client_min_messages = debug1;
		$sql");

	is($status, 0, "$sql: done") or diag($err);
	($said{came}, $said{asked}) = $err =~ /(\d+) parallel workers of (\d+)/ ? ($1, $2) : (-1, -1);
	$said{groups} = [];
	push @{ $said{groups} }, "$1 of $2" while $err =~ /(\d+) parallel workers of (\d+)/g;
	my @read = $err =~ /this process read (\d+) rows/g;
	$said{processes} = @read;
	$said{read} = 0;
	$said{read} += $_ for @read;
	$said{text} = $err;
	return \%said;
}

# How a build with workers comes to its end before its time: SQL, and what the
# client is told.
our %INTERRUPTIONS = (
	'cancelled' => [ 'SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index', qr/canceling statement due to user request/ ],
	'leader terminated' => [ 'SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index', qr/terminating connection|server closed the connection/ ],
	'worker terminated' => [ "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1",
		qr/terminating|lost connection to parallel worker/ ]);

# Segments of shared memory are files of the data directory with this setting,
# not mixed with those of other servers.
our $SEGMENTS_IN_DATA_DIR = "dynamic_shared_memory_type = mmap\n";

# Segments of shared memory and temporary files of a server with that setting.
sub leftovers
{
	my ($server) = @_;
	my $dir = $server->data_dir;

	return join "\n", sort map { glob "$dir/$_/*" } qw(pg_dynshmem base/pgsql_tmp);
}

# Of a build that came to nothing: no process, no index, and what there was
# before (as leftovers() had it) of memory and files.
sub nothing_left
{
	my ($server, $name, $before) = @_;

	ok($server->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"),
		"$name: no worker is left");
	is($server->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'idx'"), '0',
		"$name: no index is left");
	# a leader that was terminated tells its client before it tidies up
	for (1 .. 100)
	{
		last if leftovers($server) eq $before;
		usleep(50_000);
	}
	is(leftovers($server), $before, "$name: no shared memory, no temporary file is left");
	return;
}

# A server that sees a small /dev/shm, as in a container: in namespaces of its
# own.  Undefined where the system does not let one make them.
sub small_shm_node
{
	my ($name) = @_;
	my $id = $>;
	my $enter = 'mount -t tmpfs -o size=$SHM_SIZE tmpfs /dev/shm && exec unshare -U --map-user=' . $id;

	local $ENV{SHM_SIZE} = '64m';
	return undef if system("unshare -Urm sh -c '$enter true' >/dev/null 2>&1") != 0;

	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "autovacuum = off\ndynamic_shared_memory_type = posix\n");

	# pg_ctl as the server should be started by
	my $real = $node->config_data('--bindir') . '/pg_ctl';
	my $dir = PostgreSQL::Test::Utils::tempdir();
	append_to_file("$dir/pg_ctl", "#!/bin/sh\nexec unshare -Urm sh -c '$enter $real \"\$@\"' pg_ctl \"\$@\"\n");
	chmod 0755, "$dir/pg_ctl";
	local $ENV{PATH} = "$dir:$ENV{PATH}";
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION vecidx');
	return $node;
}

# Leave so many kilobytes of its /dev/shm; the server has taken some for itself by then.
sub leave_shm
{
	my ($node, $free) = @_;

	$node->safe_psql('postgres', "COPY (SELECT 1) TO PROGRAM 'rm -f /dev/shm/fill;
		has=\$(df -k --output=avail /dev/shm | tail -n 1);
		[ \$has -le $free ] || head -c \$(((has - $free) * 1024)) /dev/zero > /dev/shm/fill'");
	return;
}

1;
