#!/usr/bin/env python3
"""Recall against speed of vector indexes, side by side in one PostgreSQL.

Loads the same vectors into one database per target, builds an index in each
and measures build time, size, WAL, recall@k, queries a second and latencies
over a list of hnsw.ef_search values (or probes), with 1 to n clients; on request
single-row inserts, updates of another column, and VACUUM.  A target is an
extension that offers pgvector's SQL, with an access method and options:

    vecidx                          hnsw as it comes
    vecidx/ivfpq                    another access method
    vector/ivfflat:lists=1000       an index option
    vecidx:vecidx.simd=avx2         a setting (its name has a dot)

On Debian: apt-get install python3-numpy python3-psycopg2, and if wanted
python3-h5py (to read .hdf5), python3-matplotlib (pictures), python3-tqdm
(a progress bar).

A cluster of its own, removed at the end:
    compare.py --pg-config /usr/lib/postgresql/17/bin/pg_config \\
        --base glove-100-angular.hdf5 --clients 1,2 --json glove.json --picture glove.svg
A server that runs already (databases named vecidx_compare_* are made in it,
and dropped at the end):
    compare.py --dsn 'host=/var/run/postgresql user=postgres' --base base.npy --query query.npy
Everything, in some minutes:
    compare.py --base synthetic:20000x100 --workers 0,1 --inserts 1000 --updates 1000 --vacuum 0.2 --json all.json

docs/benchmarks.md tells what the figures mean.
"""
import statistics

import data
import inprocess
import results
import server
from progress import Progress, say
from results import both, print_table, rate_at, ratio
from server import mib

RECALL_TARGETS = [0.90, 0.95, 0.99]


def search(args, targets, queries, truth):
    """Every target's points: one for each ef and number of clients."""
    points = {}
    for t in targets:
        t.out["floor"] = [{"clients": n, **t.speed(t.floor_sql, len(queries), 40, n)} for n in args.clients]
        for i, effort in enumerate(t.efforts()):
            if not t.accepts(effort):
                say(f"{t.label}: {t.knob} = {effort} is refused, skipped")
                continue
            recall = t.recall(effort, truth)
            buffers = {"buffers": t.buffers(effort, len(queries))} if args.buffers else {}
            for n in args.clients:
                points[i, n, t.label] = {"effort": effort, "clients": n, "recall": recall, **buffers, "runs": []}
    # Targets side by side within an effort, all of it several times: a slow moment
    # of the machine meets them all.
    places = range(max(len(t.efforts()) for t in targets))
    with Progress("searching, runs", len(points) * args.rounds) as progress:
        for n in range(args.rounds):
            for i in places:
                for clients in args.clients:
                    line = []
                    for t in targets:
                        point = points.get((i, clients, t.label))
                        if point is None:
                            continue
                        point["runs"].append(t.speed(t.search_sql, len(queries), point["effort"], clients))
                        line.append(f"{t.label} {point['effort']} {point['recall']:.4f} {point['runs'][-1]['qps']:.0f}/s")
                        progress.step()
                    if line:
                        say(f"round {n + 1} of {args.rounds}, {clients} clients: " + ", ".join(line))
    for t in targets:
        t.out["points"] = [summary(points[i, n, t.label]) for n in args.clients for i in places if (i, n, t.label) in points]
        for key in ("qps", "cpu_qps"):
            if all(key in point for point in t.out["points"]):
                t.out[key + "_at"] = {
                    str(n): {str(goal): rate_at([p for p in t.out["points"] if p["clients"] == n], key, goal)
                             for goal in args.recall_targets}
                    for n in args.clients}


def search_cold(args, srv, targets, queries, goal):
    """Rates right after a restart, with the effort that just reached the recall: each page has to be read when it is
    first wanted.  Several times, as this cannot go on for long."""
    chosen = []
    for t in targets:
        reached = [p for p in t.out["points"] if p["recall"] >= goal]
        if reached:
            chosen.append((t, min(p["effort"] for p in reached), []))
        else:
            say(f"{t.label}: recall {goal:g} is not reached, nothing to measure cold")
    for n in range(args.rounds):
        for t, effort, runs in chosen:
            srv.cool()
            runs.append(t.speed(t.search_sql, len(queries), effort, args.clients[0]))
            say(f"cold, round {n + 1} of {args.rounds}: {t.label} {effort} {runs[-1]['qps']:.0f}/s")
    for t, effort, runs in chosen:
        t.out["cold"] = {"recall_goal": goal, "effort": effort, "seconds": args.seconds,
                         **{key: statistics.median(run[key] for run in runs) for key in ("qps", "p50_ms", "p99_ms")}}


def summary(point):
    runs = point["runs"]
    rates = [run["qps"] for run in runs]
    point.update(qps=statistics.median(rates), qps_min=min(rates), qps_max=max(rates),
                 p50_ms=statistics.median(run["p50_ms"] for run in runs),
                 p99_ms=statistics.median(run["p99_ms"] for run in runs))
    if all("cpu_qps" in run for run in runs):
        point["cpu_qps"] = statistics.median(run["cpu_qps"] for run in runs)
    return point


def measure(args, srv, result):
    base, queries = data.read(args)
    say(f"{args.name}: {len(base)} rows of {base.shape[1]} dimensions, {len(queries)} queries, {args.metric}")
    targets = srv.make_targets()
    targets[0].rows_held(len(base), args.inserts)       # before anything long
    result.update(results.head("compare", args, srv, base, queries), recall_targets=args.recall_targets,
                  targets=[t.out for t in targets])
    missing = args.hnswlib and inprocess.problem(args.metric)
    if missing:
        say(f"without hnswlib: {missing}")
        args.hnswlib = False
    truth = data.Truth(args.metric, base, queries, args.k)
    for t in targets:
        t.out.update(builds=[], points=[])
        t.load(base, queries)
    for workers in args.workers:
        for t in targets:
            t.out["builds"].append(t.build("base", len(base), workers))
    search(args, targets, queries, truth)
    if args.cold:
        search_cold(args, srv, targets, queries, args.cold)
    if args.hnswlib:
        result["hnswlib"] = inprocess.Hnswlib(args, base).measure(queries, truth)
    if args.inserts or args.updates:
        for t in targets:
            held = t.prepare_writes(base, args.inserts)
            if args.inserts:
                t.inserts(args.inserts, held, len(base), truth)
            if args.updates:
                t.updates(args.updates, truth)
    if args.vacuum:
        for t in targets:
            t.vacuum(base, queries)


# --------------------------------------------------------------- report

def clients_text(n):
    return f"{n} client" + ("s" if n > 1 else "")


def search_rows(result):
    """Rates for each number of clients, and what more clients give."""
    targets, counts = result["targets"], result["arguments"]["clients"]
    rows = []

    def at(t, n, goal, key="qps_at"):
        return (t[key][str(n)][str(goal)] or [None])[0]

    for i, n in enumerate(counts):
        tail = f", {clients_text(n)}" if len(counts) > 1 else ""
        rows.append(both("queries/s without the index" + tail, [t["floor"][i]["qps"] for t in targets], "{:.0f}"))
        for goal in result["recall_targets"]:
            rows.append(both(f"queries/s at recall {goal:.2f}{tail}", [at(t, n, goal) for t in targets], "{:.0f}"))
        if all("cpu_qps_at" in t for t in targets):
            for goal in result["recall_targets"]:
                rows.append(both(f"queries a CPU second at {goal:.2f}{tail}",
                                 [at(t, n, goal, "cpu_qps_at") for t in targets], "{:.0f}"))
    for n in counts[1:]:
        for goal in result["recall_targets"]:
            rows.append([f"{clients_text(n)} : {clients_text(counts[0])} at {goal:.2f}",
                         *[ratio(at(t, n, goal), at(t, counts[0], goal)) for t in targets], *["" for _ in targets[1:]]])
    return rows


def cold_rows(result):
    targets = result["targets"]
    if not any("cold" in t for t in targets):
        return []
    goal = next(t["cold"]["recall_goal"] for t in targets if "cold" in t)
    return [both(f"after a restart with cold caches, at {goal:.2f}: {title}", [t["cold"][key] if "cold" in t else None for t in targets], form, less)
            for title, key, form, less in (("queries/s", "qps", "{:.0f}", False), ("p99 ms", "p99_ms", "{:.1f}", True))]


def write_rows(result, kind, title):
    targets = result["targets"]
    if not all(kind in t for t in targets):
        return []
    rows = []
    for i, phase in enumerate(targets[-1][kind]["phases"]):
        phases = [t[kind]["phases"][i] for t in targets]
        what = f"full pages {phase['full_page_writes']}, {clients_text(phase['clients'])}"
        rows.append(both(f"{title}/s, {what}", [p["per_second"] for p in phases], "{:.0f}"))
        rows.append(both(f"{title}, p99 ms, {what}", [p["p99_ms"] for p in phases], "{:.2f}", True))
        rows.append(both(f"{title}, WAL bytes a row, {what}", [p["wal_bytes_per_row"] for p in phases], "{:.0f}", True))
    rows.append(both(f"recall after {title}", [t[kind]["recall_after"] for t in targets], "{:.4f}"))
    return rows


def vacuum_rows(result):
    targets = result["targets"]
    if not all("vacuum" in t for t in targets):
        return []
    part = targets[-1]["vacuum"]["fraction"]

    def row(title, get, form, less=False):
        return both(title, [get(t["vacuum"]) for t in targets], form, less)

    return [row(f"VACUUM of {part:g} of the rows: s", lambda v: v["seconds"], "{:.1f}", True),
            row("VACUUM: s of processor", lambda v: v.get("cpu_seconds"), "{:.1f}", True),
            row("VACUUM WAL: MiB", lambda v: mib(v["wal_bytes"]), "{:.1f}", True),
            row("recall after VACUUM", lambda v: v["recall_after"], "{:.4f}"),
            row("index after inserting them again: MiB", lambda v: mib(v["bytes_reinserted"]), "{:.1f}", True),
            row("recall then", lambda v: v["recall_reinserted"], "{:.4f}")]


def report(result):
    """Markdown on stdout.  Ratios are against the last target, > 1 is better."""
    targets = result["targets"]
    reference = targets[-1]
    names = [t["target"] for t in targets]
    versus = [f"{name} : {names[-1]}" for name in names[:-1]]

    rows = []
    for i, build in enumerate(reference["builds"]):
        rows.append(both(f"build, {build['workers']} workers: s", [t["builds"][i]["seconds"] for t in targets], "{:.1f}", True))
        if all("cpu_seconds" in t["builds"][i] for t in targets):
            rows.append(both(f"build, {build['workers']} workers: s of processor", [t["builds"][i]["cpu_seconds"] for t in targets], "{:.1f}", True))
    rows.append(both("index: MiB", [mib(t["builds"][-1]["bytes"]) for t in targets], "{:.1f}", True))
    rows.append(both("build, WAL bytes a row", [t["builds"][-1]["wal_bytes_per_row"] for t in targets], "{:.0f}", True))
    rows += search_rows(result)
    rows += cold_rows(result)
    rows += write_rows(result, "inserts", "inserts")
    rows += write_rows(result, "updates", "updates")
    rows += vacuum_rows(result)
    print()
    print_table(["", *names, *versus], rows)
    if any((by_goal[str(goal)] or [0, False])[1] for t in targets for by_goal in t["qps_at"].values() for goal in result["recall_targets"]):
        print("(A target that the least effort passes already is given that point's figure.)\n")

    rows = []
    for t in targets:
        for p in t["points"]:
            rows.append([t["target"], p["clients"], p["effort"], f"{p['recall']:.4f}", f"{p['qps']:.0f}",
                         f"{p['qps_min']:.0f}-{p['qps_max']:.0f}",
                         f"{1e6 / p['cpu_qps']:.0f}" if "cpu_qps" in p else "-", f"{p['p50_ms']:.3f}", f"{p['p99_ms']:.3f}",
                         f"{p['buffers']:.0f}" if "buffers" in p else "-"])
    for p in result.get("hnswlib", {}).get("points", []):
        rows.append(["hnswlib", "in process", p["effort"], f"{p['recall']:.4f}", f"{p['qps']:.0f}",
                     f"{min(run['qps'] for run in p['runs']):.0f}-{max(run['qps'] for run in p['runs']):.0f}", f"{1e6 / p['cpu_qps']:.0f}", "-", "-", "-"])
    print_table(["", "clients", "ef or probes", f"recall@{result['k']}", "queries/s", "rounds", "CPU us", "p50 ms", "p99 ms", "buffers"], rows)


def arguments():
    p = results.parser(__doc__)
    data.add_arguments(p)
    server.add_arguments(p)
    what = p.add_argument_group("measurement")
    what.add_argument("--workers", type=server.numbers, default=[0], metavar="N,...",
                      help="max_parallel_maintenance_workers: builds once with each, searches the last (default 0)")
    what.add_argument("--ef-list", type=server.positive, default=[20, 40, 80, 120, 200, 400, 800], metavar="EF,...",
                      help="values of hnsw.ef_search (default 20,40,80,120,200,400,800)")
    what.add_argument("--probes-list", type=server.positive, default=[1, 2, 5, 10, 20, 40, 80, 160, 320], metavar="N,...",
                      help="values of ivfflat.probes and ivfpq.probes (default 1,2,5,10,20,40,80,160,320)")
    what.add_argument("--recall-targets", type=lambda s: [float(w) for w in s.split(",")], default=RECALL_TARGETS, metavar="R,...",
                      help="recalls to give the rate at (default 0.9,0.95,0.99)")
    what.add_argument("--clients", type=server.positive, default=[1], metavar="N,...",
                      help="numbers of clients, all measured, the first is what the others are compared with (default 1)")
    what.add_argument("--seconds", type=int, default=5, help="of each pgbench run (default 5)")
    what.add_argument("--rounds", type=int, default=3, help="pgbench runs of each point; the median counts (default 3)")
    what.add_argument("--buffers", action="store_true", help="buffer accesses of the index scan, by EXPLAIN")
    what.add_argument("--cold", type=float, default=0, metavar="RECALL",
                      help="also restart the server with cold caches and measure the first seconds, with the effort that reaches this recall; "
                           "choose --shared-buffers for how much of the data is to fit (private cluster)")
    what.add_argument("--hnswlib", action="store_true",
                      help="beside them hnswlib in this program's process, where its Python module is installed; one query at a time")
    what.add_argument("--inserts", type=int, default=0, metavar="N",
                      help="time single-row inserts: N with full_page_writes and N without for each number of clients, into a second "
                           "table that lacks these rows")
    what.add_argument("--updates", type=int, default=0, metavar="N",
                      help="time updates of another column than the vector's, N in the same ways")
    what.add_argument("--vacuum", type=float, default=0, metavar="FRACTION", help="delete that share, time VACUUM, insert it again")
    what.add_argument("--ef-check", type=int, default=200, metavar="EF", help="of the recall after writes and VACUUM (default 200)")
    what.add_argument("--probes-check", type=int, default=40, metavar="N", help="the same of ivfflat and ivfpq (default 40)")
    results.add_arguments(p)
    args = results.parse(p)
    for name in ("inserts", "updates"):
        if 0 < getattr(args, name) < max(args.clients):
            p.error(f"--{name} has to be at least the number of clients")
    if not 0 <= args.cold <= 1 or (args.cold and (args.dsn or args.socket)):
        p.error("--cold takes a recall, and a private cluster, which it restarts")
    if not 0 <= args.vacuum < 1:
        p.error("--vacuum is a share of the rows, from 0 to less than 1")
    return args


if __name__ == "__main__":
    results.run("compare.py", arguments(), measure, report)
