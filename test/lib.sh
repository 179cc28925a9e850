# lib.sh: what all.sh and demo.sh share: packages, an unprivileged user, a
# private build and installation, a private server.  Sourced by POSIX sh; the
# caller sets prog (its name) and root (the source tree) first.
#
# Everything lives in one temporary directory, $work:
#   tree/  copy of the source tree, built there, so the checkout stays clean
#   pg/    copy of the PostgreSQL installation: programs, libraries and shared
#          files below the same paths; PostgreSQL finds them relative to the
#          program started.  vecidx is installed there and nowhere else.
#   sock/  unix sockets, the only way into the servers
# Clusters and installations that the machine has already are never touched.

work=
child=
as_user=
keep=no

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$prog" "$*" >&2
	exit 1
}

# The PostgreSQL to use: sets PG_CONFIG and pg_packages (what apt-get has to
# bring for it).  A PG_CONFIG from the environment is taken as it is.
choose_postgres()
{
	pg_packages=
	if [ -n "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG names no program"
		return 0
	fi
	pg_major=
	if [ -r /etc/os-release ]; then
		pg_major=$(. /etc/os-release && case "${ID:-}:${VERSION_ID:-}" in
			debian:12) echo 15 ;;
			debian:13) echo 17 ;;
		esac)
	fi
	if [ -z "$pg_major" ]; then
		# Another system: the newest that is installed with its headers.
		pg_major=$(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null |
			sed 's|/usr/lib/postgresql/||; s|/.*||' | sort -n | tail -n 1)
	fi
	[ -n "$pg_major" ] ||
		die "no PostgreSQL found: set PG_CONFIG to the pg_config of version 15 or later"
	PG_CONFIG=/usr/lib/postgresql/$pg_major/bin/pg_config
	pg_packages="postgresql-$pg_major postgresql-server-dev-$pg_major"
}

# Install the packages named that are missing; false if that cannot be done,
# with the reason in $no_packages and perhaps $work/apt.log.
try_packages()
{
	command -v dpkg-query >/dev/null 2>&1 || return 0
	missing=
	for p in "$@"; do
		case $(dpkg-query -W -f='${Status}' "$p" 2>/dev/null) in
			*' installed') ;;
			*) missing="$missing $p" ;;
		esac
	done
	[ -n "$missing" ] || return 0

	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		sudo=sudo
		command -v sudo >/dev/null 2>&1 || {
			no_packages="run this as root, or install sudo, or install:$missing"
			return 1
		}
	fi
	say "Installing through apt-get:$missing"
	case $missing in
		*' postgresql-'[0-9]*)
			say "  (Debian's PostgreSQL package may create an empty cluster of its own; it is not used here.)" ;;
	esac
	apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300"
	$apt update >"$work/apt.log" 2>&1 &&
		$apt install --no-install-recommends $missing >>"$work/apt.log" 2>&1 </dev/null || {
		no_packages="apt-get could not install:$missing"
		return 1
	}
}

# The same where nothing goes without them.
need_packages()
{
	try_packages "$@" && return
	[ -s "$work/apt.log" ] && tail -n 20 "$work/apt.log" >&2
	die "$no_packages"
}

# Make $work, and see that it and every process below it go away at the end.
make_work()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/vecidx-XXXXXX") || die "cannot make a temporary directory"
	chmod 755 "$work"
	trap cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Processes of the servers whose data directory is below $work.  A postmaster
# stands in its data directory, so a stale number in postmaster.pid that now
# belongs to somebody else is told apart.
our_servers()
{
	find "$work" -name postmaster.pid 2>/dev/null | while read -r f; do
		pid=$(sed -n 1p "$f" 2>/dev/null)
		[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "${f%/postmaster.pid}" ] &&
			echo "$pid"
	done
}

cleanup()
{
	status=$?
	trap - EXIT HUP INT TERM
	if [ -n "$child" ]; then
		kill -TERM "-$child" 2>/dev/null
		wait "$child" 2>/dev/null
	fi
	if [ -n "$work" ]; then
		tries=0
		while servers=$(our_servers) && [ -n "$servers" ] && [ $tries -lt 50 ]; do
			kill -QUIT $servers 2>/dev/null
			sleep 0.2
			tries=$((tries + 1))
		done
		if [ $keep = yes ]; then
			say "Kept: $work"
		else
			rm -rf "$work"
		fi
	fi
	exit $status
}

# After the packages are there: whom to run as, and an environment in which no
# setting of the caller leads to another server.
enter_work()
{
	work=$(cd "$work" && pwd -P)
	if [ "$(id -u)" -eq 0 ]; then
		for u in postgres nobody; do
			if id "$u" >/dev/null 2>&1; then
				as_user="setpriv --reuid=$u --regid=$(id -g "$u") --init-groups"
				break
			fi
		done
		[ -n "$as_user" ] || die "PostgreSQL does not run as root, and there is no user postgres or nobody"
		chown "$u" "$work"
	fi
	for v in $(env | sed -n 's/^\(PG[A-Z_]*\)=.*/\1/p'); do
		[ "$v" = PG_CONFIG ] || unset "$v"
	done
	unset MAKEFLAGS MFLAGS MAKELEVEL
	cd "$work" || exit 1
	$as_user mkdir home tmp sock log
	$as_user chmod 700 sock
	HOME=$work/home
	TMPDIR=$work/tmp
	LC_ALL=C.UTF-8
	export HOME TMPDIR LC_ALL PG_CONFIG
	jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
}

# run LOG COMMAND...: the command, as the unprivileged user, in a process
# group of its own that cleanup can end, for at most $limit seconds.
limit=1200
run()
{
	run_log=$1
	shift
	setsid timeout -k 10 "$limit" $as_user "$@" >"$run_log" 2>&1 </dev/null &
	child=$!
	wait "$child"
	run_status=$?
	child=
	return $run_status
}

# Copy of the tree without what a build left in it.
copy_tree()
{
	$as_user mkdir "$work/tree"
	(cd "$root" && tar cf - --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude=./results --exclude=./tmp_check --exclude=./output_iso --exclude=./test/unit/build --exclude=./test/clients/node_modules .) |
		$as_user tar xf - --no-same-owner -C "$work/tree" || die "cannot copy the tree"
}

# Copy of the PostgreSQL installation; its programs come first in PATH.
copy_postgres()
{
	for what in bindir pkglibdir sharedir; do
		dir=$("$PG_CONFIG" --$what) || die "$PG_CONFIG does not work"
		[ -d "$dir" ] || die "no directory $dir: is the server of $PG_CONFIG installed?"
		[ -d "$work/pg$dir" ] && continue
		$as_user mkdir -p "$work/pg${dir%/*}"
		$as_user cp -R "$dir" "$work/pg$dir" || die "cannot copy $dir"
	done
	pg_bin=$work/pg$("$PG_CONFIG" --bindir)
	PATH=$pg_bin:$PATH
	export PATH
}

# install_vecidx LOG: put what was built in $work/tree into the copy.
install_vecidx()
{
	run "$1" make -s -C "$work/tree" install DESTDIR="$work/pg" PG_CONFIG="$PG_CONFIG"
}

# start_server [SETTING...]: a new cluster on a unix socket; PGHOST leads there.
start_server()
{
	run "$work/log/initdb" initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale=C --no-sync || {
		tail -n 20 "$work/log/initdb" >&2
		die "initdb failed"
	}
	$as_user tee -a "$work/data/postgresql.conf" >/dev/null <<END
listen_addresses = ''
unix_socket_directories = '$work/sock'
unix_socket_permissions = 0700
fsync = off
full_page_writes = off
max_wal_size = 2GB
END
	for setting in "$@"; do
		say "$setting"
	done | $as_user tee -a "$work/data/postgresql.conf" >/dev/null
	PGHOST=$work/sock
	PGUSER=postgres
	export PGHOST PGUSER
	run "$work/log/pg_ctl" pg_ctl -w -D "$work/data" -l "$work/log/server" start || {
		tail -n 20 "$work/log/pg_ctl" "$work/log/server" >&2
		die "the server did not start"
	}
}
