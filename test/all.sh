#!/bin/sh
# all.sh: everything there is to test, on a fresh Debian 12 or 13.
#
#   sh test/all.sh [--long] [--keep] [STAGE or test/t/FILE.pl ...]
#
# Stages: build clang unit regress isolation tap clients fuzz; without one, all
# of them.
# The build always runs, as the others need it.  --long adds the TAP files
# named long_*; --keep leaves the temporary directory behind.  Missing packages
# are installed through apt-get (as root or with sudo).  PG_CONFIG chooses the
# PostgreSQL, JOBS the number of compilers at once, VECIDX_TEST_PGVECTOR the
# servers with pgvector to move from (test/perl/PgvectorNode.pm).
#
# The last line is "N passed, N failed"; the exit status is 0 only if nothing
# failed.
set -u
prog=all.sh
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/test/lib.sh"

long=no
stages=
files=
for arg in "$@"; do
	case $arg in
		--long) long=yes ;;
		--keep) keep=yes ;;
		build | clang | unit | regress | isolation | tap | clients | fuzz) stages="$stages $arg" ;;
		*.pl)
			[ -f "$root/test/t/${arg##*/}" ] || die "no file test/t/${arg##*/}"
			case $stages in *tap*) ;; *) stages="$stages tap" ;; esac
			files="$files test/t/${arg##*/}"
			;;
		*)
			sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
			exit 2
			;;
	esac
done
[ -n "$stages" ] || stages="build clang unit regress isolation tap clients fuzz"

passed=0
failed=0
begun=$(date +%s)

# begin NAME / finish PASSED FAILED: a line for each group of tests.
begin()
{
	began=$(date +%s)
	printf '%-34s ' "$1"
}

finish()
{
	passed=$((passed + $1))
	failed=$((failed + $2))
	printf '%5d passed, %d failed (%d s)\n' "$1" "$2" $(($(date +%s) - began))
}

summary()
{
	say ""
	say "$(($(date +%s) - begun)) s in all"
	say "$passed passed, $failed failed"
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
	exit $?
}

# excerpt FILE [LINES]: the end of a log, indented.
excerpt()
{
	[ -s "$1" ] && tail -n "${2:-40}" "$1" | sed 's/^/    /'
}

# Count pg_regress output: "test x ... ok" up to PostgreSQL 15, TAP after it.
count_regress()
{
	awk '/^ok |[.][.][.] ok/ { p++ } /^not ok |[.][.][.] FAILED/ { f++ } END { print p + 0, f + 0 }' "$1"
}

# Count TAP in a log, of a program that ended with STATUS: one that failed
# without a failed test, or tested nothing, counts as a test that failed.  What
# was skipped does not count.
count_tap()
{
	awk -v status="$2" '/^ok / { if (/ # (SKIP|skip) /) s++; else p++ } /^not ok / { f++ } /^1[.][.]0 # SKIP/ { s++ }
		END { if (!f && (status || !p && !s)) f = 1; print p + 0, f + 0 }' "$1"
}

# skip NAME REASON: instead of begin and finish.
skip()
{
	printf '%-34s  SKIP: %s\n' "$1" "$2"
}

# A warning fails the first test, but does not keep the others from running.
stage_build()
{
	begin "build, gcc -Wall -Wextra -Werror"
	if run "$work/log/build" make -s -j"$jobs" -C "$work/tree" CC=gcc COPT=-Werror PG_CONFIG="$PG_CONFIG"; then
		finish 1 0
	else
		finish 0 1
		excerpt "$work/log/build"
		begin "build again, warnings allowed"
		if run "$work/log/build" make -s -j"$jobs" -C "$work/tree" CC=gcc PG_CONFIG="$PG_CONFIG"; then
			finish 1 0
		else
			finish 0 1
			excerpt "$work/log/build"
			summary
		fi
	fi
	install_vecidx "$work/log/install" && return
	finish 0 1
	excerpt "$work/log/install"
	summary
}

# Warnings of the second compiler.  PostgreSQL's flags are those of gcc, hence
# the two -Wno flags, which concern flags and not code.
stage_clang()
{
	clang=$(command -v clang || ls /usr/bin/clang-[0-9]* 2>/dev/null | sort -V | tail -n 1)
	if [ -z "$clang" ]; then
		say "clang: not installed, skipped"
		return
	fi
	begin "warnings, ${clang##*/} -Wall -Wextra"
	objects=$(cd "$work/tree" && ls src/*.c src/*/*.c | sed 's/c$/o/')
	$as_user rm -rf "$work/clang" && $as_user cp -R "$work/tree" "$work/clang"
	(cd "$work/clang" && $as_user rm -f $objects)
	if run "$work/log/clang" make -s -k -j"$jobs" -C "$work/clang" CC="$clang" PG_CONFIG="$PG_CONFIG" \
		COPT="-Werror -Wno-unknown-warning-option -Wno-ignored-optimization-argument" $objects; then
		finish 1 0
	else
		finish 0 1
		excerpt "$work/log/clang"
	fi
	$as_user rm -rf "$work/clang"
}

# Programs that need no server; each prints "name: N passed, N failed" and
# counts as one test.
stage_unit()
{
	begin "unit tests"
	run "$work/log/unit" make -C "$work/tree" unit CC=gcc PG_CONFIG="$PG_CONFIG"
	status=$?
	set -- $(awk '/: [0-9]+ passed, [0-9]+ failed$/ { if (/: [1-9][0-9]* passed, 0 failed$/) p++; else f++ }
		END { print p + 0, f + 0 }' "$work/log/unit")
	if { [ $status -ne 0 ] || [ $(($1 + $2)) -eq 0 ]; } && [ "$2" -eq 0 ]; then
		set -- "$1" 1
	fi
	finish "$1" "$2"
	if [ "$2" -ne 0 ]; then
		excerpt "$work/log/unit"
	else
		grep -E ': [0-9]+ passed, 0 failed$' "$work/log/unit" | sed 's/^/    /'
	fi
}

# stage_check NAME OVERRIDE DIFFS: pg_regress or the isolation tester, against
# one private server.  The extension's Makefile knows the tests and their
# options; OVERRIDE empties the list of the other kind.
stage_check()
{
	begin "$1"
	[ -n "${PGHOST:-}" ] || start_server 'autovacuum = off'
	run "$work/log/$1" make -C "$work/tree" installcheck PG_CONFIG="$pg_bin/pg_config" "$2"
	check_status=$?
	diffs=$work/tree/$3/regression.diffs
	set -- "$1" $(count_regress "$work/log/$1")
	if { [ $check_status -ne 0 ] || [ $(($2 + $3)) -eq 0 ]; } && [ "$3" -eq 0 ]; then
		set -- "$1" "$2" 1
	fi
	finish "$2" "$3"
	[ "$3" -ne 0 ] || return 0
	grep -E 'FAILED|^not ok' "$work/log/$1" | sed 's/^/    /'
	if [ -s "$diffs" ]; then
		sed 's/^/    /' "$diffs" | head -n 120
	else
		excerpt "$work/log/$1"
	fi
	grep -E 'PANIC|FATAL|TRAP|terminated by signal' "$work/log/server" | tail -n 10 | sed 's/^/    server: /'
}

# Perl tests, each of which starts servers of its own.  A program that dies or
# runs out of time without a failed test counts as one that failed.
stage_tap()
{
	for file in $(cd "$work/tree" && ls test/t/*.pl); do
		name=$(basename "$file" .pl)
		case "$files:$long:$name" in
			*" $file"*) ;;
			:yes:* | :no:[0-9]*) ;;
			*) continue ;;
		esac
		begin "tap $name"
		run "$work/log/$name" env -u PGHOST -u PGUSER make -s -C "$work/tree" tapcheck \
			PG_CONFIG="$pg_bin/pg_config" PROVE_TESTS="$file" PROVE_FLAGS="-v"
		tap_status=$?
		set -- $(count_tap "$work/log/$name" $tap_status)
		finish "$1" "$2"
		sed -n 's/^ok .*# skip \(.*\)/    skipped: \1/p' "$work/log/$name"
		if [ "$2" -ne 0 ]; then
			grep -E '^not ok |^#|^Bail|syntax error|died|timed out' "$work/log/$name" |
				grep -vE '^# (Running|Postmaster|Checking|Looks like)' | head -n 60 | sed 's/^/    /'
			grep -q '^not ok ' "$work/log/$name" ||
				excerpt "$work/tree/tmp_check/log/regress_log_$name" 20
			for server in "$work"/tree/tmp_check/log/"$name"_*.log; do
				grep -E 'PANIC|FATAL|TRAP|terminated by signal|INDEX_CORRUPTED' "$server" |
					tail -n 10 | sed "s/^/    ${server##*/}: /"
			done
		fi
	done
}

# client NAME COMMAND...: a program of test/clients, which prints TAP.
client()
{
	name=$1
	shift
	begin "clients $name"
	run "$work/log/$name" env -C "$work/tree/test/clients" PYTHONDONTWRITEBYTECODE=1 "$@"
	set -- $(count_tap "$work/log/$name" $?)
	finish "$1" "$2"
	grep -E '^ok .* # SKIP' "$work/log/$name" | sed 's/.* - /    skipped: /; s/ # SKIP /, /'
	[ "$2" -eq 0 ] || grep -E '^not ok |^#|^Bail' "$work/log/$name" | head -n 60 | sed 's/^/    /'
	[ "$2" -eq 0 ] || grep -q '^not ok ' "$work/log/$name" || excerpt "$work/log/$name"
}

# fetch NAME COMMAND...: get a published package.  Without a network that is
# skipped; a package that is not the one expected is a test that failed.
fetch()
{
	name=$1
	shift
	limit=180
	run "$work/log/fetch-$name" env -C "$work/tree/test/clients" "$@"
	status=$?
	limit=1200
	[ $status -ne 0 ] || return 0
	if grep -q -E 'EINTEGRITY|ETARGET|EUSAGE|DO NOT MATCH THE HASHES' "$work/log/fetch-$name"; then
		begin "clients $name"
		finish 0 1
		excerpt "$work/log/fetch-$name"
	else
		skip "clients $name" "the package cannot be fetched: $(grep -E ' code [A-Z]|^ERROR' "$work/log/fetch-$name" | head -n 1 | cut -c 1-100)"
	fi
	return 1
}

# Libraries of others, as published, against one private server.
stage_clients()
{
	[ -n "${PGHOST:-}" ] || start_server 'autovacuum = off'

	python=
	for program in /usr/bin/python3 python3; do
		$program -c 'import psycopg2' 2>/dev/null && python=$program && break
	done
	if [ -z "$python" ]; then
		skip "clients psycopg2" "no python3 with psycopg2"
	else
		client psycopg2_copy "$python" psycopg2_copy.py
		$python -m pip --version >/dev/null 2>&1 || try_packages python3-pip
		if ! $python -m pip --version >/dev/null 2>&1; then
			skip "clients psycopg2_pgvector" "no pip"
		elif fetch psycopg2_pgvector "$python" -m pip install --disable-pip-version-check --no-deps --require-hashes \
			--target "$work/home/python" -r requirements.txt; then
			client psycopg2_pgvector env PYTHONPATH="$work/home/python" "$python" psycopg2_pgvector.py
		fi
	fi

	{ command -v node && command -v npm; } >/dev/null || try_packages nodejs npm
	if ! run "$work/log/node" sh -c 'npm --version && node -e "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"'; then
		skip "clients node" "no npm, or no node of version 18 or later"
	elif fetch node npm ci; then
		client node node node.js
	fi
}

# Every function with hostile arguments, in a sanitized build and a server of
# its own.  Each function counts as a test.
stage_fuzz()
{
	begin "fuzz"
	run "$work/log/fuzz" sh "$work/tree/test/fuzz/run.sh" --calls 10000 --jobs "$jobs"
	fuzz_status=$?
	if [ $fuzz_status -eq 77 ]; then
		say ""
		skip fuzz "$(tail -n 1 "$work/log/fuzz")"
		return
	fi
	set -- $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$work/log/fuzz")
	if [ $# -ne 2 ] || [ "$1" -eq 0 ] || { [ $fuzz_status -ne 0 ] && [ "$2" -eq 0 ]; }; then
		set -- "${1:-0}" 1
	fi
	finish "$1" "$2"
	[ "$2" -eq 0 ] || excerpt "$work/log/fuzz" 80
}

make_work
choose_postgres
case $stages in *clients*) client_packages=python3-psycopg2 ;; *) client_packages= ;; esac
need_packages gcc libc6-dev make perl libipc-run-perl libsimde-dev $pg_packages $client_packages
# for the test of the benchmarks; where they cannot be had it is skipped, or parts of it
case $files:$stages in
	:*tap* | *040_bench*)
		try_packages python3-numpy python3-psycopg2
		try_packages python3-h5py python3-matplotlib
		;;
esac
# for the tests of moving from it; Debian has it from 13 on
case $stages:$pg_packages in *tap*:postgresql-1[7-9]*) try_packages "postgresql-$pg_major-pgvector" ;; esac
enter_work
say "vecidx, all tests: $("$PG_CONFIG" --version), gcc $(gcc -dumpfullversion), in $work"
say ""
copy_tree
copy_postgres
stage_build
for stage in $stages; do
	case $stage in
		clang) stage_clang ;;
		unit) stage_unit ;;
		regress) stage_check regress ISOLATION= . ;;
		isolation) stage_check isolation REGRESS= . ;;
		tap) stage_tap ;;
		clients) stage_clients ;;
		fuzz) stage_fuzz ;;
	esac
done
summary
