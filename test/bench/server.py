"""The servers that are measured: a private cluster, or one that runs already;
and what is done in them: load, build, search, write, vacuum."""
import glob
import os
import pwd
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
try:
    import psycopg2
    from psycopg2.extensions import make_dsn, parse_dsn
except ImportError as missing:
    sys.exit(f"{missing}\nOn Debian: apt-get install python3-psycopg2, then run this with /usr/bin/python3.")

from data import METRICS, TYPES, Truth, column_type, copy_rows
from progress import Progress, say

DB_PREFIX = "vecidx_compare_"
EXTENSIONS = ("vecidx", "vector")
HOW_TO_INSTALL = {
    "vecidx": "make install PG_CONFIG={pg_config} in vecidx's source tree",
    "vector": "pgvector: the Debian package postgresql-{major}-pgvector (Debian 13 and later, or apt.postgresql.org), or make install in its source tree; "
              "or measure vecidx alone: --extensions vecidx",
}


def mib(n):
    return n / 1048576


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [int(word) for word in words(text)]


def positive(text):
    values = numbers(text)
    if not values or min(values) < 1:
        raise ValueError
    return values


def default_shared_buffers():
    """A quarter of the memory, at most 4 GB."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = 0
    return f"{max(128, min(4096, memory // 4 >> 20))}MB"


def add_arguments(parser):
    where = parser.add_argument_group("server")
    where.add_argument("--initdb", action="store_true", help="make a private cluster for the run, and remove it at the end (the default)")
    where.add_argument("--pg-config", default="pg_config", metavar="PROGRAM",
                       help="whose PostgreSQL to use, for example /usr/lib/postgresql/17/bin/pg_config")
    where.add_argument("--dsn", help="connection string of a running server instead (as a superuser: CREATE EXTENSION, CHECKPOINT)")
    where.add_argument("--socket", metavar="DIR", help="the same, by the directory of its unix socket")
    where.add_argument("--os-user", default="postgres", help="who runs the private cluster when started as root")
    where.add_argument("--shared-buffers", default=default_shared_buffers(), metavar="SIZE", help="of the private cluster (default %(default)s)")
    where.add_argument("--tmpdir", metavar="DIR", help="where to put the private cluster")
    where.add_argument("--keep", action="store_true", help="leave the databases, and the private cluster running")
    what = parser.add_argument_group("indexes")
    what.add_argument("--extensions", "--targets", type=words, metavar="TARGET,...",
                      help="targets, the last is what ratios refer to; default: vecidx, and vector where it is installed")
    what.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for every session")
    what.add_argument("--m", type=int, default=16)
    what.add_argument("--ef-construction", type=int, default=64, metavar="N")
    what.add_argument("--maintenance-work-mem", default="1GB", metavar="SIZE")


def check_arguments(parser, args):
    if args.initdb + bool(args.dsn) + bool(args.socket) > 1:
        parser.error("only one of --initdb, --dsn and --socket")
    for item in args.set:
        if "=" not in item:
            parser.error(f"--set {item}: write NAME=VALUE")


def split_target(text):
    """Extension, access method and options of EXTENSION/METHOD:OPTION=VALUE:..."""
    name, *options = text.split(":")
    extension, _, method = name.partition("/")
    return extension, method or "hnsw", options


class Server:
    """Where to connect to: a private Cluster or what runs already; a context manager."""

    def __init__(self, args):
        self.args, self.cluster = args, None
        if args.dsn or args.socket:
            self.dsn = make_dsn(args.dsn or "", **({"host": args.socket} if args.socket else {}))
            self.pgbench = shutil.which("pgbench") or self.beside_pg_config("pgbench")
        else:
            self.cluster = Cluster(args)
            self.dsn = self.cluster.dsn
            self.pgbench = os.path.join(self.cluster.bindir, "pgbench")
        self.targets = []
        try:
            if not self.pgbench or not os.path.exists(self.pgbench):
                raise RuntimeError("pgbench is not in PATH, nor beside --pg-config; on Debian it is in the package postgresql-15 (or another version)")
            self.connect_admin()
        except BaseException:
            self.close_cluster()
            raise

    def connect_admin(self):
        self.admin = psycopg2.connect(make_dsn(self.dsn, dbname=parse_dsn(self.dsn).get("dbname", "postgres")))
        self.admin.autocommit = True

    def cool(self):
        self.admin.close()
        self.cluster.cool()
        self.connect_admin()

    def beside_pg_config(self, program):
        try:
            bindir = subprocess.check_output([self.args.pg_config, "--bindir"], text=True, stderr=subprocess.DEVNULL).strip()
        except (OSError, subprocess.CalledProcessError):
            return None
        return os.path.join(bindir, program)

    def close_cluster(self):
        if self.cluster:
            self.cluster.close(self.args.keep)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if not self.args.keep and self.cluster is None:
                with self.admin.cursor() as cur:
                    for target in self.targets:
                        cur.execute(f"DROP DATABASE IF EXISTS {target.database} WITH (FORCE)")
            self.admin.close()
        finally:
            self.close_cluster()

    def version(self):
        with self.admin.cursor() as cur:
            cur.execute("SHOW server_version")
            return cur.fetchone()[0]

    def make_targets(self, kind=None):
        """The targets asked for, or those there are; kind: a subclass of Target."""
        with self.admin.cursor() as cur:
            cur.execute("SELECT name FROM pg_available_extensions WHERE name = ANY (%s)", (list(EXTENSIONS),))
            there = {row[0] for row in cur.fetchall()}
        if self.args.extensions is None:
            self.args.extensions = [name for name in EXTENSIONS if name in there or name == "vecidx"]
            if there == {"vecidx"}:
                say("pgvector is not installed in this server: vecidx is measured alone")
        for text in self.args.extensions:
            name, method, _ = split_target(text)
            if name not in EXTENSIONS:
                raise RuntimeError(f"--extensions {text}: the extensions known are {' and '.join(EXTENSIONS)} (which is pgvector)")
            if method not in KNOBS:
                raise RuntimeError(f"--extensions {text}: the access methods known are {', '.join(KNOBS)}")
            if name not in there:
                major = self.version().split(".")[0]
                raise RuntimeError(f"the extension {name} is not installed in this PostgreSQL ({self.version()}).\nTo install it: "
                                   + HOW_TO_INSTALL[name].format(pg_config=self.args.pg_config, major=major))
        self.targets = [(kind or Target)(text, self.args, self) for text in self.args.extensions]
        if len({t.database for t in self.targets}) != len(self.targets):
            raise RuntimeError("--extensions: two targets are the same")
        return self.targets


class Cluster:
    """A private cluster in a temporary directory, reached by a unix socket."""

    def __init__(self, args):
        try:
            self.bindir = subprocess.check_output([args.pg_config, "--bindir"], text=True).strip()
        except (OSError, subprocess.CalledProcessError):
            raise RuntimeError(f"cannot run {args.pg_config}: name the PostgreSQL to use by --pg-config, for example "
                               "/usr/lib/postgresql/17/bin/pg_config, or a running server by --dsn") from None
        if not os.path.exists(os.path.join(self.bindir, "initdb")):
            raise RuntimeError(f"{self.bindir} has no initdb: install the server of this PostgreSQL, or name another by --pg-config")
        self.user = args.os_user if os.geteuid() == 0 else None
        if self.user:
            try:
                entry = pwd.getpwnam(self.user)
            except KeyError:
                raise RuntimeError(f"a server does not run as root, and there is no user {self.user}: name one by --os-user") from None
        self.top = tempfile.mkdtemp(prefix="vecidx-compare-", dir=args.tmpdir)
        self.data = os.path.join(self.top, "data")
        self.log = os.path.join(self.top, "log")
        self.running = False
        try:
            if self.user:
                os.chown(self.top, entry.pw_uid, entry.pw_gid)
            # The directory is 0700, so that trust lets in only its owner and root.
            self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
            settings = {
                "listen_addresses": "", "unix_socket_directories": self.top,
                "shared_buffers": args.shared_buffers, "jit": "off", "autovacuum": "off",
                "max_wal_size": "64GB", "checkpoint_timeout": "1d", "max_connections": 100 + max(args.clients),
                # commits wait for no disk: the insert rate is then the index's
                "synchronous_commit": "off",
            }
            options = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
            with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
                f.write(options)
            self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
            self.running = True
        except BaseException:
            self.close(False)
            raise
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
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                postmaster = int(f.readline())
            # The server counts a session in when it has waited for it: on a busy machine some time after the client let go.
            time.sleep(0.1)
            for _ in range(50):
                if not self.sessions(postmaster):
                    break
                time.sleep(0.1)
            with open(f"/proc/{postmaster}/stat", encoding="ascii") as f:
                after_name = f.read().rpartition(")")[2].split()
        except OSError:
            return None
        # fields 16 and 17 of proc(5): cutime and cstime
        return (int(after_name[13]) + int(after_name[14])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def sessions(postmaster):
        """Whether there are sessions in the databases of targets."""
        try:
            with open(f"/proc/{postmaster}/task/{postmaster}/children", encoding="ascii") as f:
                children = f.read().split()
        except OSError:
            return False
        for pid in children:
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                    if DB_PREFIX in f.read():
                        return True
            except OSError:
                pass
        return False

    @staticmethod
    def session_cpu_seconds(pid):
        """Processor time of a session that goes on, without parallel workers; None where the system does not tell."""
        try:
            with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
                return int(f.read().split()[0]) * 1e-9
        except OSError:
            return None

    def cool(self):
        """Restart with nothing in memory: neither in shared_buffers nor, as far as the system lets go of them, in its file cache."""
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
        self.running = False
        for folder, _, files in os.walk(os.path.join(self.data, "base")):
            for name in files:
                file = os.open(os.path.join(folder, name), os.O_RDONLY)
                try:
                    os.fsync(file)
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)
        self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
        self.running = True

    def close(self, keep):
        if keep and self.running:
            say(f"kept: {self.dsn}; stop it with {self.bindir}/pg_ctl -D {self.data} stop")
            return
        if self.running:
            self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.top, ignore_errors=True)


def shell_quote(word):
    return "'" + word.replace("'", "'\\''") + "'"


# Of each access method, the setting that trades speed for recall.
KNOBS = {"hnsw": "hnsw.ef_search", "ivfflat": "ivfflat.probes", "ivfpq": "ivfpq.probes"}


class Target:
    """One extension, access method and options: a database, its tables and index."""

    def __init__(self, text, args, server):
        self.label, self.args, self.pgbench, self.cluster = text, args, server.pgbench, server.cluster
        self.server = server
        self.extension, self.method, rest = split_target(text)
        pairs = [part.partition("=") for part in rest]
        self.knob = KNOBS[self.method]
        self.reloptions = {"m": args.m, "ef_construction": args.ef_construction} if self.method == "hnsw" else {}
        self.settings = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
        for item in args.set:
            name, _, value = item.partition("=")
            self.settings[name] = value
        for name, _, value in pairs:
            (self.settings if "." in name else self.reloptions)[name] = value
        self.database = DB_PREFIX + re.sub(r"[^a-z0-9]+", "_", text.lower())
        self.dsn = make_dsn(server.dsn, dbname=self.database)
        self.operator, opclass = METRICS[args.metric]
        self.opclass = f"{args.type}_{opclass}"
        self.index_columns = []         # beside the vector
        self.out = {"target": text, "method": self.method, "knob": self.knob}

    def options(self, extra=()):
        return " ".join(f"-c {name}={value}" for name, value in [*self.settings.items(), *extra])

    def connect(self, *extra):
        conn = psycopg2.connect(self.dsn, options=self.options(extra))
        conn.autocommit = True
        return conn

    def value(self, sql, params=None):
        conn = self.connect()
        try:
            with conn.cursor() as cur:
                cur.execute(sql, params)
                return cur.fetchone()[0]
        finally:
            conn.close()

    def execute(self, sql, what=None, view=None):
        """Run one statement; what and view make its progress seen.  Seconds taken."""
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
        if what is None:
            thread.join()
        else:
            with Progress(f"{self.label}: {what}") as progress:
                while thread.is_alive():
                    thread.join(progress.every())
                    if thread.is_alive():
                        progress.to(*self.progress(view))
        taken = time.time() - start
        conn.close()
        if failure:
            raise failure[0]
        return taken

    def progress(self, view):
        """Done, total and phase of what runs in the database."""
        columns = {"create_index": "tuples_done, tuples_total, phase",
                   "vacuum": "heap_blks_scanned, heap_blks_total, phase"}
        row = None
        if view is not None:
            conn = self.connect()
            with conn.cursor() as cur:
                cur.execute(f"SELECT {columns[view]} FROM pg_stat_progress_{view} WHERE datname = current_database()")
                row = cur.fetchone()
            conn.close()
        return row or (0, None, "")

    # ------------------------------------------------ load and build

    def load(self, base, queries, columns=None):
        """Tables base, with these columns beside the vector (data.copy_rows), and queries."""
        with self.server.admin.cursor() as cur:
            cur.execute(f"DROP DATABASE IF EXISTS {self.database}")
            cur.execute(f"CREATE DATABASE {self.database}")
        element = TYPES[self.args.type]
        conn = self.connect()
        with conn.cursor() as cur:
            cur.execute(f"CREATE EXTENSION {self.extension}")
            cur.execute("SELECT extversion FROM pg_extension WHERE extname = %s", (self.extension,))
            version = cur.fetchone()
            if version is None:
                raise RuntimeError(f"CREATE EXTENSION {self.extension} made another one: is vecidx.replace_vector on?")
            self.out["version"] = version[0]
            self.create_table(cur, "base", "integer", base.shape[1], columns)
            self.create_table(cur, "queries", "integer PRIMARY KEY", base.shape[1])
            start = time.time()
            copy_rows(conn, "base", np.arange(len(base)), base, element, columns)
            copy_rows(conn, "queries", np.arange(len(queries)), queries, element)
            self.out["load_s"] = time.time() - start
            cur.execute("VACUUM (FREEZE, ANALYZE) base")
            cur.execute("VACUUM (FREEZE, ANALYZE) queries")
        conn.close()
        say(f"{self.label} {self.out['version']}: {len(base)} rows loaded in {self.out['load_s']:.1f} s")

    def create_table(self, cur, name, key, dim, columns=None):
        more = "".join(f", {column} {column_type(values)}" for column, values in (columns or {}).items())
        cur.execute(f"CREATE TABLE {name} (id {key}, v {self.args.type}({dim}){more}) WITH (autovacuum_enabled = off)")

    def wal_position(self):
        return self.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")

    def cpu_seconds(self):
        """Processor time of the sessions that have ended, None where that is not known."""
        return self.cluster.cpu_seconds() if self.cluster else None

    def size(self, relation):
        return self.value("SELECT pg_relation_size(%s)", (relation,))

    def build(self, table, rows, workers):
        options = ", ".join(f"{name} = {value}" for name, value in self.reloptions.items())
        options = f" WITH ({options})" if options else ""
        columns = ", ".join([f"v {self.opclass}", *self.index_columns])
        index = f"{table}_idx"
        self.execute(f"DROP INDEX IF EXISTS {index}")
        self.execute("CHECKPOINT")
        wal, cpu = self.wal_position(), self.cpu_seconds()
        saved = dict(self.settings)
        self.settings["max_parallel_maintenance_workers"] = workers
        self.settings["maintenance_work_mem"] = self.args.maintenance_work_mem
        try:
            taken = self.execute(f"CREATE INDEX {index} ON {table} USING {self.method} ({columns}){options}",
                                 f"CREATE INDEX with {workers} workers", "create_index")
        finally:
            self.settings = saved
        out = {"workers": workers, "seconds": taken, "us_per_row": 1e6 * taken / rows,
               "bytes": self.size(index), "wal_bytes": int(self.wal_position() - wal)}
        out["wal_bytes_per_row"] = out["wal_bytes"] / rows
        if cpu is not None:
            out["cpu_seconds"] = self.cpu_seconds() - cpu
        say(f"{self.label}: {table}, {workers} workers: {taken:.1f} s{processor_text(out)}, {mib(out['bytes']):.1f} MiB, "
            f"WAL {mib(out['wal_bytes']):.1f} MiB")
        return out

    # ------------------------------------------------ recall and speed

    def efforts(self):
        """Values of the knob that are measured."""
        return self.args.ef_list if self.method == "hnsw" else self.args.probes_list

    def effort_check(self):
        """The one for recall after writes and VACUUM."""
        return self.args.ef_check if self.method == "hnsw" else self.args.probes_check

    def accepts(self, effort):
        conn = self.connect()
        try:
            with conn.cursor() as cur:
                cur.execute(f"SELECT '[1]'::vector {self.operator} '[1]'")     # loads the library
                cur.execute(f"SET {self.knob} = %s", (effort,))
            return True
        except psycopg2.errors.InvalidParameterValue:
            return False
        finally:
            conn.close()

    def recall(self, effort, truth, table="base"):
        k = self.args.k
        sql = (f"SELECT q.id, ARRAY(SELECT b.id FROM {table} b ORDER BY b.v {self.operator} q.v LIMIT {k}) "
               "FROM queries q ORDER BY q.id")
        conn = self.connect((self.knob, effort))
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

    def run_pgbench(self, script, settings, clients, *params):
        """Transactions a second, and latencies in ms, sorted."""
        folder = tempfile.mkdtemp(prefix="vecidx-pgbench-")
        try:
            path = os.path.join(folder, "script.sql")
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            env = dict(os.environ, PGOPTIONS=self.options(settings))
            threads = max(1, min(clients, os.cpu_count() or 1))
            done = subprocess.run([self.pgbench, "-n", "-M", "prepared", "-f", path, "-c", str(clients),
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
            if not took:
                raise RuntimeError("pgbench: no statement ended within the time; raise --seconds")
            return float(rate[1]), sorted(took)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def speed(self, sql, queries, effort, clients):
        script = f"\\set i random(0, {queries - 1})\n{sql(':i')};\n"
        before = self.cpu_seconds()
        tps, took = self.run_pgbench(script, [(self.knob, effort)], clients, "-T", str(self.args.seconds))
        out = {"qps": tps, "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)]}
        if before is not None:
            out["cpu_qps"] = len(took) / max(1e-2, self.cpu_seconds() - before)
        return out

    def buffers(self, effort, queries):
        """Mean buffer accesses of the index scan node of a query."""
        conn = self.connect((self.knob, effort))
        counts = []
        with conn.cursor() as cur:
            for i in [0, *range(min(queries, 100))]:
                cur.execute("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + self.search_sql(i))
                node = find_node(cur.fetchone()[0][0]["Plan"], "base_idx")
                counts.append(node["Shared Hit Blocks"] + node["Shared Read Blocks"])
        conn.close()
        return statistics.mean(counts[1:])      # the first one filled the session's caches

    # ------------------------------------------------ writes

    def write_phases(self):
        """How each kind of write is timed: (full_page_writes, clients).  After a
        checkpoint the first change to a page logs all of it; without
        full_page_writes only the changes are logged, as between checkpoints.
        That setting is left alone in a server that is not ours."""
        first, *more = self.args.clients
        if self.cluster is None:
            return [(None, clients) for clients in self.args.clients]
        return [("on", first), ("off", first), *(("off", clients) for clients in more)]

    def rows_held(self, rows, inserts):
        """How many of the rows are in the table before as many inserts in each phase."""
        held = rows - len(self.write_phases()) * inserts
        if held < rows // 2:
            raise RuntimeError(f"--inserts {inserts}: {len(self.write_phases())} times as many rows are inserted, which have to be "
                               f"less than half of the {rows} there are")
        return held

    def prepare_writes(self, base, inserts, columns=None):
        """The table grow, with an index, over all rows but those that inserts single inserts in each phase bring."""
        held = self.rows_held(len(base), inserts)
        columns = columns or {}
        dim, element = base.shape[1], TYPES[self.args.type]
        conn = self.connect()
        with conn.cursor() as cur:
            self.create_table(cur, "grow", "integer", dim, columns)
            self.create_table(cur, "more", "integer PRIMARY KEY", dim, columns)
            cur.execute(f"CREATE SEQUENCE next_row START {held} MINVALUE {held} CACHE 1")
            copy_rows(conn, "grow", np.arange(held), base[:held], element, {name: values[:held] for name, values in columns.items()})
            copy_rows(conn, "more", np.arange(held, len(base)), base[held:], element, {name: values[held:] for name, values in columns.items()})
            cur.execute("VACUUM (FREEZE, ANALYZE) grow")
            cur.execute("VACUUM (FREEZE, ANALYZE) more")
        conn.close()
        self.build("grow", held, self.args.workers[-1])
        return held

    def timed_writes(self, what, script, count):
        """One entry for each phase: rows a second, latencies, WAL and growth of the index a row."""
        phases = []
        for images, clients in self.write_phases():
            if images is not None:
                self.execute(f"ALTER SYSTEM SET full_page_writes = {images}")
                self.execute("SELECT pg_reload_conf()")
            self.execute("CHECKPOINT")
            wal, size, cpu = self.wal_position(), self.size("grow_idx"), self.cpu_seconds()
            done = count // clients * clients
            tps, took = self.run_pgbench(script, [], clients, "-t", str(count // clients))
            phase = {"full_page_writes": self.value("SHOW full_page_writes"), "clients": clients, "rows": done, "per_second": tps,
                     "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)],
                     "wal_bytes_per_row": int(self.wal_position() - wal) / done,
                     "index_bytes_per_row": (self.size("grow_idx") - size) / done}
            if cpu is not None:
                phase["cpu_us_per_row"] = 1e6 * (self.cpu_seconds() - cpu) / done
            phases.append(phase)
            say(f"{self.label}: {done} {what}, {clients} clients, full_page_writes {phase['full_page_writes']}: "
                f"{tps:.0f}/s, p99 {phase['p99_ms']:.2f} ms, WAL {phase['wal_bytes_per_row']:.0f} bytes a row")
        if self.cluster:
            self.execute("ALTER SYSTEM RESET full_page_writes")
            self.execute("SELECT pg_reload_conf()")
        return phases

    def inserts(self, count, held, rows, truth):
        """Single-row inserts into grow; truth is that of all rows."""
        out = {"rows_before": held}
        out["phases"] = self.timed_writes(
            "inserts", "INSERT INTO grow SELECT * FROM more WHERE id = (SELECT nextval('next_row')::integer);\n", count)
        if self.value("SELECT count(*) FROM grow") < rows:      # where the clients do not divide the count
            self.execute("INSERT INTO grow SELECT * FROM more WHERE id NOT IN (SELECT id FROM grow)")
        out["recall_after"] = self.recall(self.effort_check(), truth, "grow")
        self.out["inserts"] = out

    def updates(self, count, truth):
        """Updates of a column beside the vector.  An index on it, as such columns have, keeps
        them from being heap-only: every index of the row gets an entry for the new version."""
        conn = self.connect()
        with conn.cursor() as cur:
            cur.execute("ALTER TABLE grow ADD COLUMN other integer NOT NULL DEFAULT 0")
            cur.execute("CREATE UNIQUE INDEX ON grow (id)")
            cur.execute("CREATE INDEX ON grow (other)")
            cur.execute("VACUUM ANALYZE grow")
            cur.execute("SELECT count(*) FROM grow")
            rows = cur.fetchone()[0]
        conn.close()
        script = f"\\set i random(0, {rows - 1})\nUPDATE grow SET other = other + 1 WHERE id = :i;\n"
        self.out["updates"] = {"rows": rows, "phases": self.timed_writes("updates of another column", script, count),
                               "recall_after": self.recall(self.effort_check(), truth, "grow")}

    # ------------------------------------------------ vacuum

    def vacuum(self, base, queries):
        """Delete a random share of the rows, VACUUM, search, insert them again."""
        gone = np.random.default_rng(1).random(len(base)) < self.args.vacuum
        out = {"fraction": self.args.vacuum, "deleted": int(gone.sum()), "bytes_before": self.size("base_idx")}
        conn = self.connect()
        with conn.cursor() as cur:
            cur.execute("CREATE TABLE gone AS SELECT * FROM base WHERE id = ANY (%s)", (np.flatnonzero(gone).tolist(),))
            cur.execute("DELETE FROM base WHERE id = ANY (%s)", (np.flatnonzero(gone).tolist(),))
        conn.close()
        truth = Truth(self.args.metric, base, queries, self.args.k, ~gone)
        out["recall_dead"] = self.recall(self.effort_check(), truth)
        self.execute("CHECKPOINT")
        wal, cpu = self.wal_position(), self.cpu_seconds()
        saved = dict(self.settings)
        self.settings["maintenance_work_mem"] = self.args.maintenance_work_mem
        out["seconds"] = self.execute("VACUUM base", "VACUUM", "vacuum")
        self.settings = saved
        if cpu is not None:
            out["cpu_seconds"] = self.cpu_seconds() - cpu
        out["wal_bytes"] = int(self.wal_position() - wal)
        out["recall_after"] = self.recall(self.effort_check(), truth)
        out["bytes_after"] = self.size("base_idx")
        say(f"{self.label}: VACUUM after deleting {out['deleted']} rows: {out['seconds']:.1f} s{processor_text(out)}, "
            f"WAL {mib(out['wal_bytes']):.1f} MiB, recall {out['recall_after']:.4f}")
        out["reinsert_s"] = self.execute("INSERT INTO base SELECT * FROM gone", "inserting the rows again")
        out["bytes_reinserted"] = self.size("base_idx")
        truth = Truth(self.args.metric, base, queries, self.args.k)
        out["recall_reinserted"] = self.recall(self.effort_check(), truth)
        self.out["vacuum"] = out


def processor_text(out):
    return f" ({out['cpu_seconds']:.1f} s of processor)" if "cpu_seconds" in out else ""


def find_node(plan, index):
    if plan.get("Index Name") == index:
        return plan
    for child in plan.get("Plans", ()):
        node = find_node(child, index)
        if node is not None:
            return node
    return None
