#!/usr/bin/env python3
"""How HNSW indexes grow: queries a second at a fixed recall, build time and size
per row, over tables of more and more rows of the same data.

For each size the first rows of the base are loaded, an index is built, the
hnsw.ef_search that reaches the recall is sought, and the speed is measured on
both sides of it.  Targets and needed packages are those of compare.py:

    growth.py --pg-config /usr/lib/postgresql/17/bin/pg_config \\
        --base glove-100-angular.hdf5 --recall 0.95 --json growth.json --picture growth.svg

Without --sizes: 10k, 30k, 100k, 300k, 1M as far as the base reaches, and all of it.
"""
import statistics

import data
import results
import server
from progress import say
from results import both, print_table, rate_at
from server import mib

SIZES = [10000, 30000, 100000, 300000, 1000000]


def bracket(target, truth, goal, most):
    """Points {effort, recall} next below and above the goal, by doubling and halving; only one where
    the least effort is enough, and the last one below where none is."""
    def point(effort):
        return {"effort": effort, "recall": target.recall(effort, truth)}

    below, above = None, point(truth.k if target.method == "hnsw" else 1)
    while above["recall"] < goal:
        below = above
        effort = min(2 * below["effort"], most)
        if effort == below["effort"] or not target.accepts(effort):
            return [below]
        above = point(effort)
    while below and above["effort"] - below["effort"] > max(1, above["effort"] // 12):
        middle = point((below["effort"] + above["effort"]) // 2)
        if middle["recall"] < goal:
            below = middle
        else:
            above = middle
    return [p for p in (below, above) if p]


def at_size(args, targets, rows, queries):
    """Measures every target with these rows."""
    truth = data.Truth(args.metric, rows, queries, args.k)
    runs = []
    for t in targets:
        t.load(rows, queries)
        build = t.build("base", len(rows), args.workers)
        points = bracket(t, truth, args.recall, args.max_ef)
        for p in points:
            p["runs"] = []
        t.out["sizes"].append({"rows": len(rows), "build_s": build["seconds"], "build_us_per_row": build["us_per_row"],
                               "index_bytes": build["bytes"], "index_bytes_per_row": build["bytes"] / len(rows),
                               "build_wal_bytes_per_row": build["wal_bytes_per_row"], "points": points})
        if points[-1]["recall"] < args.recall:
            say(f"{t.label}: recall {args.recall:g} is not reached with {len(rows)} rows; {points[-1]['recall']:.4f} at {t.knob} {points[-1]['effort']}")
        else:
            runs += [(t, p) for p in points]
    for _ in range(args.rounds):
        for t, p in runs:
            p["runs"].append(t.speed(t.search_sql, len(queries), p["effort"], args.clients[0]))
    for t in targets:
        size = t.out["sizes"][-1]
        reached = [p for p in size["points"] if p["runs"]]
        for p in reached:
            for key in p["runs"][0]:
                p[key] = statistics.median(run[key] for run in p["runs"])
        for key in ("qps", "cpu_qps"):
            size[key] = rate_at(reached, key, args.recall)[0] if reached and key in reached[0] else None
        for key in ("effort", "p50_ms", "p99_ms"):      # of the point above the recall
            size[key] = reached[-1][key] if reached else None
        if reached:
            say(f"{t.label}: {size['rows']} rows, {size['qps']:.0f} queries/s at recall {args.recall:g}, {t.knob} {size['effort']}")


def measure(args, srv, result):
    base, queries = data.read(args)
    sizes = sorted({n for n in args.sizes or SIZES if n <= len(base)} | (set() if args.sizes else {len(base)}))
    if args.sizes and max(args.sizes) > len(base):
        raise RuntimeError(f"--sizes {max(args.sizes)}: the base has only {len(base)} rows")
    say(f"{args.name}: {base.shape[1]} dimensions, {args.metric}, sizes {', '.join(map(str, sizes))}")
    targets = srv.make_targets()
    result.update(results.head("growth", args, srv, base[:sizes[-1]], queries), recall=args.recall, targets=[t.out for t in targets])
    for t in targets:
        t.out["sizes"] = []
    for n in sizes:
        at_size(args, targets, base[:n], queries)


def report(result):
    targets = result["targets"]
    names = [t["target"] for t in targets]
    rows = []
    for i, size in enumerate(targets[-1]["sizes"]):
        at = [t["sizes"][i] for t in targets]
        n = f"{size['rows']} rows: "
        rows.append(both(f"{n}queries/s at recall {result['recall']:g}", [s["qps"] for s in at], "{:.0f}"))
        if all(s["cpu_qps"] for s in at):
            rows.append(both(f"{n}queries a CPU second", [s["cpu_qps"] for s in at], "{:.0f}"))
        rows.append(both(f"{n}ef_search or probes for it", [s["effort"] for s in at], "{:d}", True))
        rows.append(both(f"{n}build, us a row", [s["build_us_per_row"] for s in at], "{:.0f}", True))
        rows.append(both(f"{n}index, MiB", [mib(s["index_bytes"]) for s in at], "{:.1f}", True))
    print()
    print_table(["", *names, *[f"{name} : {names[-1]}" for name in names[:-1]]], rows)
    if any(s["effort"] == result["k"] for t in targets for s in t["sizes"]):
        print(f"(Where ef_search is {result['k']}, the least there is, recall is above the goal.)\n")


def arguments():
    p = results.parser(__doc__)
    data.add_arguments(p)
    server.add_arguments(p)
    what = p.add_argument_group("measurement")
    what.add_argument("--sizes", type=server.positive, metavar="ROWS,...", help="numbers of rows to measure with")
    what.add_argument("--recall", type=float, default=0.95, help="to give the rate at (default 0.95)")
    what.add_argument("--max-ef", type=int, default=1000, metavar="EF", help="give up above it, or above as many probes (default 1000, pgvector's highest ef_search)")
    what.add_argument("--workers", type=int, default=1, metavar="N", help="max_parallel_maintenance_workers of the builds (default 1)")
    what.add_argument("--clients", type=server.positive, default=[1], metavar="N", help="number of clients (default 1)")
    what.add_argument("--seconds", type=int, default=5, help="of each pgbench run (default 5)")
    what.add_argument("--rounds", type=int, default=3, help="pgbench runs of each point; the median counts (default 3)")
    results.add_arguments(p)
    args = results.parse(p)
    if not 0 < args.recall <= 1:
        p.error("--recall is above 0 and at most 1")
    if len(args.clients) > 1:
        p.error("--clients takes one number here")
    return args


if __name__ == "__main__":
    results.run("growth.py", arguments(), measure, report)
