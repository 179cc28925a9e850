#!/usr/bin/env python3
"""Searches under a condition, WHERE ... ORDER BY v <=> q LIMIT k: recall, queries that come back short, speed, pages read,
and what the planner chooses, for conditions of every kind side by side in one PostgreSQL.

Targets are those of compare.py, and take one option more:

    vecidx/hnsw:filters=index       the columns of the conditions are in the index: USING hnsw (v vector_cosine_ops, u, topic, ...)
    vecidx/hnsw                     they are not
    vector                          pgvector's, tried with each iterative_scan, max_scan_tuples and ef_search

    filters.py --pg-config /usr/lib/postgresql/17/bin/pg_config --base glove-100-angular.hdf5 --rows 200000 --queries 200 \\
        --json filters.json --picture filters.svg

Cells: 100, 50, 10, 1, 0.1, 0.01 (per cent of the rows, at random), own and farthest (the rows of the topic that is nearest to the query, and
of the one that is farthest), tenant40, tenant1, tenant0.1 (of 10,000 whose sizes fall by Zipf's law), two (conditions of 10 % each),
tags (an array that has an element).

docs/benchmarks.md tells what the figures mean.
"""
import collections
import json
import statistics
import time

import binary
import data
import results
import server
from cells import Conditions
from progress import Progress, say
from results import both, print_table
from server import Target, mib

CELLS = ["100", "50", "10", "1", "0.1", "0.01", "own", "farthest", "tenant40", "tenant1", "tenant0.1", "two"]
NO_LIMIT = {"hnsw.max_scan_tuples": 2147483647, "hnsw.scan_mem_multiplier": 1000}
# Plans that are forced, by what is switched off; without_index also takes the vector index away.
FORCED = {
    "vector index": {"settings": {"enable_sort": "off"}, "without_index": False},
    "btree and sort": {"settings": {"enable_seqscan": "off"}, "without_index": True},
    "seq scan and sort": {"settings": {"enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_bitmapscan": "off"}, "without_index": True},
}


class FilterTarget(Target):
    """A target whose table has further columns, each with a btree index."""

    def __init__(self, text, args, srv):
        super().__init__(text, args, srv)
        where = self.reloptions.pop("filters", "outside")
        if where not in ("index", "outside"):
            raise RuntimeError(f"--targets {text}: filters=index or filters=outside")
        if where == "index":
            self.index_columns = args.columns
        self.settings["enable_seqscan"] = "on"
        self.settings["plan_cache_mode"] = getattr(args, "plan_cache_mode", "auto")
        self.out.update(filters=where, cells=[])

    def add_btrees(self):
        for column in self.args.columns:
            self.execute(f"CREATE INDEX base_{column} ON base {'USING gin ' if column == 'tags' else ''}({column})")
        self.execute("VACUUM (ANALYZE) base")

    def ladders(self):
        """Lists of settings, each in order of rising effort, of which those after one that is good enough are left out."""
        if self.extension == "vecidx":      # which are all measured
            return [[{self.knob: effort}] for effort in (self.args.ef if self.method == "hnsw" else self.args.probes)]
        if self.method != "hnsw":
            return [[{f"{self.method}.iterative_scan": mode, self.knob: n} for n in self.args.probes_list]
                    for mode in self.args.scans if mode != "strict_order"]
        return [[{"hnsw.iterative_scan": mode, **limit, self.knob: ef} for ef in self.args.ef_list]
                for mode, limit in (("off", {}), ("relaxed_order", {}), ("relaxed_order", NO_LIMIT), ("strict_order", {}), ("strict_order", NO_LIMIT))
                if mode in self.args.scans]


class Session:
    """A connection with a cell's statement prepared."""

    def __init__(self, target, cell, settings, without_index=False):
        self.target, self.cell = target, cell
        self.lookup = target.args.vector == "lookup"
        self.conn = target.connect()
        self.cur = self.conn.cursor()
        self.cur.execute(f"SELECT '[1]'::vector {target.operator} '[1]'")       # loads the library
        for name, value in settings.items():
            self.cur.execute(f"SET {name} = %s", (value,))
        if without_index:       # until the session ends
            self.cur.execute("BEGIN")
            self.cur.execute("DROP INDEX base_idx")
        where = cell.where.format(*(f"${i + 2}" for i in range(len(cell.types))))
        self.cur.execute(f"PREPARE search ({'integer' if self.lookup else target.args.type}, {', '.join(cell.types)}) AS SELECT b.id FROM base b WHERE {where} "
                         f"ORDER BY b.v {target.operator} {'(SELECT v FROM queries WHERE id = $1)' if self.lookup else '$1'} LIMIT {target.args.k}")
        self.sql = f"EXECUTE search (%s{', %s' * len(cell.types)})"
        self.statement = binary.Statement(self.conn, "search")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def search(self, query):
        if not self.lookup:
            return self.statement.execute(self.target.wire[query], self.cell.values(query))
        self.cur.execute(self.sql, (query, *self.cell.values(query)))
        return [row[0] for row in self.cur.fetchall()]

    def explain(self, query, analyze=False):
        first = query if self.lookup else str(list(map(float, self.target.vectors[query])))
        self.cur.execute(f"EXPLAIN ({'ANALYZE, BUFFERS, TIMING OFF, ' if analyze else ''}FORMAT JSON) {self.sql}", (first, *self.cell.values(query)))
        plan = self.cur.fetchone()[0]
        return (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]

    def buffers(self, queries):
        """Pages hit and read by a statement, without the look-up of the query's vector."""
        hit = read = 0
        for i in queries:
            plan = self.explain(i, True)
            looked_up = [p for p in [*plan.get("Plans", ()), *nested(plan)] if p.get("Parent Relationship") == "InitPlan"]
            hit += plan["Shared Hit Blocks"] - sum(p["Shared Hit Blocks"] for p in looked_up[:1])
            read += plan["Shared Read Blocks"] - sum(p["Shared Read Blocks"] for p in looked_up[:1])
        return {"hit": hit / len(queries), "read": read / len(queries)}

    def warm(self, queries, seconds):
        until = time.perf_counter() + seconds
        for i in queries[:20]:
            self.search(i)
            if time.perf_counter() > until:
                break

    def run(self, queries, seconds, patience):
        """All of the queries once, and again until the seconds are over; after patience seconds no more than ten."""
        cluster, pid = self.target.cluster, self.conn.info.backend_pid
        self.warm(queries, patience / 5)
        found, took, begin = {}, [], time.perf_counter()
        cpu = cluster.session_cpu_seconds(pid) if cluster else None
        while True:
            for i in queries:
                start = time.perf_counter()
                rows = self.search(i)
                took.append(time.perf_counter() - start)
                found.setdefault(i, rows)
                if len(took) >= 10 and time.perf_counter() - begin > patience:
                    break
            if time.perf_counter() - begin > seconds:
                break
        out = {"queries": len(found), "executions": len(took), "qps": len(took) / sum(took), "p50_ms": 1000 * statistics.median(took)}
        if cpu is not None:
            out["cpu_us"] = 1e6 * (cluster.session_cpu_seconds(pid) - cpu) / len(took)
        return out, found


def plan_names(session, queries):
    """The plans that these queries have, the most frequent first."""
    count = collections.Counter(plan_name(session.explain(i)) for i in queries)
    return next(iter(count)) if len(count) == 1 else ", ".join(f"{name} {n}" for name, n in count.most_common())


def nested(plan):
    return [p for child in plan.get("Plans", ()) for p in child.get("Plans", ())]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def plan_name(plan):
    """How the plan reads the table: vector index, bitmap, ..."""
    parallel = "parallel " if any(p["Node Type"].startswith("Gather") for p in nodes(plan)) else ""
    for p in nodes(plan):
        if p.get("Index Name") == "base_idx" and p["Node Type"] == "Index Scan":
            return "vector index"
        if p.get("Relation Name") == "base":
            return parallel + {"Seq Scan": "seq scan", "Bitmap Heap Scan": "bitmap", "Index Scan": "btree"}.get(p["Node Type"], p["Node Type"])
    raise RuntimeError("a plan that does not read the table")


def cost(point):
    """Of a query: processor time where it is known, otherwise time."""
    return point.get("cpu_us", 1e6 / point["qps"])


def better(point, other, goal):
    """The cheapest that reaches the recall, with every row; without one, that with the best recall."""
    if other is None:
        return True
    reached, was = fit(point, goal), fit(other, goal)
    if reached != was:
        return reached
    return cost(point) < cost(other) if reached else (point["recall"], -cost(point)) > (other["recall"], -cost(other))


def fit(point, goal):
    return point["recall"] >= goal and point["short"] == 0


def try_settings(args, target, cell, queries):
    """Points of one target in one cell, and the best of them.  A ladder is left where more effort cannot pay."""
    points, best = [], None
    for ladder in target.ladders():
        for settings in ladder:
            with Session(target, cell, {**FORCED["vector index"]["settings"], **settings}) as session:
                if plan_name(session.explain(0)) != "vector index":
                    raise RuntimeError(f"{target.label}, {cell.title}: the vector index is not used")
                point, found = session.run(queries, args.seconds, args.patience)
            cell.check(found)
            point.update(settings=settings, recall=cell.answers.recall(found),
                         short=sum(len(rows) < cell.answers.want[i] for i, rows in found.items()))
            point["short"] = int(point["short"])
            points.append(point)
            say(f"{cell.title}: {target.label} {settings_text(settings)}: recall {point['recall']:.4f}, {point['short']} of {point['queries']} short, "
                f"{point['qps']:.0f}/s" + (f", {point['cpu_us']:.0f} us" if "cpu_us" in point else ""))
            if better(point, best, args.recall):
                best = point
            if fit(point, args.recall) or (fit(best, args.recall) and cost(point) > 2 * cost(best)):
                break
    return points, best


def measure_cell(args, targets, cell, queries):
    entries = {}
    for t in targets:
        points, best = try_settings(args, t, cell, queries)
        entries[t] = {**cell.out(), "points": points, "best": dict(best), "runs": []}
        t.out["cells"].append(entries[t])
    # The best of each, side by side: a slow moment of the machine meets them all.
    forced = FORCED["vector index"]["settings"]
    for _ in range(args.rounds):
        for t in targets:
            with Session(t, cell, {**forced, **entries[t]["best"]["settings"]}) as session:
                entries[t]["runs"].append(session.run(queries, args.seconds, args.patience)[0])
    for t in targets:
        entry = entries[t]
        for key in ("qps", "p50_ms", "cpu_us"):
            if key in entry["best"] and entry["runs"]:
                entry["best"][key] = statistics.median(run[key] for run in entry["runs"])
        with Session(t, cell, {**forced, **entry["best"]["settings"]}) as session:
            few = queries[:20]
            session.warm(few, args.patience / 5)
            entry["best"]["buffers"] = session.buffers(few)
        say(f"{cell.title}: {t.label} at its best ({settings_text(entry['best']['settings'])}): {entry['best']['qps']:.0f}/s")
    if args.plans:
        for t in targets:
            plans(args, t, entries[t], cell, queries[:args.plans])


def plans(args, target, entry, cell, queries):
    """What the planner takes, planned each time and once PostgreSQL has made up its mind about a prepared statement (by default
    after five executions), and how long each way takes."""
    settings = entry["best"]["settings"]
    ways = {"chosen": {"settings": {"plan_cache_mode": "force_custom_plan"}}, "prepared": {"settings": {"plan_cache_mode": "auto"}},
            **{name: {**way, "settings": {**way["settings"], "plan_cache_mode": "force_custom_plan"}} for name, way in FORCED.items()}}
    out = {}
    for _ in range(args.rounds):
        for name, way in ways.items():
            with Session(target, cell, {**settings, **way["settings"]}, way.get("without_index", False)) as session:
                run, _found = session.run(queries, 0, args.patience / 4)
                plan = plan_names(session, queries)
                out.setdefault(name, {"plan": plan, "runs": []})["runs"].append(run)
    for name, way in out.items():
        for key in ("p50_ms", "cpu_us"):
            if key in way["runs"][0]:
                way[key] = min(run[key] for run in way["runs"])
        # other programs on the machine do not lengthen processor time, but a parallel plan spends it to save time
        way["ms"] = way["cpu_us"] / 1000 if "cpu_us" in way and "parallel" not in way["plan"] else way["p50_ms"]
    entry["plans"] = out
    fastest = min(FORCED, key=lambda name: out[name]["ms"])
    entry["fastest"] = fastest
    for name in ("chosen", "prepared"):
        out[name]["ratio"] = out[name]["ms"] / out[fastest]["ms"]
    say(f"{cell.title}: {target.label}: " + ", ".join(f"{name} ({way['plan']}) {way['ms']:.2f} ms" for name, way in out.items()))


def measure(args, srv, result):
    base, queries = data.read(args)
    say(f"{args.name}: {len(base)} rows of {base.shape[1]} dimensions, {len(queries)} queries, {args.metric}")
    if args.extensions is None:
        args.extensions = default_targets(srv, len(base))
    targets = srv.make_targets(FilterTarget)
    result.update(results.head("filters", args, srv, base, queries), recall_goal=args.recall, targets=[t.out for t in targets])
    conditions = Conditions(base, queries, args.metric)
    cells = conditions.choose(args.cells)
    conditions.answer(cells, args.metric, base, queries, args.k)
    columns = {name: conditions.columns[name] for name in args.columns}
    for t in targets:
        t.load(base, queries, columns)
        t.vectors, t.wire = queries, [binary.wire(q, data.TYPES[args.type]) for q in queries]
        t.out["build"] = t.build("base", len(base), args.workers)
        t.add_btrees()
    with Progress("searching, cells", len(cells)) as progress:
        for cell in cells:
            measure_cell(args, targets, cell, list(range(len(queries))))
            progress.step()


def default_targets(srv, rows):
    methods = ("hnsw", "ivfflat", "ivfpq")
    names = [f"vecidx/{m}:filters=index" for m in methods] + [f"vecidx/{m}" for m in methods]
    with srv.admin.cursor() as cur:
        cur.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        return names + (["vector", f"vector/ivfflat:lists={max(10, rows // 1000)}"] if cur.fetchone() else [])


# --------------------------------------------------------------- report

def settings_text(settings):
    short = {"hnsw.ef_search": "ef", "hnsw.iterative_scan": "", "hnsw.max_scan_tuples": "tuples", "ivfflat.probes": "probes", "ivfpq.probes": "probes",
             "ivfflat.iterative_scan": "", "hnsw.scan_mem_multiplier": None}
    return " ".join(filter(None, (None if short.get(name, name) is None else f"{short.get(name, name)} {value if value != 2147483647 else 'all'}".strip()
                                  for name, value in settings.items())))


def rate(entry):
    """Queries a second of processor time where that is known, otherwise of time."""
    return 1e6 / cost(entry["best"])


def reference(result, cell):
    """The entry of pgvector (or, without it, of the last target) that is the best in this cell."""
    goal = result["recall_goal"]
    found = None
    for t in [t for t in result["targets"] if t["target"].split("/")[0].split(":")[0] == "vector"] or result["targets"][-1:]:
        for entry in t["cells"]:
            if entry["cell"] == cell and (found is None or better(entry["best"], found["best"], goal)):
                found = entry
    return found


def report(result):
    """Markdown on stdout."""
    goal = result["recall_goal"]
    rows = [both("build, s", [t["build"]["seconds"] for t in result["targets"]], "{:.1f}", True),
            both("index, MiB", [mib(t["build"]["bytes"]) for t in result["targets"]], "{:.1f}", True)]
    count = len(result["targets"])
    print()
    print_table(["", *[t["target"] for t in result["targets"]]], [row[:count + 1] for row in rows])
    rows = []
    for number in range(max(len(t["cells"]) for t in result["targets"])):
        for t in result["targets"]:
            if number >= len(t["cells"]):
                continue
            entry = t["cells"][number]
            best, versus = entry["best"], reference(result, entry["cell"])
            rows.append([entry["title"], t["target"], settings_text(best["settings"]) or "defaults", f"{best['recall']:.4f}" + ("" if best["recall"] >= goal else " !"),
                         f"{best['short']} of {best['queries']}", f"{best['qps']:.0f}", f"{best['cpu_us']:.0f}" if "cpu_us" in best else "-",
                         f"{best['buffers']['hit']:.0f} + {best['buffers']['read']:.0f}",
                         f"{rate(entry) / (1e6 / cost(versus['best'])):.2f}" if versus else "-"])
    print_table(["rows that match", "", "settings", f"recall@{result['k']}", "short", "queries/s", "CPU us", "pages hit + read",
                 "rate : best pgvector"], rows)
    rows = []
    for number in range(max(len(t["cells"]) for t in result["targets"])):
        for t in result["targets"]:
            entry = t["cells"][number] if number < len(t["cells"]) else {}
            if "plans" in entry:
                ways = entry["plans"]
                rows.append([entry["title"], t["target"], *(f"{ways[name]['plan']} {ways[name]['ms']:.2f}" for name in ways),
                             f"{ways['chosen']['ratio']:.2f}", f"{ways['prepared']['ratio']:.2f}"])
    if rows:
        print_table(["plans, ms", "", "chosen", "prepared", *FORCED, "chosen : fastest", "prepared : fastest"], rows)


def arguments():
    p = results.parser(__doc__)
    data.add_arguments(p)
    server.add_arguments(p)
    what = p.add_argument_group("measurement")
    what.add_argument("--cells", type=server.words, default=CELLS, metavar="CELL,...", help="conditions (default: all but tags)")
    what.add_argument("--columns", type=server.words, default=["u", "topic", "tenant", "ts"], metavar="COLUMN,...",
                      help="of the table, and of indexes with filters=index (default u,topic,tenant,ts; tags is the fifth)")
    what.add_argument("--recall", type=float, default=0.95, help="to be reached; the best setting is the fastest that does (default 0.95)")
    what.add_argument("--ef", type=server.positive, default=[40, 200], metavar="EF,...", help="values of hnsw.ef_search to measure vecidx with (default 40,200)")
    what.add_argument("--ef-list", type=server.positive, default=[40, 100, 200, 400, 1000], metavar="EF,...",
                      help="the same with pgvector (default 40,100,200,400,1000)")
    what.add_argument("--probes", type=server.numbers, default=[0], metavar="N,...",
                      help="values of ivfflat.probes and ivfpq.probes to measure vecidx with (default 0, by the number of lists)")
    what.add_argument("--probes-list", type=server.positive, default=[5, 10, 20, 40, 80, 200], metavar="N,...",
                      help="the same with pgvector (default 5,10,20,40,80,200)")
    what.add_argument("--scans", type=server.words, default=["off", "relaxed_order", "strict_order"], metavar="HOW,...",
                      help="values of iterative_scan to try with pgvector (default off,relaxed_order,strict_order)")
    what.add_argument("--vector", choices=["parameter", "lookup"], default="parameter",
                      help="how a query has its vector: as a parameter, in binary, or from a table by its number, where no planner knows it (default parameter)")
    what.add_argument("--plan-cache-mode", choices=["auto", "force_custom_plan", "force_generic_plan"], default="auto",
                      help="of the runs for recall and speed; plans are timed with values known, and with auto (default auto)")
    what.add_argument("--plans", type=int, default=20, metavar="N", help="queries to time each plan with; 0: leave plans out (default 20)")
    what.add_argument("--workers", type=int, default=1, metavar="N", help="max_parallel_maintenance_workers of the builds (default 1)")
    what.add_argument("--seconds", type=float, default=1, help="of each run at least, if the queries are over before (default 1)")
    what.add_argument("--patience", type=float, default=10, metavar="S", help="seconds after which a run asks no further queries (default 10)")
    what.add_argument("--rounds", type=int, default=3, help="runs of each target's best setting, and of each plan (default 3)")
    results.add_arguments(p)
    p.set_defaults(clients=[1])
    args = results.parse(p)
    if args.queries is None:
        args.queries = 200
    return args


if __name__ == "__main__":
    results.run("filters.py", arguments(), measure, report)
