#!/usr/bin/env python3
"""Recall against speed of HNSW indexes, side by side in one PostgreSQL.

Loads the same vectors into one database per target, builds an index in each
and measures build time, size, WAL, recall@k and queries a second over a list
of hnsw.ef_search values; optionally inserts and VACUUM as well.  A target is
an extension that offers pgvector's SQL, with options:

    vecidx                          as it comes
    vecidx:quantizer=sq8            an index option
    vecidx:vecidx.simd=avx2         a setting (its name has a dot)

On Debian: apt-get install python3-numpy python3-psycopg2 (and python3-h5py to
read the .hdf5 files of ann-benchmarks: --base FILE.hdf5 alone is enough).

A cluster of its own, removed at the end:
    compare.py --initdb --pg-config /usr/lib/postgresql/15/bin/pg_config \\
        --base base.npy --query query.npy --metric cosine --workers 0,1
A server that runs already (databases named vecidx_compare_* are made in it,
and dropped at the end):
    compare.py --dsn 'host=/var/run/postgresql user=postgres' ...
"""
import argparse
import glob
import json
import math
import os
import platform
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

try:
    import numpy as np
    import psycopg2
    from psycopg2.extensions import make_dsn, parse_dsn
except ImportError as missing:
    sys.exit(f"{missing}\nOn Debian: apt-get install python3-numpy python3-psycopg2, then run this with /usr/bin/python3.")

METRICS = {                     # operator, operator class
    "l2": ("<->", "vector_l2_ops"),
    "ip": ("<#>", "vector_ip_ops"),
    "cosine": ("<=>", "vector_cosine_ops"),
    "l1": ("<+>", "vector_l1_ops"),
}
DB_PREFIX = "vecidx_compare_"
PROGRESS_EVERY = 5              # seconds between progress lines
RECALL_TARGETS = (0.90, 0.95, 0.99)


def say(text):
    print(f"# {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --------------------------------------------------------------- vectors

def read_vectors(args):
    """base (n, d) and queries (q, d), float32."""
    if args.base.endswith((".hdf5", ".h5")):
        try:
            import h5py
        except ImportError:
            sys.exit("apt-get install python3-h5py to read .hdf5 files")
        with h5py.File(args.base, "r") as f:
            base = f["train"][:args.rows]
            queries = f["test"][:args.queries]
    else:
        base = np.load(args.base, mmap_mode="r")[:args.rows]
        if args.query is None:
            sys.exit("--query is needed with a .npy base")
    if args.query is not None:
        queries = np.load(args.query, mmap_mode="r")[:args.queries]
    base = np.ascontiguousarray(base, dtype=np.float32)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if base.ndim != 2 or queries.ndim != 2 or base.shape[1] != queries.shape[1]:
        sys.exit(f"base {base.shape} and queries {queries.shape} are not two tables of the same width")
    return base, queries


def distances(metric, rows, query):
    """Rank distances of rows (n, d) to one query, in double precision."""
    rows = rows.astype(np.float64)
    query = query.astype(np.float64)
    if metric == "l2":
        return ((rows - query) ** 2).sum(axis=1)
    if metric == "l1":
        return np.abs(rows - query).sum(axis=1)
    dots = rows @ query
    if metric == "ip":
        return -dots
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - dots / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))


class Truth:
    """The k-th smallest distance of each query among the rows that are alive."""

    def __init__(self, metric, base, queries, k, alive=None):
        self.metric, self.base, self.queries, self.k = metric, base, queries, k
        ids = np.arange(len(base)) if alive is None else np.flatnonzero(alive)
        rows = base if alive is None else base[ids]
        want = min(k, len(ids))
        keep = min(len(ids), want + 32)     # a margin for float32 rounding, settled in double
        norms = np.linalg.norm(rows, axis=1)
        norms[norms == 0] = np.inf
        self.limit = np.empty(len(queries))
        said = time.time()
        for at in range(0, len(queries), 64):
            block = queries[at:at + 64]
            if metric == "l1":
                rough = np.stack([np.abs(rows - q).sum(axis=1) for q in block])
            else:
                rough = -(block @ rows.T)
                if metric == "cosine":
                    rough /= norms
                elif metric == "l2":
                    rough = 2 * rough + norms.astype(np.float32) ** 2
            near = np.argpartition(rough, keep - 1, axis=1)[:, :keep]
            for i, query in enumerate(block):
                exact = distances(metric, rows[near[i]], query)
                self.limit[at + i] = np.partition(exact, want - 1)[want - 1]
            if time.time() - said > PROGRESS_EVERY:
                say(f"exact neighbours: {at + len(block)} of {len(queries)} queries")
                said = time.time()
        self.want = want

    def recall(self, found):
        """found: {query number: [ids]}.  Equal distances count as found."""
        hits = 0
        for i, ids in found.items():
            d = distances(self.metric, self.base[np.asarray(ids, dtype=int)], self.queries[i]) if ids else np.empty(0)
            slack = 1e-6 * max(1.0, abs(self.limit[i]))
            hits += min(self.want, int((d <= self.limit[i] + slack).sum()))
        return hits / (self.want * len(found))


def copy_rows(conn, table, ids, vectors):
    """Binary COPY of (id integer, v vector)."""
    dim = vectors.shape[1]
    layout = np.dtype([("fields", ">i2"), ("idlen", ">i4"), ("id", ">i4"), ("vlen", ">i4"),
                       ("dim", ">i2"), ("unused", ">i2"), ("v", ">f4", (dim,))])

    class Stream:
        """What copy_expert reads: header, rows by the block, trailer."""
        block = max(1, (1 << 22) // layout.itemsize)

        def __init__(self):
            self.at, self.rest, self.said = 0, b"PGCOPY\n\xff\r\n\0" + bytes(8), time.time()

        def read(self, size=-1):
            if not self.rest and self.at <= len(ids):
                part = slice(self.at, self.at + self.block)
                n = len(ids[part])
                if n:
                    rows = np.zeros(n, dtype=layout)
                    rows["fields"], rows["idlen"], rows["vlen"], rows["dim"] = 2, 4, 4 + 4 * dim, dim
                    rows["id"], rows["v"] = ids[part], vectors[part]
                    self.rest, self.at = rows.tobytes(), self.at + n
                else:
                    self.rest, self.at = b"\xff\xff", len(ids) + 1
                if time.time() - self.said > PROGRESS_EVERY:
                    say(f"{table}: {min(self.at, len(ids))} of {len(ids)} rows")
                    self.said = time.time()
            if size < 0:
                size = len(self.rest)
            out, self.rest = self.rest[:size], self.rest[size:]
            return out

    with conn.cursor() as cur:
        cur.copy_expert(f"COPY {table} (id, v) FROM STDIN (FORMAT binary)", Stream(), size=1 << 16)


# --------------------------------------------------------------- servers

class Cluster:
    """A private cluster in a temporary directory, reached by a unix socket."""

    def __init__(self, args):
        self.bindir = subprocess.check_output([args.pg_config, "--bindir"], text=True).strip()
        self.user = args.os_user if os.geteuid() == 0 else None
        self.top = tempfile.mkdtemp(prefix="vecidx-compare-", dir=args.tmpdir)
        self.data = os.path.join(self.top, "data")
        self.log = os.path.join(self.top, "log")
        self.running = False
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(self.top, entry.pw_uid, entry.pw_gid)
        # The directory is 0700, so that trust lets in only its owner and root.
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        settings = {
            "listen_addresses": "", "unix_socket_directories": self.top,
            "shared_buffers": args.shared_buffers, "jit": "off", "autovacuum": "off",
            "max_wal_size": "64GB", "checkpoint_timeout": "1d", "max_connections": 100 + args.clients,
            # commits wait for no disk: the insert rate is then the index's
            "synchronous_commit": "off",
        }
        options = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write(options)
        self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
        self.running = True
        self.dsn = make_dsn(host=self.top, user="postgres")

    def run(self, program, *params):
        command = [os.path.join(self.bindir, program), *params]
        if self.user:
            if shutil.which("runuser"):
                command = ["runuser", "-u", self.user, "--", *command]
            else:
                command = ["su", self.user, "-s", "/bin/sh", "-c", " ".join(map(shell_quote, command))]
        # The output goes to a file: a server that inherits a pipe would keep it open.
        with tempfile.TemporaryFile() as out:
            if subprocess.call(command, stdout=out, stderr=subprocess.STDOUT, cwd="/") != 0:
                out.seek(0)
                tail = out.read().decode(errors="replace")[-2000:]
                if os.path.exists(self.log):
                    with open(self.log, encoding="utf-8", errors="replace") as f:
                        tail += f.read()[-2000:]
                raise RuntimeError(f"{program} failed:\n{tail}")

    def cpu_seconds(self):
        """Processor time of all sessions that have ended, None where the system does not tell."""
        time.sleep(0.1)         # for the last one to be waited for
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                postmaster = int(f.readline())
            with open(f"/proc/{postmaster}/stat", encoding="ascii") as f:
                after_name = f.read().rpartition(")")[2].split()
        except OSError:
            return None
        # fields 16 and 17 of proc(5): cutime and cstime
        return (int(after_name[13]) + int(after_name[14])) / os.sysconf("SC_CLK_TCK")

    def close(self, keep):
        if keep and self.running:
            say(f"kept: {self.dsn}; stop it with {self.bindir}/pg_ctl -D {self.data} stop")
            return
        if self.running:
            self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.top, ignore_errors=True)


def shell_quote(word):
    return "'" + word.replace("'", "'\\''") + "'"


class Target:
    """One extension with its options: a database, its tables and index."""

    def __init__(self, text, args, dsn, pgbench, cluster):
        self.label, self.args, self.pgbench, self.cluster = text, args, pgbench, cluster
        self.extension, *rest = text.split(":")
        pairs = [part.partition("=") for part in rest]
        self.reloptions = {"m": args.m, "ef_construction": args.ef_construction}
        self.settings = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
        for item in args.set:
            name, _, value = item.partition("=")
            self.settings[name] = value
        for name, _, value in pairs:
            (self.settings if "." in name else self.reloptions)[name] = value
        self.database = DB_PREFIX + re.sub(r"[^a-z0-9]+", "_", text.lower())
        self.dsn = make_dsn(dsn, dbname=self.database)
        self.operator, self.opclass = METRICS[args.metric]
        self.out = {"target": text, "builds": [], "points": []}

    def options(self, extra=()):
        return " ".join(f"-c {name}={value}" for name, value in [*self.settings.items(), *extra])

    def connect(self, *extra):
        conn = psycopg2.connect(self.dsn, options=self.options(extra))
        conn.autocommit = True
        return conn

    def value(self, sql, params=None, conn=None):
        own = conn or self.connect()
        try:
            with own.cursor() as cur:
                cur.execute(sql, params)
                return cur.fetchone()[0]
        finally:
            if conn is None:
                own.close()

    def execute(self, sql, what=None, view=None):
        """Run one statement; what and view give progress lines.  Seconds taken."""
        conn = self.connect()
        failure = []

        def work():
            try:
                with conn.cursor() as cur:
                    cur.execute(sql)
            except Exception as e:      # handed to the caller's thread below
                failure.append(e)

        start = time.time()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(PROGRESS_EVERY)
            if thread.is_alive() and what:
                say(f"{self.label}: {what}, {time.time() - start:.0f} s{self.progress(view)}")
        taken = time.time() - start
        conn.close()
        if failure:
            raise failure[0]
        return taken

    def progress(self, view):
        if view is None:
            return ""
        columns = {"create_index": "phase, tuples_done, tuples_total",
                   "vacuum": "phase, heap_blks_scanned, heap_blks_total"}[view]
        with self.connect() as conn, conn.cursor() as cur:
            cur.execute(f"SELECT {columns} FROM pg_stat_progress_{view} WHERE datname = current_database()")
            row = cur.fetchone()
        conn.close()
        if not row:
            return ""
        return f": {row[0]}, {row[1]}" + (f" of {row[2]}" if row[2] else "")

    # ------------------------------------------------ load and build

    def load(self, admin, base, queries):
        with admin.cursor() as cur:
            cur.execute(f"DROP DATABASE IF EXISTS {self.database}")
            cur.execute(f"CREATE DATABASE {self.database}")
        dim = base.shape[1]
        conn = self.connect()
        with conn.cursor() as cur:
            cur.execute(f"CREATE EXTENSION {self.extension}")
            cur.execute(f"CREATE TABLE base (id integer, v vector({dim}))")
            cur.execute(f"CREATE TABLE queries (id integer PRIMARY KEY, v vector({dim}))")
            start = time.time()
            copy_rows(conn, "base", np.arange(len(base)), base)
            copy_rows(conn, "queries", np.arange(len(queries)), queries)
            self.out["load_s"] = time.time() - start
            cur.execute("VACUUM (FREEZE, ANALYZE) base")
            cur.execute("VACUUM (FREEZE, ANALYZE) queries")
            cur.execute("SELECT extversion FROM pg_extension WHERE extname = %s", (self.extension,))
            self.out["version"] = cur.fetchone()[0]
        conn.close()
        say(f"{self.label} {self.out['version']}: {len(base)} rows loaded in {self.out['load_s']:.1f} s")

    def wal_position(self):
        return self.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")

    def build(self, table, workers):
        options = ", ".join(f"{name} = {value}" for name, value in self.reloptions.items())
        index = f"{table}_idx"
        self.execute(f"DROP INDEX IF EXISTS {index}")
        self.execute("CHECKPOINT")
        wal = self.wal_position()
        cpu = self.cluster.cpu_seconds() if self.cluster else None
        saved = dict(self.settings)
        self.settings["max_parallel_maintenance_workers"] = workers
        self.settings["maintenance_work_mem"] = self.args.maintenance_work_mem
        try:
            taken = self.execute(f"CREATE INDEX {index} ON {table} USING hnsw (v {self.opclass}) WITH ({options})",
                                 f"CREATE INDEX with {workers} workers", "create_index")
        finally:
            self.settings = saved
        out = {"workers": workers, "seconds": taken,
               "bytes": self.value(f"SELECT pg_relation_size('{index}')"),
               "wal_bytes": int(self.wal_position() - wal)}
        if cpu is not None:
            out["cpu_seconds"] = self.cluster.cpu_seconds() - cpu
        say(f"{self.label}: {table}, {workers} workers: {taken:.1f} s"
            + (f" ({out['cpu_seconds']:.1f} s of processor)" if cpu is not None else "")
            + f", {mib(out['bytes']):.1f} MiB, WAL {mib(out['wal_bytes']):.1f} MiB")
        return out

    # ------------------------------------------------ recall and speed

    def accepts(self, ef):
        conn = self.connect()
        try:
            with conn.cursor() as cur:
                cur.execute(f"SELECT '[1]'::vector {self.operator} '[1]'")     # loads the library
                cur.execute("SET hnsw.ef_search = %s", (ef,))
            return True
        except psycopg2.errors.InvalidParameterValue:
            return False
        finally:
            conn.close()

    def recall(self, ef, truth, table="base"):
        k = self.args.k
        sql = (f"SELECT q.id, ARRAY(SELECT b.id FROM {table} b ORDER BY b.v {self.operator} q.v LIMIT {k}) "
               "FROM queries q ORDER BY q.id")
        conn = self.connect(("hnsw.ef_search", ef))
        with conn.cursor() as cur:
            cur.execute("EXPLAIN " + sql)
            if not any(f"Index Scan using {table}_idx" in row[0] for row in cur.fetchall()):
                raise RuntimeError(f"{self.label}: the plan does not use {table}_idx")
            cur.execute(sql)
            found = dict(cur.fetchall())
        conn.close()
        return truth.recall(found)

    def search_sql(self, query):
        """The statement that is timed.  The query vector is fetched by number
        inside the server, so that no client has to format or send it; what the
        rest of the statement costs is told by floor_sql."""
        return (f"SELECT b.id FROM base b ORDER BY b.v {self.operator} "
                f"(SELECT v FROM queries WHERE id = {query}) LIMIT {self.args.k}")

    def floor_sql(self, query):
        """As much work as search_sql, with the index left out: k rows, k distances."""
        return (f"SELECT b.id, b.v {self.operator} (SELECT v FROM queries WHERE id = {query}) "
                f"FROM base b LIMIT {self.args.k}")

    def run_pgbench(self, script, settings, *params):
        """tps and the latencies in ms, sorted."""
        folder = tempfile.mkdtemp(prefix="vecidx-pgbench-")
        try:
            path = os.path.join(folder, "script.sql")
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            env = dict(os.environ, PGOPTIONS=self.options(settings))
            threads = max(1, min(self.args.clients, os.cpu_count() or 1))
            done = subprocess.run([self.pgbench, "-n", "-M", "prepared", "-f", path, "-c", str(self.args.clients),
                                   "-j", str(threads), "--random-seed=1", "-l", "--log-prefix=" + folder + "/log",
                                   *params, self.dsn],
                                  env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
            rate = re.search(r"^tps = ([0-9.]+) \(without", done.stdout, re.M)
            if done.returncode != 0 or rate is None:
                raise RuntimeError(f"pgbench failed: {done.stderr.strip()[-1000:]}")
            took = []
            for name in glob.glob(folder + "/log.*"):
                with open(name, encoding="ascii") as f:
                    took += [int(line.split()[2]) / 1000 for line in f]
            return float(rate[1]), sorted(took)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def speed(self, sql, queries, ef):
        script = f"\\set i random(0, {queries - 1})\n{sql(':i')};\n"
        before = self.cluster.cpu_seconds() if self.cluster else None
        tps, took = self.run_pgbench(script, [("hnsw.ef_search", ef)], "-T", str(self.args.seconds))
        out = {"qps": tps, "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)]}
        if before is not None:
            out["cpu_qps"] = len(took) / max(1e-2, self.cluster.cpu_seconds() - before)
        return out

    def buffers(self, ef, queries):
        """Mean buffer accesses of the index scan node of a query."""
        conn = self.connect(("hnsw.ef_search", ef))
        counts = []
        with conn.cursor() as cur:
            for i in [0, *range(min(queries, 100))]:
                cur.execute("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + self.search_sql(i))
                node = find_node(cur.fetchone()[0][0]["Plan"], "base_idx")
                counts.append(node["Shared Hit Blocks"] + node["Shared Read Blocks"])
        conn.close()
        return statistics.mean(counts[1:])      # the first one filled the session's caches

    # ------------------------------------------------ inserts and vacuum

    def inserts(self, base, truth):
        """Single-row inserts into an index over all rows but the last 2 n."""
        n = self.args.inserts
        dim = base.shape[1]
        held = len(base) - 2 * n
        if held <= 0:
            raise RuntimeError("--inserts needs a base of more than twice as many rows")
        conn = self.connect()
        with conn.cursor() as cur:
            cur.execute(f"CREATE TABLE grow (id integer, v vector({dim}))")
            cur.execute(f"CREATE TABLE more (id integer PRIMARY KEY, v vector({dim}))")
            cur.execute(f"CREATE SEQUENCE next_row START {held} MINVALUE {held} CACHE 1")
            copy_rows(conn, "grow", np.arange(held), base[:held])
            copy_rows(conn, "more", np.arange(held, len(base)), base[held:])
            cur.execute("VACUUM (FREEZE, ANALYZE) grow")
            cur.execute("VACUUM (FREEZE, ANALYZE) more")
        conn.close()
        out = {"rows_before": held, "build": self.build("grow", self.args.workers[-1]), "phases": []}
        script = "INSERT INTO grow SELECT id, v FROM more WHERE id = (SELECT nextval('next_row')::integer);\n"
        # After a checkpoint the first change to a page logs all of it; without
        # full_page_writes only the changes are logged, as between checkpoints.
        # That setting is left alone in a server that is not ours.
        for images in (True, False) if self.cluster else (True,):
            if self.cluster:
                self.execute(f"ALTER SYSTEM SET full_page_writes = {'on' if images else 'off'}")
                self.execute("SELECT pg_reload_conf()")
            self.execute("CHECKPOINT")
            wal, size = self.wal_position(), self.value("SELECT pg_relation_size('grow_idx')")
            each = n // self.args.clients
            tps, took = self.run_pgbench(script, [], "-t", str(each))
            done = each * self.args.clients
            phase = {"full_page_writes": self.value("SHOW full_page_writes"), "rows": done, "per_second": tps,
                     "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)],
                     "wal_bytes_per_row": int(self.wal_position() - wal) / done,
                     "index_bytes_per_row": (self.value("SELECT pg_relation_size('grow_idx')") - size) / done}
            out["phases"].append(phase)
            say(f"{self.label}: {done} inserts into {held} rows, full_page_writes {phase['full_page_writes']}: "
                f"{tps:.0f}/s, p99 {phase['p99_ms']:.2f} ms, WAL {phase['wal_bytes_per_row']:.0f} bytes a row")
        if self.cluster:
            self.execute("ALTER SYSTEM RESET full_page_writes")
            self.execute("SELECT pg_reload_conf()")
        rows = self.value("SELECT count(*) FROM grow")
        if rows == len(base):
            out["recall_after"] = self.recall(self.args.ef_check, truth, "grow")
        self.out["inserts"] = out

    def vacuum(self, base, queries):
        """Delete a random share of the rows, VACUUM, search, insert them again."""
        gone = np.random.default_rng(1).random(len(base)) < self.args.vacuum
        out = {"fraction": self.args.vacuum, "deleted": int(gone.sum()),
               "bytes_before": self.value("SELECT pg_relation_size('base_idx')")}
        with self.connect() as conn, conn.cursor() as cur:
            cur.execute("CREATE TABLE gone AS SELECT * FROM base WHERE id = ANY (%s)", (np.flatnonzero(gone).tolist(),))
            cur.execute("DELETE FROM base WHERE id = ANY (%s)", (np.flatnonzero(gone).tolist(),))
        conn.close()
        truth = Truth(self.args.metric, base, queries, self.args.k, ~gone)
        out["recall_dead"] = self.recall(self.args.ef_check, truth)
        self.execute("CHECKPOINT")
        wal = self.wal_position()
        saved = dict(self.settings)
        self.settings["maintenance_work_mem"] = self.args.maintenance_work_mem
        out["seconds"] = self.execute("VACUUM base", "VACUUM", "vacuum")
        self.settings = saved
        out["wal_bytes"] = int(self.wal_position() - wal)
        out["recall_after"] = self.recall(self.args.ef_check, truth)
        out["bytes_after"] = self.value("SELECT pg_relation_size('base_idx')")
        say(f"{self.label}: VACUUM after deleting {out['deleted']} rows: {out['seconds']:.1f} s, "
            f"WAL {mib(out['wal_bytes']):.1f} MiB, recall {out['recall_after']:.4f}")
        out["reinsert_s"] = self.execute("INSERT INTO base SELECT * FROM gone", "inserting the rows again")
        out["bytes_reinserted"] = self.value("SELECT pg_relation_size('base_idx')")
        truth = Truth(self.args.metric, base, queries, self.args.k)
        out["recall_reinserted"] = self.recall(self.args.ef_check, truth)
        self.out["vacuum"] = out


def find_node(plan, index):
    if plan.get("Index Name") == index:
        return plan
    for child in plan.get("Plans", ()):
        node = find_node(child, index)
        if node is not None:
            return node
    return None


# --------------------------------------------------------------- results

def mib(n):
    return n / 1048576


def rate_at(points, key, target):
    """The rate where the curve passes a recall: its log between neighbouring
    points, linear in recall.  None where it is not reached; the second value
    tells that the lowest ef was above the target already."""
    best, last = None, None
    for p in sorted(points, key=lambda p: p["ef"]):
        if p["recall"] >= target:
            if last is None:
                best = p[key], True
            else:
                share = (target - last["recall"]) / (p["recall"] - last["recall"])
                best = math.exp((1 - share) * math.log(last[key]) + share * math.log(p[key])), False
            break
        if last is None or p["recall"] >= last["recall"]:
            last = p
    return best


def print_table(head, rows):
    rows = [[str(c) for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for n, row in enumerate(rows):
        print("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print()


def report(result):
    """Markdown on stdout.  Ratios are against the last target, > 1 is better."""
    targets = result["targets"]
    reference = targets[-1]
    names = [t["target"] for t in targets]

    def ratio(value, other, less_is_better=False):
        if not value or not other:
            return "-"
        return f"{other / value if less_is_better else value / other:.2f}"

    compared = [t for t in targets if t is not reference]
    versus = [f"{t['target']} : {reference['target']}" for t in compared]

    def both(title, get, form, less=False):
        values = [get(t) for t in targets]
        return [title, *[form.format(v) if v is not None else "-" for v in values],
                *[ratio(v, values[-1], less) for v in values[:-1]]]

    rows = []
    for i, build in enumerate(reference["builds"]):
        workers = build["workers"]
        rows.append(both(f"build, {workers} workers: s", lambda t: t["builds"][i]["seconds"], "{:.1f}", True))
    rows.append(both("index: MiB", lambda t: mib(t["builds"][-1]["bytes"]), "{:.1f}", True))
    rows.append(both("build WAL: MiB", lambda t: mib(t["builds"][-1]["wal_bytes"]), "{:.1f}", True))
    rows.append(both("queries/s without the index", lambda t: t["floor"]["qps"], "{:.0f}"))
    for goal in result["recall_targets"]:
        rows.append(both(f"queries/s at recall {goal:.2f}",
                         lambda t: (t["qps_at"][str(goal)] or [None])[0], "{:.0f}"))
    if all("cpu_qps_at" in t for t in targets):
        for goal in result["recall_targets"]:
            rows.append(both(f"queries a CPU second at {goal:.2f}",
                             lambda t: (t["cpu_qps_at"][str(goal)] or [None])[0], "{:.0f}"))
    if all("inserts" in t for t in targets):
        for i, phase in enumerate(reference["inserts"]["phases"]):
            fpw = "full pages " + phase["full_page_writes"]
            rows.append(both(f"inserts/s, {fpw}", lambda t: t["inserts"]["phases"][i]["per_second"], "{:.0f}"))
            rows.append(both(f"insert WAL bytes a row, {fpw}",
                             lambda t: t["inserts"]["phases"][i]["wal_bytes_per_row"], "{:.0f}", True))
        rows.append(both(f"recall at ef {result['ef_check']} after inserts",
                         lambda t: t["inserts"].get("recall_after"), "{:.4f}"))
    if all("vacuum" in t for t in targets):
        part = reference["vacuum"]["fraction"]
        rows.append(both(f"VACUUM of {part:g} of the rows: s", lambda t: t["vacuum"]["seconds"], "{:.1f}", True))
        rows.append(both("VACUUM WAL: MiB", lambda t: mib(t["vacuum"]["wal_bytes"]), "{:.1f}", True))
        rows.append(both(f"recall at ef {result['ef_check']} after VACUUM",
                         lambda t: t["vacuum"]["recall_after"], "{:.4f}"))
        rows.append(both("index after inserting them again: MiB",
                         lambda t: mib(t["vacuum"]["bytes_reinserted"]), "{:.1f}", True))
        rows.append(both(f"recall at ef {result['ef_check']} then",
                         lambda t: t["vacuum"]["recall_reinserted"], "{:.4f}"))
    print()
    print_table(["", *names, *versus], rows)
    if any((t["qps_at"][str(goal)] or [0, False])[1] for t in targets for goal in result["recall_targets"]):
        print("(A target that the lowest ef passes already is given that point's figure.)\n")

    rows = []
    for t in targets:
        for p in t["points"]:
            rows.append([t["target"], p["ef"], f"{p['recall']:.4f}", f"{p['qps']:.0f}",
                         f"{p['qps_min']:.0f}-{p['qps_max']:.0f}",
                         f"{1e6 / p['cpu_qps']:.0f}" if "cpu_qps" in p else "-", f"{p['p50_ms']:.3f}", f"{p['p99_ms']:.3f}",
                         f"{p['buffers']:.0f}" if "buffers" in p else "-"])
    print_table(["", "ef", f"recall@{result['k']}", "queries/s", "rounds", "CPU us", "p50 ms", "p99 ms", "buffers"], rows)


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def measure(args, dsn, pgbench, cluster):
    base, queries = read_vectors(args)
    say(f"{len(base)} rows of {base.shape[1]} dimensions, {len(queries)} queries")
    truth = Truth(args.metric, base, queries, args.k)
    admin = psycopg2.connect(make_dsn(dsn, dbname=parse_dsn(dsn).get("dbname", "postgres")))
    admin.autocommit = True
    with admin.cursor() as cur:
        cur.execute("SHOW server_version")
        version = cur.fetchone()[0]
    targets = [Target(text, args, dsn, pgbench, cluster) for text in args.extensions]
    if len({t.database for t in targets}) != len(targets):
        sys.exit("--extensions: two targets are the same")
    result = {"server_version": version, "processor": processor(), "cpus": os.cpu_count(),
              "arguments": {k: v for k, v in vars(args).items() if k != "dsn"},
              "rows": len(base), "dimensions": base.shape[1], "queries": len(queries), "k": args.k,
              "ef_check": args.ef_check, "recall_targets": args.recall_targets,
              "targets": [t.out for t in targets]}
    try:
        for t in targets:
            t.load(admin, base, queries)
        for workers in args.workers:
            for t in targets:
                t.out["builds"].append(t.build("base", workers))
        points = {}
        for t in targets:
            t.out["floor"] = t.speed(t.floor_sql, len(queries), 40)
            for ef in args.ef_list:
                if not t.accepts(ef):
                    say(f"{t.label}: hnsw.ef_search = {ef} is refused, skipped")
                    continue
                point = {"ef": ef, "recall": t.recall(ef, truth), "runs": []}
                if args.buffers:
                    point["buffers"] = t.buffers(ef, len(queries))
                points[t.label, ef] = point
        # Targets side by side within an ef, all of it several times: a slow
        # moment of the machine meets them all.
        for n in range(args.rounds):
            for ef in args.ef_list:
                line = []
                for t in targets:
                    if (t.label, ef) in points:
                        point = points[t.label, ef]
                        point["runs"].append(t.speed(t.search_sql, len(queries), ef))
                        line.append(f"{t.label} {point['recall']:.4f} {point['runs'][-1]['qps']:.0f}/s")
                if line:
                    say(f"round {n + 1} of {args.rounds}, ef {ef}: " + ", ".join(line))
        for t in targets:
            for ef in args.ef_list:
                point = points.get((t.label, ef))
                if point is None:
                    continue
                rates = [run["qps"] for run in point["runs"]]
                point.update(qps=statistics.median(rates), qps_min=min(rates), qps_max=max(rates),
                             p50_ms=statistics.median(run["p50_ms"] for run in point["runs"]),
                             p99_ms=statistics.median(run["p99_ms"] for run in point["runs"]))
                if all("cpu_qps" in run for run in point["runs"]):
                    point["cpu_qps"] = statistics.median(run["cpu_qps"] for run in point["runs"])
                t.out["points"].append(point)
            for key in ("qps", "cpu_qps"):
                if all(key in point for point in t.out["points"]):
                    t.out[key + "_at"] = {str(goal): rate_at(t.out["points"], key, goal)
                                          for goal in args.recall_targets}
        if args.inserts:
            for t in targets:
                t.inserts(base, truth)
        if args.vacuum:
            for t in targets:
                t.vacuum(base, queries)
    finally:
        if not args.keep and cluster is None:
            with admin.cursor() as cur:
                for t in targets:
                    cur.execute(f"DROP DATABASE IF EXISTS {t.database} WITH (FORCE)")
        admin.close()
    return result


def arguments():
    def numbers(text):
        return [int(word) for word in text.split(",")]

    def words(text):
        return [word for word in text.split(",") if word]

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = p.add_argument_group("server")
    where.add_argument("--initdb", action="store_true", help="make a private cluster for the run (needs --pg-config or pg_config in PATH)")
    where.add_argument("--pg-config", default="pg_config", help="whose PostgreSQL to use")
    where.add_argument("--dsn", help="connection string of a running server (a superuser: CREATE EXTENSION, CHECKPOINT)")
    where.add_argument("--socket", help="the same, by the directory of its unix socket")
    where.add_argument("--os-user", default="postgres", help="who runs the private cluster when started as root")
    where.add_argument("--shared-buffers", default="4GB", help="of the private cluster")
    where.add_argument("--tmpdir", help="where to put the private cluster")
    where.add_argument("--keep", action="store_true", help="leave the databases, and the private cluster running")
    data = p.add_argument_group("data")
    data.add_argument("--base", required=True, help=".npy (float16 or float32) or ann-benchmarks .hdf5")
    data.add_argument("--query", help=".npy; with .hdf5 its own test set is the default")
    data.add_argument("--rows", type=int, help="take only the first rows of the base")
    data.add_argument("--queries", type=int, help="take only the first queries")
    data.add_argument("--metric", choices=METRICS, default="cosine")
    data.add_argument("--k", type=int, default=10)
    what = p.add_argument_group("measurement")
    what.add_argument("--extensions", type=words, default=["vecidx", "vector"],
                      help="targets, comma-separated, the last is what ratios refer to (default vecidx,vector)")
    what.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for every session")
    what.add_argument("--m", type=int, default=16)
    what.add_argument("--ef-construction", type=int, default=64)
    what.add_argument("--maintenance-work-mem", default="1GB")
    what.add_argument("--workers", type=numbers, default=[0],
                      help="max_parallel_maintenance_workers: builds once with each, searches the last (default 0)")
    what.add_argument("--ef-list", type=numbers, default=[20, 40, 80, 120, 200, 400, 800])
    what.add_argument("--recall-targets", type=lambda s: [float(w) for w in s.split(",")], default=list(RECALL_TARGETS))
    what.add_argument("--clients", type=int, default=1)
    what.add_argument("--seconds", type=int, default=5, help="of each pgbench run")
    what.add_argument("--rounds", type=int, default=3, help="pgbench runs of each point; the median counts")
    what.add_argument("--buffers", action="store_true", help="buffer accesses of the index scan, by EXPLAIN")
    what.add_argument("--inserts", type=int, default=0, metavar="N", help="time single-row inserts, N with and N without full_page_writes, into a second table that lacks 2 N rows")
    what.add_argument("--vacuum", type=float, default=0, metavar="FRACTION", help="delete that share, time VACUUM, insert it again")
    what.add_argument("--ef-check", type=int, default=200, help="ef of the recall after inserts and VACUUM")
    p.add_argument("--json", help="write every figure to this file")
    args = p.parse_args()
    if args.initdb == bool(args.dsn or args.socket):
        p.error("one of --initdb, --dsn and --socket is needed")
    return args


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cluster = None
    try:
        if args.initdb:
            cluster = Cluster(args)
            dsn, bindir = cluster.dsn, cluster.bindir
        else:
            dsn = make_dsn(args.dsn or "", **({"host": args.socket} if args.socket else {}))
            bindir = None
        pgbench = os.path.join(bindir, "pgbench") if bindir else shutil.which("pgbench")
        if not pgbench or not os.path.exists(pgbench):
            sys.exit("pgbench not found; on Debian it is in the package postgresql-15 (or another version)")
        result = measure(args, dsn, pgbench, cluster)
    except (RuntimeError, psycopg2.Error) as failure:
        sys.exit(f"compare.py: {failure}")
    finally:
        if cluster:
            cluster.close(args.keep)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
    report(result)


if __name__ == "__main__":
    main()
