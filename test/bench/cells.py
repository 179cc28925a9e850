"""Conditions to search under: the columns beside the vectors that they are about, and which rows they take in."""
import numpy as np

from data import Answers, rough_distances

TENANTS = 10000
LARGEST = 0.4                   # share of the largest tenant
TOPICS = 50
TAGS, TAGS_OF_A_ROW = 200, 3
FIRST_DAY = np.datetime64("2020-01-01", "us")
DAYS = 1000


def zipf_shares(count, largest):
    """Shares of 1 that fall with a power of the rank, the first of which is the largest."""
    ranks = np.arange(1, count + 1, dtype=float)
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        power = (low + high) / 2
        low, high = (power, high) if 1 / (ranks ** -power).sum() < largest else (low, power)
    shares = ranks ** -low
    return shares / shares.sum()


def direction(rows, metric):
    """What k-means works on: with the cosine distance lengths do not matter."""
    if metric != "cosine":
        return rows
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def squares(rows, centres):
    """Squared distances to the centres, less what all of a row's have in common."""
    return (centres ** 2).sum(axis=1) - 2 * (rows @ centres.T)


def topics(base, metric):
    """Centroids of k-means over a sample, and the nearest of each row."""
    rng = np.random.default_rng(3)
    sample = direction(base[rng.choice(len(base), min(len(base), 20000), replace=False)], metric)
    centres = sample[rng.choice(len(sample), min(TOPICS, len(sample)), replace=False)].copy()
    for _ in range(10):
        nearest = squares(sample, centres).argmin(axis=1)
        for i in range(len(centres)):
            members = sample[nearest == i]
            if len(members):
                centres[i] = members.mean(axis=0)
    nearest = np.concatenate([squares(direction(base[at:at + 65536], metric), centres).argmin(axis=1) for at in range(0, len(base), 65536)])
    return centres, nearest.astype(np.int32)


class Cell:
    """A condition.  values(i): its parameters in query i; mask(*values): which rows meet it."""

    def __init__(self, name, title, where, types, values, mask):
        self.name, self.title, self.where, self.types, self.values, self.mask = name, title, where, types, values, mask
        self.answers = None
        self.matching = 0.0     # rows, mean of the queries

    def check(self, found):
        """found: {query: [rows]}.  An answer with other rows than those that meet the condition, or with one twice, is no answer."""
        for i, rows in found.items():
            mask = self.mask(*self.values(i))
            if not mask[rows].all() or len(set(rows)) != len(rows):
                wrong = [row for row in rows if not mask[row]]
                raise RuntimeError(f"{self.title}, query {i}: " + (f"rows {wrong} do not meet {self.where}" if wrong else f"a row comes twice: {rows}"))

    def out(self):
        return {"cell": self.name, "title": self.title, "where": self.where, "matching_rows": self.matching}


class Conditions:
    """The columns {name: values} and the cells over them."""

    def __init__(self, base, queries, metric):
        rng = np.random.default_rng(4)
        n = len(base)
        shares = zipf_shares(TENANTS, LARGEST)
        centres, topic = topics(base, metric)
        day = rng.integers(0, DAYS * 86400, n)
        self.columns = {
            "u": rng.integers(0, 10000, n).astype(np.int32),
            "topic": topic,
            "tenant": rng.choice(TENANTS, n, p=shares).astype(np.int32),
            "ts": FIRST_DAY + day.astype("timedelta64[s]").astype("timedelta64[us]"),
            "tags": rng.integers(0, TAGS, (n, TAGS_OF_A_ROW)).astype(np.int32),
        }
        to_centres = squares(direction(queries, metric), centres)
        to_centres = np.where(np.bincount(topic, minlength=len(centres)) == 0, np.nan, to_centres)
        self.own, self.farthest = np.nanargmin(to_centres, axis=1), np.nanargmax(to_centres, axis=1)
        self.sizes = np.bincount(self.columns["tenant"], minlength=TENANTS)
        self.cells = self.make_cells()

    def tenant_of(self, share):
        return int(np.abs(self.sizes - share * self.sizes.sum()).argmin())

    def make_cells(self):
        u, topic, tenant, ts, tags = self.columns.values()
        cells = []
        for name, limit in (("100", 10000), ("50", 5000), ("10", 1000), ("1", 100), ("0.1", 10), ("0.01", 1)):
            cells.append(Cell(name, f"{name} %", "b.u < {}", ["integer"], lambda i, limit=limit: (limit,), lambda x: u < x))
        for name, title, which in (("own", "topic of the query", self.own), ("farthest", "farthest topic", self.farthest)):
            cells.append(Cell(name, title, "b.topic = {}", ["integer"], lambda i, which=which: (int(which[i]),), lambda x: topic == x))
        for share in (0.4, 0.01, 0.001):
            number = self.tenant_of(share)
            cells.append(Cell(f"tenant{100 * share:g}", f"tenant of {100 * share:g} %", "b.tenant = {}", ["integer"],
                              lambda i, number=number: (number,), lambda x: tenant == x))
        recent = FIRST_DAY + np.timedelta64(DAYS * 9 // 10, "D")
        cells.append(Cell("two", "10 % and 10 %", "b.u < {} AND b.ts >= {}", ["integer", "timestamptz"],
                          lambda i: (1000, f"{recent} UTC"), lambda x, _: (u < x) & (ts >= recent)))
        cells.append(Cell("tags", "array with a tag", "b.tags && ARRAY[{}]", ["integer"], lambda i: (i % TAGS,),
                          lambda x: (tags == x).any(axis=1)))
        return cells

    def choose(self, names):
        known = {cell.name: cell for cell in self.cells}
        for name in names:
            if name not in known:
                raise RuntimeError(f"--cells {name}: the cells known are {', '.join(known)}")
        return [known[name] for name in names]

    @staticmethod
    def answer(cells, metric, base, queries, k):
        """The right answers of the cells."""
        ids = {}
        for cell in cells:
            cell.answers = Answers(metric, base, queries, k)
            values = [cell.values(i) for i in range(len(queries))]
            for value in set(values):
                ids[cell.name, value] = np.flatnonzero(cell.mask(*value))
            cell.matching = float(np.mean([len(ids[cell.name, value]) for value in values]))
        for at, block in rough_distances(metric, base, queries):
            for i, rough in enumerate(block, at):
                for cell in cells:
                    rows = ids[cell.name, cell.values(i)]
                    cell.answers.settle(i, rough[rows], rows)
