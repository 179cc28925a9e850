#!/usr/bin/env python3
"""Many tenants in one index: each query is another tenant's, WHERE tenant = ... ORDER BY v <=> q LIMIT k, large, middle and tiny
tenants, tenants of one row and tenants that do not exist in turn.  Recall, queries that come back short, speed and latencies of each
class of sizes; queries a second of one client and of several; what a backend's memory is after it has met all tenants; inserts.

Targets are those of filters.py, and take one option more, the type of the column:

    vecidx/hnsw:filters=index                   USING hnsw (v vector_cosine_ops, tenant), tenant is an integer
    vecidx/ivfpq:filters=index:tenant=uuid      or text
    vector                                      pgvector's, tried with each iterative_scan, max_scan_tuples and ef_search

Each table has a btree index on the tenant, too, and each class is measured in two ways: with the vector index forced, and as the
planner chooses.

    tenants.py --pg-config /usr/lib/postgresql/17/bin/pg_config --base synthetic:1000000x100 --clients 1,4 --json tenants.json

docs/benchmarks.md tells what the figures mean.
"""
import collections
import multiprocessing
import statistics
import time

import binary
import data
import results
import server
from cells import zipf_shares
from data import Answers, rough_distances
from filters import FORCED, FilterTarget, cost, fit, better, nodes, plan_name, settings_text
from progress import Progress, say
from results import both, print_table
from server import np

# Classes of tenants: name and the least number of rows, as a part of the table (below 1) or as it is; the next larger class bounds it.
CLASSES = [("large", 0.01), ("middle", 0.001), ("small", 100), ("tiny", 2), ("one row", 1), ("none", 0)]
WAYS = {"planner": {}, "index": FORCED["vector index"]["settings"]}
LEAST = 3               # queries of a class, however long they take
BURST = 50              # rows of a tenant that come together, with --order bursts


class Tenants:
    """Which rows are whose: owner[row] is a number from 0 on; the last numbers own nothing."""

    def __init__(self, rows, args):
        rng = np.random.default_rng(5)
        shares = zipf_shares(args.tenants, args.largest)
        if args.order == "bursts":
            self.owner = np.repeat(rng.choice(args.tenants, -(-rows // BURST), p=shares), BURST)[:rows].astype(np.int32)
        else:
            self.owner = rng.choice(args.tenants, rows, p=shares).astype(np.int32)
        if args.order == "grouped":
            self.owner = rng.permutation(args.tenants).astype(np.int32)[self.owner]
            self.owner.sort()
        self.count = args.tenants + 1000
        self.sizes = np.bincount(self.owner, minlength=self.count)
        by_owner = np.argsort(self.owner, kind="stable")
        ends = np.cumsum(self.sizes)
        self.rows_of = lambda tenant: by_owner[ends[tenant] - self.sizes[tenant]:ends[tenant]]
        self.texts = np.array([b"tenant-%08d" % i for i in range(self.count)], dtype="S15")
        self.uuids = np.frombuffer(rng.bytes(16 * self.count), dtype="V16")

    def column(self, kind):
        return self.owner if kind == "integer" else (self.texts if kind == "text" else self.uuids)[self.owner]

    def value(self, kind, tenant):
        """As a parameter."""
        return int(tenant) if kind == "integer" else self.texts[tenant].decode() if kind == "text" else self.uuids[tenant].tobytes().hex()

    def classes(self):
        """{name: tenants}, the largest first, of the classes that have any."""
        total, out = self.sizes.sum(), {}
        most = total
        for name, least in CLASSES:
            least = least * total if 0 < least < 1 else least
            found = np.flatnonzero((self.sizes >= least) & (self.sizes <= most))
            if len(found):
                out[name] = found[np.argsort(-self.sizes[found], kind="stable")]
                most = self.sizes[found].min() - 1
        return out


class Class:
    """A class of tenants and the queries that go to them, (tenant, query) each."""

    def __init__(self, name, members, tenants, base, queries, args):
        rng = np.random.default_rng(6)
        self.name, self.members, self.sizes = name, members, tenants.sizes[members]
        few = members if len(members) <= args.asked else rng.choice(members, args.asked, replace=False)
        self.asked = [(int(few[i % len(few)]), i % len(queries)) for i in range(args.asked)]
        self.answers = Answers(args.metric, base, queries[[query for _, query in self.asked]], args.k)
        for tenant in {tenant for tenant, _ in self.asked if tenants.sizes[tenant]}:
            rows, numbers = tenants.rows_of(tenant), [i for i, (asked, _) in enumerate(self.asked) if asked == tenant]
            for at, block in rough_distances(args.metric, base[rows], self.answers.queries[numbers]):
                for i, rough in zip(numbers[at:], block):
                    self.answers.settle(i, rough, rows)

    def check(self, found, owner):
        """found: {number of the query: [rows]}.  Another tenant's row, or one that comes twice, is worse than slow."""
        for i, rows in found.items():
            tenant = self.asked[i][0]
            if len(set(rows)) != len(rows) or not (owner[rows] == tenant).all():
                raise RuntimeError(f"{self.name}: tenant {tenant} of {self.answers.want[i]} wanted rows got {rows}")

    def out(self):
        return {"class": self.name, "title": self.title(), "tenants": len(self.members), "largest": int(self.sizes.max()), "smallest": int(self.sizes.min())}

    def title(self):
        low, high = int(self.sizes.min()), int(self.sizes.max())
        return self.name + (f", {low}" + (f" to {high}" if low != high else "") if high > 1 else "")


class TenantTarget(FilterTarget):
    def __init__(self, text, args, srv):
        super().__init__(text, args, srv)
        self.tenant_type = self.reloptions.pop("tenant", "integer")
        if self.tenant_type not in ("integer", "text", "uuid"):
            raise RuntimeError(f"--targets {text}: tenant=integer, text or uuid")
        self.out.update(tenant=self.tenant_type, classes=[])


class Session:
    """A connection that asks for one tenant after the other."""

    def __init__(self, target, settings, tenants):
        self.target, self.tenants = target, tenants
        self.conn = target.connect()
        self.cur = self.conn.cursor()
        self.cur.execute(f"SELECT '[1]'::vector {target.operator} '[1]'")       # loads the library
        for name, value in settings.items():
            self.cur.execute(f"SET {name} = %s", (value,))
        self.cur.execute(f"PREPARE search ({target.args.type}, {target.tenant_type}) AS SELECT b.id FROM base b WHERE b.tenant = $2 "
                         f"ORDER BY b.v {target.operator} $1 LIMIT {target.args.k}")
        self.statement = binary.Statement(self.conn, "search")
        self.pid = self.conn.info.backend_pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def search(self, tenant, query):
        return self.statement.execute(self.target.wire[query], [self.tenants.value(self.target.tenant_type, tenant)])

    def plan(self, tenant, query):
        self.cur.execute("EXPLAIN (FORMAT JSON) EXECUTE search (%s, %s)", (str(self.target.vectors[query].tolist()), self.tenants.value(self.target.tenant_type, tenant)))
        plan = self.cur.fetchone()[0][0]["Plan"]
        return "nothing" if all(p.get("Relation Name") is None for p in nodes(plan)) else plan_name(plan)

    def memory(self):
        """Of the backend, without what it shares; KiB, None where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))
        except (OSError, StopIteration):
            return None


def latencies(took):
    took = sorted(took)
    return {"p50_ms": 1000 * took[len(took) // 2], "p99_ms": 1000 * took[int(len(took) * 0.99)]}


def in_turn(asked):
    """asked: {class: [...]}.  (class, number) of one class after the other, until all have had all of theirs."""
    for i in range(max(map(len, asked.values()))):
        for name, list_ in asked.items():
            if i < len(list_):
                yield name, i


def run(session, classes, args, owner):
    """All queries of these classes in turn; {class: point}.  A class has its share of the patience, then it is left out."""
    cluster = session.target.cluster
    took, spent, found = (collections.defaultdict(kind) for kind in (list, float, dict))
    patience = args.patience / len(classes)
    for name, class_ in classes.items():
        begin = time.perf_counter()
        for tenant, query in class_.asked[:3]:
            session.search(tenant, query)
            if time.perf_counter() - begin > patience / 10:
                break
    cpu = cluster.session_cpu_seconds(session.pid) if cluster else None
    for name, i in in_turn({name: class_.asked for name, class_ in classes.items()}):
        if sum(took[name]) > patience and len(took[name]) >= LEAST:
            continue
        start = time.perf_counter()
        found[name][i] = session.search(*classes[name].asked[i])
        took[name].append(time.perf_counter() - start)
        if cpu is not None:
            now = cluster.session_cpu_seconds(session.pid)
            spent[name] += now - cpu
            cpu = now
    points = {}
    for name, class_ in classes.items():
        class_.check(found[name], owner)
        points[name] = {"queries": len(took[name]), "qps": len(took[name]) / sum(took[name]), **latencies(took[name]),
                        "recall": class_.answers.recall(found[name]),
                        "short": int(sum(len(rows) < class_.answers.want[i] for i, rows in found[name].items()))}
        if cpu is not None:
            points[name]["cpu_us"] = 1e6 * spent[name] / len(took[name])
        points[name]["plans"] = collections.Counter(session.plan(*class_.asked[i]) for i in list(found[name])[:args.plans])
    return points


def try_settings(args, target, classes, tenants):
    """{class: its best point}, which says by what way and settings."""
    best, points = {}, {name: [] for name in classes}
    for way, forced in WAYS.items():
        hopeful = dict(classes)
        for ladder in target.ladders():
            left = dict(hopeful)
            for settings in ladder:
                if not left:
                    break
                with Session(target, {**forced, **settings}, tenants) as session:
                    now = run(session, left, args, tenants.owner)
                for name, point in now.items():
                    point.update(way=way, settings=settings)
                    points[name].append(point)
                    if better(point, best.get(name), args.recall):
                        best[name] = point
                    say(f"{name}: {target.label} {way} {settings_text(settings)}: recall {point['recall']:.4f}, {point['short']} of {point['queries']} short, "
                        f"p50 {point['p50_ms']:.2f}, p99 {point['p99_ms']:.2f} ms" + (f", {point['cpu_us']:.0f} us" if "cpu_us" in point else ""))
                    if target.extension != "vecidx" and (fit(point, args.recall) or (fit(best[name], args.recall) and cost(point) > 2 * cost(best[name]))):
                        del left[name]
                        if way == "index" and fit(best[name], args.recall) and cost(point) > 10 * cost(best[name]):
                            del hopeful[name]
    return best, points


def client(target, classes, best, tenants, number, seconds, barrier, answer):
    """One of several: a connection for each setting, the queries in turn, beginning at another one than the other clients."""
    try:
        sessions = {}
        for name in classes:
            key = best[name]["way"], settings_text(best[name]["settings"])
            if key not in sessions:
                sessions[key] = Session(target, {**WAYS[best[name]["way"]], **best[name]["settings"]}, tenants)
            sessions[name] = sessions[key]
        turns = list(in_turn({name: class_.asked for name, class_ in classes.items()}))
        for name, i in turns[:3 * len(classes)]:
            sessions[name].search(*classes[name].asked[i])
        took = collections.defaultdict(list)
        at = number * 7919 * len(classes)
        barrier.wait()
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            name, i = turns[at % len(turns)]
            at += 1
            start = time.perf_counter()
            sessions[name].search(*classes[name].asked[i])
            took[name].append(time.perf_counter() - start)
        answer.put((None, dict(took), time.perf_counter() - begin))
    except Exception as failure:        # handed to the parent
        barrier.abort()
        answer.put((f"{type(failure).__name__}: {failure}", {}, 0))


def clients(target, classes, best, tenants, count, seconds):
    """So many processes at once, each class by its best way; queries a second of all, latencies of each class."""
    fork = multiprocessing.get_context("fork")
    barrier, answer = fork.Barrier(count), fork.Queue()
    workers = [fork.Process(target=client, args=(target, classes, best, tenants, number, seconds, barrier, answer)) for number in range(count)]
    for worker in workers:
        worker.start()
    answers = [answer.get() for _ in workers]
    for worker in workers:
        worker.join()
    failures = [failure for failure, _, _ in answers if failure is not None]
    if failures:
        raise RuntimeError(f"{target.label}, {count} clients: {failures[0]}")
    took = {name: [t for _, part, _ in answers for t in part.get(name, ())] for name in classes}
    out = {"clients": count, "qps": sum(sum(map(len, part.values())) / lasted for _, part, lasted in answers),
           **latencies([t for part in took.values() for t in part]), "classes": {name: latencies(part) for name, part in took.items() if part}}
    say(f"{target.label}: {count} clients: {out['qps']:.0f}/s, p99 {out['p99_ms']:.2f} ms")
    return out


def walk(target, settings, tenants, args):
    """One backend through all tenants, one after the other; its memory after the first tenth and at the end."""
    order = np.random.default_rng(7).permutation(tenants.count)
    began, first, asked = time.perf_counter(), None, 0
    with Session(target, {**WAYS["index"], **settings}, tenants) as session:
        for tenant in order:
            session.search(int(tenant), asked % len(target.vectors))
            asked += 1
            if asked == len(order) // 10:
                first = session.memory()
            if time.perf_counter() - began > args.patience:
                break
        out = {"tenants": asked, "seconds": time.perf_counter() - began, "kib_after_a_tenth": first, "kib": session.memory()}
    say(f"{target.label}: {asked} tenants one after the other in {out['seconds']:.1f} s, memory {first} KiB after a tenth of all, {out['kib']} KiB at the end")
    return out


def measure(args, srv, result):
    base, queries = data.read(args)
    say(f"{args.name}: {len(base)} rows of {base.shape[1]} dimensions, {args.tenants} tenants, {len(queries)} queries, {args.metric}")
    args.columns = ["tenant"]
    if args.extensions is None:
        args.extensions = default_targets(srv)
    targets = srv.make_targets(TenantTarget)
    result.update(results.head("tenants", args, srv, base, queries), recall_goal=args.recall, targets=[t.out for t in targets])
    tenants = Tenants(len(base), args)
    with Progress("exact neighbours, classes", len(CLASSES)) as progress:
        classes = {}
        for name, members in tenants.classes().items():
            classes[name] = Class(name, members, tenants, base, queries, args)
            progress.step()
    best = {}
    for t in targets:
        columns = {"tenant": tenants.column(t.tenant_type)}
        t.vectors, t.wire = queries, [binary.wire(q, data.TYPES[args.type]) for q in queries]
        t.load(base, queries, columns)
        t.out["build"] = t.build("base", len(base), args.workers[-1])
        t.add_btrees()
        best[t], points = try_settings(args, t, classes, tenants)
        t.out["classes"] = [{**class_.out(), "best": best[t][name], "points": points[name]} for name, class_ in classes.items()]
        if t.extension == "vecidx" or args.walk_all:
            t.out["walk"] = walk(t, t.ladders()[-1][-1], tenants, args)
        if args.inserts:
            t.prepare_writes(base, args.inserts, columns)
            t.out["inserts"] = t.timed_writes("inserts", "INSERT INTO grow SELECT * FROM more WHERE id = (SELECT nextval('next_row')::integer);\n", args.inserts)
            t.execute("DROP TABLE grow, more")
    # Side by side: a slow moment of the machine meets them all.
    for count in args.clients:
        rounds = {t: [] for t in targets}
        for _ in range(args.rounds):
            for t in targets:
                rounds[t].append(clients(t, classes, best[t], tenants, count, args.seconds))
        for t in targets:
            median = sorted(rounds[t], key=lambda r: r["qps"])[len(rounds[t]) // 2]
            t.out.setdefault("clients", []).append({**median, "qps": statistics.median(r["qps"] for r in rounds[t])})


def default_targets(srv):
    names = [f"vecidx/{m}:filters=index" for m in ("hnsw", "ivfflat", "ivfpq")] + [f"vecidx/hnsw:filters=index:tenant={kind}" for kind in ("text", "uuid")]
    with srv.admin.cursor() as cur:
        cur.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        return names + (["vector"] if cur.fetchone() else [])


# --------------------------------------------------------------- report

def report(result):
    """Markdown on stdout."""
    targets, goal = result["targets"], result["recall_goal"]
    print()
    print_table(["", *[t["target"] for t in targets]],
                [row[:len(targets) + 1] for row in (both("build, s", [t["build"]["seconds"] for t in targets], "{:.1f}", True),
                                                    both("index, MiB", [server.mib(t["build"]["bytes"]) for t in targets], "{:.1f}", True))])
    rows = []
    for number in range(max(len(t["classes"]) for t in targets)):
        reference = targets[-1]["classes"][number]["best"]
        for t in targets:
            for way in WAYS:
                entry = t["classes"][number]
                point = None
                for other in entry["points"]:
                    if other["way"] == way and better(other, point, goal):
                        point = other
                rows.append([entry["title"], t["target"], way, settings_text(point["settings"]), f"{point['recall']:.4f}" + ("" if point["recall"] >= goal else " !"),
                             f"{point['short']} of {point['queries']}", f"{point['qps']:.0f}", f"{point['p50_ms']:.2f}", f"{point['p99_ms']:.2f}",
                             f"{point['cpu_us']:.0f}" if "cpu_us" in point else "-", ", ".join(sorted(point["plans"])), f"{cost(reference) / cost(point):.1f}"])
    print_table(["rows of a tenant", "", "", "settings", f"recall@{result['k']}", "short", "queries/s", "p50 ms", "p99 ms", "CPU us", "plans",
                 f"rate : {targets[-1]['target']}"], rows)
    names = [entry["class"] for entry in targets[0]["classes"]]
    print_table(["all classes in turn", "", "queries/s", "p50 ms", "p99 ms", *(f"{name}: p50, p99" for name in names)],
                [[f"{run_['clients']} clients", t["target"], f"{run_['qps']:.0f}", f"{run_['p50_ms']:.2f}", f"{run_['p99_ms']:.2f}",
                  *("{p50_ms:.2f}, {p99_ms:.2f}".format(**run_["classes"][name]) if name in run_["classes"] else "-" for name in names)]
                 for number in range(len(targets[0]["clients"])) for t in targets for run_ in t["clients"][number:number + 1]])
    walks = [[t["target"], t["walk"]["tenants"], f"{t['walk']['seconds']:.1f}", t["walk"]["kib_after_a_tenth"], t["walk"]["kib"]] for t in targets if "walk" in t]
    if walks:
        print_table(["a backend through all tenants", "tenants", "s", "KiB after a tenth", "KiB at the end"], walks)
    inserts = [[t["target"], f"{phase['clients']}, images {phase['full_page_writes']}", f"{phase['per_second']:.0f}", f"{phase['p99_ms']:.2f}",
                f"{phase['cpu_us_per_row']:.0f}" if "cpu_us_per_row" in phase else "-", f"{phase['wal_bytes_per_row']:.0f}"]
               for t in targets for phase in t.get("inserts", ())]
    if inserts:
        print_table(["inserts", "clients", "rows/s", "p99 ms", "CPU us", "WAL bytes a row"], inserts)


def arguments():
    p = results.parser(__doc__)
    data.add_arguments(p)
    server.add_arguments(p)
    what = p.add_argument_group("measurement")
    what.add_argument("--tenants", type=int, default=10000, metavar="N", help="default 10000; their sizes fall by Zipf's law")
    what.add_argument("--largest", type=float, default=0.4, metavar="SHARE", help="share of the largest tenant (default 0.4)")
    what.add_argument("--order", choices=("random", "bursts", "grouped"), default="random",
                      help=f"how rows come into the table: any tenant's at any time (the default), {BURST} of a tenant together, or tenant by tenant")
    what.add_argument("--asked", type=int, default=200, metavar="N", help="queries of each class, each another tenant's if it has so many (default 200)")
    what.add_argument("--recall", type=float, default=0.95, help="to be reached; the best setting is the fastest that does (default 0.95)")
    what.add_argument("--ef", type=server.positive, default=[40, 200], metavar="EF,...", help="values of hnsw.ef_search to measure vecidx with (default 40,200)")
    what.add_argument("--ef-list", type=server.positive, default=[40, 100, 200, 400], metavar="EF,...", help="the same with pgvector (default 40,100,200,400)")
    what.add_argument("--probes", type=server.numbers, default=[0], metavar="N,...",
                      help="values of ivfflat.probes and ivfpq.probes to measure vecidx with (default 0, by the number of lists)")
    what.add_argument("--probes-list", type=server.positive, default=[5, 10, 20, 40, 80, 200], metavar="N,...", help="the same with pgvector (default 5,10,20,40,80,200)")
    what.add_argument("--scans", type=server.words, default=["relaxed_order", "strict_order"], metavar="HOW,...",
                      help="values of iterative_scan to try with pgvector (default relaxed_order,strict_order)")
    what.add_argument("--plan-cache-mode", default="auto", metavar="MODE", help="of all sessions (default auto: PostgreSQL may make up its mind about the prepared statement)")
    what.add_argument("--plans", type=int, default=20, metavar="N", help="queries of each class whose plans are looked at (default 20)")
    what.add_argument("--walk-all", action="store_true", help="have a backend of pgvector's go through all tenants, too")
    what.add_argument("--inserts", type=int, default=0, metavar="N", help="single-row inserts to time in each phase, each another tenant's (default 0)")
    what.add_argument("--clients", type=server.positive, default=[1, 4], metavar="N,...", help="clients at once (default 1,4)")
    what.add_argument("--workers", type=server.numbers, default=[1], metavar="N", help="max_parallel_maintenance_workers of the builds (default 1)")
    what.add_argument("--seconds", type=float, default=5, help="of each run of clients (default 5)")
    what.add_argument("--patience", type=float, default=30, metavar="S", help="seconds after which the classes of a run ask no further queries (default 30)")
    what.add_argument("--rounds", type=int, default=3, help="runs of each number of clients (default 3)")
    results.add_arguments(p)
    args = results.parse(p)
    if args.picture:
        p.error("--picture: of this there is none")
    return args


if __name__ == "__main__":
    results.run("tenants.py", arguments(), measure, report)
