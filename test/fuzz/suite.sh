#!/bin/sh
# suite.sh: the regression and TAP tests against a server that runs the
# extension under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   sh test/fuzz/suite.sh [--keep] [regress | test/t/FILE.pl ...]
#
# Without a name: regress and those TAP tests that are not named long_*.  A test
# fails if one of its own fails, or if a server's log holds a report.  The last
# line is "N passed, N failed".  Status 77: no sanitizer here.
set -u
prog=suite.sh
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$root/test/lib.sh"
. "$root/test/fuzz/sanitize.sh"

names=
for arg in "$@"; do
	case $arg in
		--keep) keep=yes ;;
		regress) names="$names regress" ;;
		*.pl)
			[ -f "$root/test/t/${arg##*/}" ] || die "no file test/t/${arg##*/}"
			names="$names ${arg##*/}"
			;;
		*)
			sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
			exit 2
			;;
	esac
done
[ -n "$names" ] || names="regress $(cd "$root/test/t" && ls [0-9]*.pl)"

make_work
choose_postgres
enter_work
limit=3600
sanitize_all quarantine_size_mb=64

passed=0
failed=0
for name in $names; do
	began=$(date +%s)
	printf '%-28s ' "$name"
	if [ "$name" = regress ]; then
		start_server 'autovacuum = off' 'jit = off'
		run "$work/log/$name" make -s -C "$work/tree" installcheck ISOLATION= with_llvm=no PG_CONFIG="$pg_bin/pg_config"
	else
		run "$work/log/$name" env -u PGHOST -u PGUSER make -s -C "$work/tree" tapcheck with_llvm=no \
			PG_CONFIG="$pg_bin/pg_config" PROVE_TESTS="test/t/$name" PROVE_FLAGS="-v"
	fi
	status=$?
	reports=$(grep -lE "$sanitize_pattern" "$work"/log/server "$work"/tree/tmp_check/log/*.log 2>/dev/null)
	if [ $status -eq 0 ] && [ -z "$reports" ]; then
		passed=$((passed + 1))
		say "passed ($(($(date +%s) - began)) s)"
		continue
	fi
	failed=$((failed + 1))
	say "FAILED ($(($(date +%s) - began)) s)"
	grep -E '^not ok|FAILED' "$work/log/$name" | sed 's/^/    /'
	for log in $reports; do
		grep -m 1 -A 40 -E "$sanitize_pattern" "$log" | sed 's/^/    /'
		$as_user mv "$log" "$log.reported"
	done
done
say ""
say "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
