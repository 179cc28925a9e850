#!/usr/bin/python3
"""Processor time of a call of each function of the types, in ns, side by side.

    createdb a; psql -d a -c 'CREATE EXTENSION vecidx'
    createdb b; psql -d b -c 'CREATE EXTENSION vector'          # pgvector
    test/bench/functions.py a b --type halfvec --dims 1000

Both databases are in one server, on Linux, reached by psql as a superuser
(PGHOST and so on).  Each call is made on 1,000 rows, again and again; what
the same query without it takes is subtracted, and the least of all rounds
counts.  Time is what the kernel says the server's process ran
(/proc/self/schedstat): waiting for a processor is not in it.
"""
import argparse
import re
import subprocess

ROWS = 1000
VALUE = "(SELECT w FROM one)"       # a second operand, worked out once
STATE = "(SELECT state FROM arrays)"


def dense(name, dims):
    norm = "vector_norm" if name == "vector" else "l2_norm"
    other = "halfvec" if name == "vector" else "vector"
    calls = [f"v {op} {VALUE}" for op in ("<->", "<#>", "<=>", "<+>", "+", "-", "*", "||", "<")]
    calls += [f"{name}_{f}(v, {VALUE})" for f in ("l2_squared_distance", "spherical_distance")]
    calls += [f"inner_product(v, {VALUE})", "v = v", f"{name}_cmp(v, v)", f"{norm}(v)", "l2_normalize(v)", "binary_quantize(v)",
              "vector_dims(v)", f"subvector(v, 2, {dims // 2})", f"v::{name}({dims})", f"v::{other}", "v::sparsevec"]
    calls += [f"{name}_send(v)", "v::text", f"v::text::{name}", "v::real[]", f"v::real[]::{name}"]
    calls += [f"(SELECT {a} FROM arrays)::{name}" for a in ("ints", "doubles", "numerics")]
    calls += [f"{name}_accum({STATE}, v)", f"{name}_combine({STATE}, {STATE})", f"{name}_avg({STATE})"]
    return calls


def sparse():
    calls = [f"v {op} {VALUE}" for op in ("<->", "<#>", "<=>", "<+>", "<")]
    return calls + [f"sparsevec_l2_squared_distance(v, {VALUE})", "v = v", "sparsevec_cmp(v, v)", "l2_norm(v)", "l2_normalize(v)",
                    "v::sparsevec(10000)", "v::vector", "v::halfvec", "v::vector::sparsevec", "v::halfvec::sparsevec",
                    "sparsevec_send(v)", "v::text", "v::text::sparsevec",
                    "(SELECT ints FROM arrays)::sparsevec", "(SELECT doubles FROM arrays)::sparsevec"]


def setup(name, dims):
    series = f"generate_series(1, {dims}) WHERE r > 0"
    if name == "sparsevec":
        column = "sparsevec"
        value = (f"(SELECT '{{' || string_agg(i || ':' || (random() + 0.5)::real, ',') || '}}/10000' "
                 f"FROM (SELECT DISTINCT 1 + (random() * 9999)::int AS i FROM {series}) s)::sparsevec")
    elif name == "bit":
        column = f"bit({dims})"
        value = f"(SELECT string_agg((random() > 0.5)::int::text, '') FROM {series})::{column}"
    else:
        column = name
        # nothing near zero: products of halves must not underflow
        value = (f"(SELECT array_agg(((CASE WHEN random() < 0.5 THEN -1 ELSE 1 END) * (random() + 0.25))::real) "
                 f"FROM {series})::real[]::{name}")
    return f"""\\set QUIET 1
\\pset tuples_only on
SET client_min_messages = error; SET jit = off; SET max_parallel_workers_per_gather = 0;
SET temp_buffers = '200MB'; SET work_mem = '200MB'; SELECT setseed(0.5) \\g /dev/null
CREATE TEMP TABLE a (v {column});
CREATE TEMP TABLE one (w {column});
ALTER TABLE a ALTER v SET STORAGE plain;
ALTER TABLE one ALTER w SET STORAGE plain;
INSERT INTO a SELECT {value} FROM generate_series(1, {ROWS}) r;
INSERT INTO one SELECT v FROM a OFFSET 7 LIMIT 1;
CREATE TEMP TABLE arrays AS SELECT array_fill(3, ARRAY[{dims}]) AS ints, array_fill(3.5, ARRAY[{dims}]) AS numerics,
	array_fill(3.5::float8, ARRAY[{dims}]) AS doubles, array_fill(3.5::float8, ARRAY[{dims} + 1]) AS state;
\\set clock 'SELECT split_part(pg_read_file(''/proc/self/schedstat''), '' '', 1)::bigint'
"""


def measure(database, name, dims, calls):
    """Times of one round: for each call, lists of ns without and with it."""
    script = setup(name, dims)
    for i, (call, repeats) in enumerate(calls):
        rows = f"FROM a, generate_series(1, {repeats}) \\g /dev/null\n"
        script += 4 * (f":clock AS t0 \\gset\nSELECT count(v) {rows}:clock AS t1 \\gset\n"
                       f"SELECT count({call}) {rows}:clock AS t2 \\gset\n\\echo @ {i} :t0 :t1 :t2\n")
    out = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database], input=script, capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{database}: {out.stderr}")
    times = [([], []) for _ in calls]
    for i, t0, t1, t2 in re.findall(r"^@ (\d+) (\d+) (\d+) (\d+)$", out.stdout, re.M):
        times[int(i)][0].append(int(t1) - int(t0))
        times[int(i)][1].append(int(t2) - int(t1))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", help="the one to measure")
    parser.add_argument("other", help="the one to compare it with")
    parser.add_argument("--type", default="vector", choices=("vector", "halfvec", "sparsevec", "bit"))
    parser.add_argument("--dims", type=int, default=128, help="dimensions; of sparsevec, elements of 10,000 dimensions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=20, help="calls of each row in a query")
    parser.add_argument("--only", default="", help="a regular expression of calls")
    args = parser.parse_args()

    calls = {"sparsevec": sparse, "bit": lambda: [f"v {op} {VALUE}" for op in ("<~>", "<%>")]}.get(
        args.type, lambda: dense(args.type, args.dims))()
    # what takes microseconds need not be repeated as often
    calls = [(c, max(1, args.repeats // 20) if re.search("text|numerics", c) else args.repeats)
             for c in calls if re.search(args.only, c)]
    least = {}
    for _ in range(args.rounds):
        for database in (args.database, args.other):
            for i, (without, with_call) in enumerate(measure(database, args.type, args.dims, calls)):
                old = least.get((database, i), (float("inf"), float("inf")))
                least[database, i] = (min([old[0]] + without), min([old[1]] + with_call))

    print(f"{args.type}, {args.dims} dimensions: ns a call\n{'':40s}{args.database:>12s}{args.other:>12s}")
    for i, (call, repeats) in enumerate(calls):
        a, b = ((least[d, i][1] - least[d, i][0]) / (ROWS * repeats) for d in (args.database, args.other))
        shown = re.sub(r"\(SELECT (\w+) FROM \w+\)", r"\1", call)
        print(f"{shown:40s}{a:12.1f}{b:12.1f}")


if __name__ == "__main__":
    main()
