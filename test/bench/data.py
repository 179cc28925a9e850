"""Vectors to measure with: where they come from, and which answers are right."""
import os
import re
import sys

try:
    import numpy as np
except ImportError as missing:
    sys.exit(f"{missing}\nOn Debian: apt-get install python3-numpy python3-psycopg2, then run this with /usr/bin/python3.")

from progress import Progress

METRICS = {                     # operator, and the operator class's name after the type's
    "l2": ("<->", "l2_ops"),
    "ip": ("<#>", "ip_ops"),
    "cosine": ("<=>", "cosine_ops"),
    "l1": ("<+>", "l1_ops"),
}
TYPES = {"vector": ">f4", "halfvec": ">f2"}     # and an element on the wire
HDF5_METRICS = {"angular": "cosine", "euclidean": "l2", "dot": "ip"}
HELD_OUT = 500                  # queries taken from the base where there are none


def add_arguments(parser):
    group = parser.add_argument_group("data")
    group.add_argument("--base", required=True, metavar="FILE",
                       help=".npy (rows by dimensions, float16 or float32), an .hdf5 of ann-benchmarks, or synthetic:ROWSxDIM "
                            "for made-up vectors that resemble embeddings")
    group.add_argument("--query", metavar="FILE",
                       help=f".npy; default: the test set of the .hdf5, otherwise the last {HELD_OUT} rows (or --queries) of the base, "
                            "which are then left out of it")
    group.add_argument("--rows", type=int, help="take only the first rows of the base")
    group.add_argument("--queries", type=int, help="take only the first queries")
    group.add_argument("--metric", choices=METRICS, help="default: what the .hdf5 says, otherwise cosine")
    group.add_argument("--type", choices=TYPES, default="vector", help="of the column (default vector)")
    group.add_argument("--k", type=int, default=10, help="neighbours asked for (default 10)")
    group.add_argument("--name", help="of the data, for the picture; default: the name of the file")


def check_arguments(parser, args):
    for name in ("base", "query"):
        path = getattr(args, name)
        if path and not path.startswith("synthetic:") and not os.path.exists(path):
            parser.error(f"--{name}: no file {path}")
    if args.base.startswith("synthetic:") and not re.fullmatch(r"synthetic:[1-9]\d*x[1-9]\d*", args.base):
        parser.error("--base: write synthetic:ROWSxDIM, for example synthetic:100000x768")
    for name in ("rows", "queries", "k"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} has to be at least 1")


def synthetic(rows, dim, seed):
    """Unit vectors in clusters of different tightness, with a spectrum that falls as embeddings' does.  The medians of the cosine
    distance to the 10th nearest, the 1000th and any of 20,000 rows are 0.39, 0.66, 1.0 with 100 dimensions and 0.45, 0.74, 1.0 with
    768; of GloVe's word vectors 0.46, 0.64, 0.86."""
    # The model depends on the dimension alone, so that queries are drawn from what the rows are drawn from.
    model = np.random.default_rng(dim)
    spread = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    axes = np.linalg.qr(model.standard_normal((dim, dim)))[0].astype(np.float32)
    centres = 0.7 * model.standard_normal((256, dim)).astype(np.float32) * spread
    tightness = model.uniform(0.6, 1.0, 256).astype(np.float32)
    rng = np.random.default_rng((dim, seed))
    out = np.empty((rows, dim), dtype=np.float32)
    with Progress(f"making {rows} vectors", rows) as progress:
        for at in range(0, rows, 65536):
            n = min(65536, rows - at)
            c = rng.integers(0, 256, n)
            part = centres[c] + tightness[c, None] * rng.standard_normal((n, dim), dtype=np.float32) * spread
            part /= np.linalg.norm(part, axis=1, keepdims=True)
            out[at:at + n] = part @ axes
            progress.to(at + n)
    return out


def read_hdf5(path, args):
    try:
        import h5py
    except ImportError:
        sys.exit(f"{path}: reading .hdf5 needs h5py; on Debian: apt-get install python3-h5py")
    try:
        with h5py.File(path, "r") as f:
            distance = f.attrs.get("distance", "")
            distance = distance.decode() if isinstance(distance, bytes) else str(distance)
            if "train" not in f or "test" not in f:
                sys.exit(f"{path}: no data sets \"train\" and \"test\", which the files of ann-benchmarks have, but: {', '.join(f)}")
            if distance and distance not in HDF5_METRICS and args.metric is None:
                sys.exit(f"{path} is made for the distance \"{distance}\", which columns of type {args.type} do not have; "
                         "choose one by --metric")
            return f["train"][:args.rows], f["test"][:args.queries], HDF5_METRICS.get(distance)
    except OSError as failure:
        sys.exit(f"{path}: {failure}")


def read_npy(path, count):
    try:
        with open(path, "rb") as f:
            if f.read(6) != b"\x93NUMPY":
                sys.exit(f"{path} is not a .npy file; numpy.save() writes one")
        return np.load(path, mmap_mode="r")[:count]
    except (OSError, ValueError) as failure:
        sys.exit(f"{path}: {failure}")


def read(args):
    """base (n, d) and queries (q, d), float32; sets args.metric and args.name where they are not given."""
    queries = metric = None
    if args.base.startswith("synthetic:"):
        rows, dim = (int(n) for n in args.base.partition(":")[2].split("x"))
        base = synthetic(min(rows, args.rows or rows), dim, 1)
        queries = synthetic(args.queries or HELD_OUT, dim, 2)
        name = f"synthetic vectors, {dim} d"
    else:
        name = os.path.splitext(os.path.basename(args.base))[0]
        if args.base.endswith((".hdf5", ".h5")):
            base, queries, metric = read_hdf5(args.base, args)
        else:
            # without a file of queries, they have to come on top of the rows asked for
            base = read_npy(args.base, None if args.query is None else args.rows)
    if args.query is not None:
        queries = read_npy(args.query, args.queries)
    elif queries is None:
        held = min(args.queries or HELD_OUT, len(base) // 2)
        base, queries = base[:len(base) - held][:args.rows], base[len(base) - held:]
    base = np.ascontiguousarray(base, dtype=np.float32)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if base.ndim != 2 or queries.ndim != 2 or base.shape[1] != queries.shape[1]:
        sys.exit(f"base {base.shape} and queries {queries.shape} are not two tables of the same width")
    if not len(base) or not len(queries):
        sys.exit(f"{len(base)} rows and {len(queries)} queries: nothing to measure")
    if args.type == "halfvec":          # the right answers are those of what is stored
        base, queries = (a.astype(np.float16).astype(np.float32) for a in (base, queries))
    if not np.isfinite(base).all() or not np.isfinite(queries).all():
        sys.exit(f"the data has elements that are not finite, or are too large for {args.type}")
    args.metric = args.metric or metric or "cosine"
    args.name = args.name or name
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


def rough_distances(metric, rows, queries):
    """Blocks (number of the first query, float32 distances of these queries to all rows), which sort as the distances do but for rounding."""
    norms = np.linalg.norm(rows, axis=1)
    if metric == "cosine":
        norms[norms == 0] = np.inf      # no direction: not in the index, and never near
    step = max(1, min(64, (1 << 25) // len(rows)))     # distances to be held at once
    with Progress("exact neighbours, queries", len(queries)) as progress:
        for at in range(0, len(queries), step):
            block = queries[at:at + step]
            if metric == "l1":
                rough = np.stack([np.abs(rows - q).sum(axis=1) for q in block])
            else:
                rough = -(block @ rows.T)
                if metric == "cosine":
                    rough /= norms
                elif metric == "l2":
                    rough = 2 * rough + norms.astype(np.float32) ** 2
            yield at, rough
            progress.to(at + len(block))


class Answers:
    """Of each query, how many rows it should get and the distance of the last of them."""

    def __init__(self, metric, base, queries, k):
        self.metric, self.base, self.queries, self.k = metric, base, queries, k
        self.limit = np.full(len(queries), -np.inf)
        self.want = np.zeros(len(queries), dtype=int)

    def settle(self, query, rough, ids=None):
        """From a query's distances to the rows (that ids number, if not all)."""
        want = min(self.k, len(rough))
        if want == 0:
            return
        keep = min(len(rough), want + 32)       # a margin for float32 rounding, settled in double
        near = np.argpartition(rough, keep - 1)[:keep]
        exact = distances(self.metric, self.base[near if ids is None else ids[near]], self.queries[query])
        self.want[query], self.limit[query] = want, np.partition(exact, want - 1)[want - 1]

    def recall(self, found):
        """found: {query number: [ids]}.  Equal distances count as found."""
        hits = wanted = 0
        for i, ids in found.items():
            if self.want[i] == 0:
                continue
            d = distances(self.metric, self.base[np.asarray(ids, dtype=int)], self.queries[i]) if ids else np.empty(0)
            slack = 1e-6 * max(1.0, abs(self.limit[i]))
            hits += min(self.want[i], int((d <= self.limit[i] + slack).sum()))
            wanted += self.want[i]
        return float(hits / wanted) if wanted else 1.0


class Truth(Answers):
    """Among the rows that are alive."""

    def __init__(self, metric, base, queries, k, alive=None):
        super().__init__(metric, base, queries, k)
        ids = None if alive is None else np.flatnonzero(alive)
        for at, block in rough_distances(metric, base if ids is None else base[ids], queries):
            for i, rough in enumerate(block):
                self.settle(at + i, rough, ids)


# What columns beside the vector are declared as, by the arrays that hold them: integers, times, strings of one
# length (S), uuids (V16), or (two-dimensional) arrays of as many integers in each row.
def column_type(values):
    if values.dtype.kind in "MSV":
        return {"M": "timestamptz", "S": "text", "V": "uuid"}[values.dtype.kind]
    return "integer" if values.ndim == 1 else "integer[]"


def wire_column(values):
    """The values as COPY wants them, each with its length in front."""
    if values.ndim == 2:
        count = values.shape[1]
        out = np.zeros(len(values), dtype=[("length", ">i4"), ("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">i4"), ("count", ">i4"),
                                           ("lower", ">i4"), ("items", [("length", ">i4"), ("value", ">i4")], (count,))])
        out["length"], out["dimensions"], out["type"], out["count"], out["lower"] = 20 + 8 * count, 1, 23, count, 1     # 23: int4
        out["items"]["length"], out["items"]["value"] = 4, values
        return out
    if values.dtype.kind in "SV":
        out = np.empty(len(values), dtype=[("length", ">i4"), ("value", values.dtype)])
        out["length"], out["value"] = values.dtype.itemsize, values
        return out
    if values.dtype.kind == "M":        # microseconds since the year 2000
        values = (values - np.datetime64("2000-01-01", "us")).astype(np.int64)
    size = 8 if values.dtype == np.int64 else 4
    out = np.empty(len(values), dtype=[("length", ">i4"), ("value", f">i{size}")])
    out["length"], out["value"] = size, values
    return out


def copy_rows(conn, table, ids, vectors, element, columns=None):
    """Binary COPY of (id integer, v vector or halfvec, further columns {name: an array of a kind that column_type knows});
    element is that of TYPES."""
    dim = vectors.shape[1]
    wire = np.dtype((element, (dim,)))
    more = {name: wire_column(values) for name, values in (columns or {}).items()}
    layout = np.dtype([("fields", ">i2"), ("idlen", ">i4"), ("id", ">i4"), ("vlen", ">i4"),
                       ("dim", ">u2"), ("unused", ">i2"), ("v", wire), *((f"column {name}", values.dtype) for name, values in more.items())])

    class Stream:
        """What copy_expert reads: header, rows by the block, trailer."""
        block = max(1, (1 << 22) // layout.itemsize)

        def __init__(self, progress):
            self.at, self.rest, self.progress = 0, b"PGCOPY\n\xff\r\n\0" + bytes(8), progress

        def read(self, size=-1):
            if not self.rest and self.at <= len(ids):
                part = slice(self.at, self.at + self.block)
                n = len(ids[part])
                if n:
                    rows = np.zeros(n, dtype=layout)
                    rows["fields"], rows["idlen"], rows["vlen"], rows["dim"] = 2 + len(more), 4, 4 + wire.itemsize, dim
                    rows["id"], rows["v"] = ids[part], vectors[part]
                    for name, values in more.items():
                        rows[f"column {name}"] = values[part]
                    self.rest, self.at = rows.tobytes(), self.at + n
                else:
                    self.rest, self.at = b"\xff\xff", len(ids) + 1
                self.progress.to(min(self.at, len(ids)))
            if size < 0:
                size = len(self.rest)
            out, self.rest = self.rest[:size], self.rest[size:]
            return out

    with conn.cursor() as cur, Progress(f"loading {table}, rows", len(ids)) as progress:
        cur.copy_expert(f"COPY {table} ({', '.join(['id', 'v', *more])}) FROM STDIN (FORMAT binary)", Stream(progress), size=1 << 16)
