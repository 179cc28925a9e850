# sanitize.sh: the extension under AddressSanitizer and
# UndefinedBehaviorSanitizer in a copy of the stock server.  Sourced after
# lib.sh; CC is the compiler, gcc unless set.

# -fwrapv, a flag of the server's build, would hide signed overflow.  -O1: what is
# checked is the source, and half a minute of compiling is saved.
cc=${CC:-gcc}
sanitize="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"
sanitize_copt="$sanitize -fno-omit-frame-pointer -fno-wrapv"
sanitize_cflags="-std=gnu11 -O1 -fno-math-errno"

# sanitize_build DIRECTORY LOG ARGUMENT...: compile there and install into the copy.
sanitize_build()
{
	build_dir=$1
	build_log=$2
	shift 2
	if ! run "$build_log" make -s -j"$jobs" -C "$build_dir" CC="$cc" PG_CONFIG="$PG_CONFIG" with_llvm=no "$@" ||
		! run "$build_log.install" make -s -C "$build_dir" install DESTDIR="$work/pg" PG_CONFIG="$PG_CONFIG" with_llvm=no; then
		tail -n 30 "$build_log"* >&2
		die "cannot build $build_dir"
	fi
}

# sanitize_all ASAN_OPTIONS: copy the tree and PostgreSQL, build the extension
# with sanitizers and install it; every server of the copy loads their runtime.
# Ends the program with status 77 where there is none.
sanitize_all()
{
	printf 'int main(void) { return 0; }\n' | $as_user tee "$work/tmp/try.c" >/dev/null
	# shellcheck disable=SC2086
	if ! $as_user $cc $sanitize -o "$work/tmp/try" "$work/tmp/try.c" >/dev/null 2>&1 || ! $as_user "$work/tmp/try"; then
		say "$cc has no working AddressSanitizer and UndefinedBehaviorSanitizer here: nothing done"
		exit 77
	fi
	case $($cc --version) in
		*clang*)
			asan=$($cc -print-file-name="libclang_rt.asan-$(uname -m).so")
			sanitize_copt="$sanitize_copt -shared-libasan"
			;;
		*) asan=$($cc -print-file-name=libasan.so) ;;
	esac
	copy_tree
	copy_postgres
	sanitize_build "$work/tree" "$work/log/build" PG_CFLAGS="$sanitize_cflags" COPT="$sanitize_copt"
	run "$work/log/preload" "$cc" -shared -fPIC -O -o "$work/pg/fuzz_preload.so" "$work/tree/test/fuzz/fuzz_preload.c" || {
		cat "$work/log/preload" >&2
		die "cannot compile fuzz_preload.c"
	}

	# The runtime must be there before anything else, in the server and not in
	# the clients: hence a script in the server's place.
	$as_user mv "$pg_bin/postgres" "$pg_bin/postgres.bin"
	$as_user tee "$pg_bin/postgres" >/dev/null <<END
#!/bin/sh
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1:detect_stack_use_after_return=0:$1
UBSAN_OPTIONS=print_stacktrace=1
LD_PRELOAD=$asan:$work/pg/fuzz_preload.so
export ASAN_OPTIONS UBSAN_OPTIONS LD_PRELOAD
exec "\${0%/*}/postgres.bin" "\$@"
END
	$as_user chmod 755 "$pg_bin/postgres"
}

sanitize_pattern='ERROR: AddressSanitizer|runtime error:'
