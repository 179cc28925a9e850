"""hnswlib in the program's own process: what a graph over full vectors gives without a server.  Not in Debian: pip install hnswlib."""
import statistics
import time

import numpy as np

from progress import Progress, say
from results import rate_at

SPACES = {"l2": "l2", "ip": "ip", "cosine": "cosine"}


def problem(metric):
    """Why it cannot be measured, or None."""
    if metric not in SPACES:
        return f"hnswlib has no {metric} distance"
    try:
        import hnswlib  # noqa: F401
    except ImportError:
        return "the Python module hnswlib is not installed (pip install hnswlib; this Python has to find it)"
    return None


class Hnswlib:
    """Shaped as a target's figures are, as far as it has them."""

    def __init__(self, args, base):
        import hnswlib
        self.args = args
        threads = 1 + max(args.workers)
        self.index = hnswlib.Index(space=SPACES[args.metric], dim=base.shape[1])
        self.index.init_index(max_elements=len(base), M=args.m, ef_construction=args.ef_construction)
        start, cpu = time.time(), time.process_time()
        with Progress("hnswlib: build, rows", len(base)) as progress:
            for at in range(0, len(base), 10000):
                self.index.add_items(base[at:at + 10000], num_threads=threads)
                progress.to(min(at + 10000, len(base)))
        self.out = {"target": "hnswlib", "points": [],
                    "build": {"threads": threads, "seconds": time.time() - start, "cpu_seconds": time.process_time() - cpu}}
        say(f"hnswlib: {len(base)} rows, {threads} threads: {self.out['build']['seconds']:.1f} s")
        self.index.set_num_threads(1)

    def point(self, ef, queries, truth):
        """Recall, and the rate of one query after the other."""
        k = self.args.k
        self.index.set_ef(max(ef, k))
        found = {i: [int(n) for n in self.index.knn_query(query, k=k)[0][0]] for i, query in enumerate(queries)}
        rng = np.random.default_rng(1)
        point = {"effort": ef, "clients": 1, "recall": truth.recall(found), "runs": []}
        for _ in range(self.args.rounds):
            count, start, cpu = 0, time.time(), time.process_time()
            while time.time() - start < self.args.seconds:
                for i in rng.integers(0, len(queries), 64):
                    self.index.knn_query(queries[i], k=k)
                count += 64
            point["runs"].append({"qps": count / (time.time() - start), "cpu_qps": count / (time.process_time() - cpu)})
        for key in ("qps", "cpu_qps"):
            point[key] = statistics.median(run[key] for run in point["runs"])
        return point

    def measure(self, queries, truth):
        for ef in self.args.ef_list:
            point = self.point(ef, queries, truth)
            self.out["points"].append(point)
            say(f"hnswlib: ef {ef}: {point['recall']:.4f} {point['qps']:.0f}/s")
        for key in ("qps", "cpu_qps"):
            self.out[key + "_at"] = {str(goal): rate_at(self.out["points"], key, goal) for goal in self.args.recall_targets}
        return self.out
