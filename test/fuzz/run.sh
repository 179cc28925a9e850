#!/bin/sh
# run.sh: call every function of the extension with hostile arguments, in a
# server that runs it under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   sh test/fuzz/run.sh [--calls N] [--seed N] [--jobs N] [--only PATTERN] [--keep]
#   sh test/fuzz/run.sh --show FUNCTION SEED CALL [damaged]
#
# --calls: of each function, 20000 unless told; --only: functions whose name
# with its argument types matches the regular expression; --show: prints the
# arguments of one call, which is what a report names.  --jobs: sessions at
# once.  PG_CONFIG chooses the PostgreSQL, CC the compiler (gcc).
#
# The last line is "N passed, N failed"; the exit status is 0 only if nothing
# failed.  Without a sanitizer's runtime nothing runs, and the status is 77.
set -u
prog=run.sh
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$root/test/lib.sh"
. "$root/test/fuzz/sanitize.sh"

calls=20000
seed=1
sessions=
only=.
show=
while [ $# -gt 0 ]; do
	case $1 in
		--calls | --seed | --jobs | --only)
			[ $# -gt 1 ] || die "$1 needs a value"
			case $1 in
				--calls) calls=$2 ;;
				--seed) seed=$2 ;;
				--jobs) sessions=$2 ;;
				--only) only=$2 ;;
			esac
			shift
			;;
		--keep) keep=yes ;;
		--show)
			[ $# -ge 4 ] || die "--show needs a function, a seed and the number of a call"
			show="'$2', $3, $4, ${5:-false}"
			case $show in *damaged) show="${show%damaged}true" ;; esac
			break
			;;
		*)
			sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
			exit 2
			;;
	esac
	shift
done

make_work
choose_postgres
enter_work
limit=36000
began=$(date +%s)

# What is freed is kept for a megabyte only, and one frame of its stack: calls
# are short, and both would cost more than the call.
sanitize_all quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=1:max_malloc_fill_size=0
sanitize_build "$work/tree/test/fuzz" "$work/log/driver"
start_server 'autovacuum = off' 'jit = off' 'max_connections = 20' 'log_checkpoints = off'
sql="psql -XAtq -v ON_ERROR_STOP=1"
run "$work/log/setup" $sql -v calls="$calls" -v seed="$seed" \
	-c 'CREATE EXTENSION vecidx' -f "$work/tree/test/fuzz/setup.sql" || {
	cat "$work/log/setup" >&2
	die "cannot set up"
}
if [ -n "$show" ]; then
	run "$work/log/show" $sql -c "SELECT fuzz_describe($show)"
	show_status=$?
	cat "$work/log/show"
	exit $show_status
fi

passed=0
failed=0

# What a server's log says of a report, and the call that was under way.
explain()
{
	grep -n -m 1 -A 40 -E "$sanitize_pattern" "$work/log/server" | head -n 60 | sed 's/^/    /'
	dead=$(sed -n 's/.*server process (PID \([0-9]*\)) .*/\1/p' "$work/log/server" | head -n 1)
	[ -n "$dead" ] && [ -s "$work/data/fuzz_current.$dead" ] || return 0
	{
		read -r call_name
		read -r call_seed
		read -r call_number
		read -r call_damaged
	} <<END
$(tr -d '\000' <"$work/data/fuzz_current.$dead")
END
	say "    in $call_name, seed $call_seed, call $call_number, damaged values: $call_damaged"
	tries=0
	while [ $tries -lt 50 ] && ! run "$work/log/show" $sql \
		-c "SELECT fuzz_describe('$call_name', $call_seed, $call_number, $call_damaged)"; do
		sleep 0.2
		tries=$((tries + 1))
	done
	cut -c 1-2000 "$work/log/show" | sed 's/^/    /'
}

reported()
{
	grep -qE "$sanitize_pattern" "$work/log/server"
}

say "vecidx, $calls calls of each function: $("$PG_CONFIG" --version), $($cc --version | head -n 1), seed $seed"
say "  (built in $(($(date +%s) - began)) s)"
say ""
say "   accepted   rejected   us/call  slowest ms  function"

# Functions go to the sessions in turn.  Each line is a statement of its own,
# so that a report leaves the others' figures.
sessions=${sessions:-$jobs}
session=0
while [ $session -lt "$sessions" ]; do
	$as_user tee "$work/tmp/functions.$session" >/dev/null <<END
SELECT format('SELECT fuzz_line(%L, $seed, %s, %L)', f, CASE WHEN damaged THEN $calls / 4 ELSE $calls END, damaged)
FROM (SELECT f, damaged, row_number() OVER (ORDER BY md5(f::text || damaged)) AS n
	FROM fuzz_targets, (VALUES (false), (true)) AS d (damaged)
	WHERE (takes_own OR NOT damaged) AND f::text ~ '$only') t
WHERE n % $sessions = $session ORDER BY n \gexec
END
	setsid timeout "$limit" $as_user $sql -f "$work/tmp/functions.$session" \
		</dev/null >"$work/log/functions.$session" 2>&1 &
	pids="${pids:-} $!"
	session=$((session + 1))
done
bad=no
for pid in $pids; do
	wait "$pid" || bad=yes
done
cat "$work/log/functions."* | grep '^ *[0-9]' | LC_ALL=C sort -k 5
passed=$(cat "$work/log/functions."* | grep -c '^ *[0-9]')
if [ $bad = yes ] || [ "$passed" -eq 0 ] || reported; then
	failed=1
	say ""
	say "FAILED"
	grep -h -A 3 'ERROR:' "$work/log/functions."* | cut -c 1-2000 | sed 's/^/    /'
	reported && explain
fi

if [ "$only" = . ] && [ $failed -eq 0 ]; then
	say ""
	run "$work/log/statements" $sql -v calls="$calls" -v seed="$seed" -f "$work/tree/test/fuzz/statements.sql"
	statements_status=$?
	grep -E '^ok ' "$work/log/statements"
	passed=$((passed + $(grep -cE '^ok ' "$work/log/statements")))
	if [ $statements_status -ne 0 ] || reported; then
		failed=1
		grep -vE '^ok ' "$work/log/statements" | tail -n 20 | cut -c 1-2000 | sed 's/^/    /'
		reported && explain
	fi
fi
# Coverage-guided, of what needs no server.
clang=$(command -v clang || ls /usr/bin/clang-[0-9]* 2>/dev/null | sort -V | tail -n 1)
fuzz_float_text()
{
	cd "$work/tree/test/fuzz" &&
		$as_user "$1" -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I../../src \
			-o "$work/tmp/fuzz_float_text" fuzz_float_text.c ../../src/types/float_text.c -lm
}
if [ -n "$clang" ] && (fuzz_float_text "$clang") >"$work/log/float_text" 2>&1; then
	runs=$((calls * 10))
	$as_user mkdir -p "$work/tmp/corpus"
	if run "$work/log/float_text" "$work/tmp/fuzz_float_text" -dict="$work/tree/test/fuzz/float_text.dict" -runs="$runs" \
		-seed="$seed" -max_len=120 -artifact_prefix="$work/tmp/" "$work/tmp/corpus"; then
		say "ok float_text_read() as strtof(), $runs texts of libFuzzer's"
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		tail -n 30 "$work/log/float_text" | sed 's/^/    /'
	fi
else
	say "skipped: float_text_read() under libFuzzer, which needs clang and its runtime"
fi

say ""
say "$(($(date +%s) - began)) s in all"
say "$passed passed, $failed failed"
[ $failed -eq 0 ]
