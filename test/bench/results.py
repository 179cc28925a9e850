"""What the programs do with their figures: the head of a result, JSON, tables, and the picture."""
import argparse
import contextlib
import json
import math
import os
import platform
import signal
import sys

import data
import picture
import server
from progress import say


def parser(description):
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_arguments(p):
    out = p.add_argument_group("results")
    out.add_argument("--json", metavar="FILE", help="write every figure to this file")
    out.add_argument("--picture", metavar="FILE", help="draw the curves (.svg, .png, .pdf); needs python3-matplotlib. "
                                                       "picture.py draws from the JSON later")


def parse(p):
    """The arguments, found fit before anything long begins."""
    args = p.parse_args()
    data.check_arguments(p, args)
    server.check_arguments(p, args)
    for name in ("json", "picture"):
        path = getattr(args, name)
        if path and not os.path.isdir(os.path.dirname(path) or "."):
            p.error(f"--{name} {path}: no such directory")
    if args.picture and not args.picture.endswith(picture.SUFFIXES):
        p.error(f"--picture {args.picture}: the name has to end in {', '.join(picture.SUFFIXES)}")
    if args.picture and not picture.available():
        say(f"no picture will be drawn: {picture.HOW_TO_INSTALL}"
            + ("" if args.json else "; with --json FILE it can be drawn afterwards"))
    if args.seconds <= 0 or args.rounds < 1:
        p.error("--seconds has to be above 0, --rounds at least 1")
    return args


def run(program, args, measure, report):
    """A benchmark from its arguments to its tables and picture; what was measured is written also if it is stopped."""
    result = {}
    with measurement(program, args, result), server.Server(args) as srv:
        measure(args, srv, result)
    report(result)
    draw(args, result)


def head(kind, args, srv, base, queries):
    return {"kind": kind, "complete": False, "server_version": srv.version(), "processor": processor(), "cpus": os.cpu_count(),
            "arguments": {k: v for k, v in vars(args).items() if k != "dsn"},
            "data": args.name, "metric": args.metric, "type": args.type,
            "rows": len(base), "dimensions": base.shape[1], "queries": len(queries), "k": args.k}


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def measurement(program, args, result):
    """Whatever ends the measurement: a plain message, and the figures so far are written."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
        result["complete"] = True
    except (RuntimeError, OSError, server.psycopg2.Error) as failure:
        sys.exit(f"{program}: {str(failure).strip()}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if args.json and result:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump(result, f, indent=1)
                f.write("\n")


def draw(args, result):
    if args.picture and picture.available():
        picture.draw(result, args.picture)
        say(f"{args.picture} drawn")


def rate_at(points, key, target):
    """The rate where the curve passes a recall: its log between neighbouring
    points, linear in recall.  None where it is not reached; the second value
    tells that the least effort was above the target already."""
    best, last = None, None
    for p in sorted(points, key=lambda p: p["effort"]):
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


def ratio(value, other, less_is_better=False):
    if not value or not other:
        return "-"
    return f"{other / value if less_is_better else value / other:.2f}"


def both(title, values, form, less=False):
    """A row of a table: each target's value, and how much better than the last one's."""
    return [title, *[form.format(v) if v is not None else "-" for v in values],
            *[ratio(v, values[-1], less) for v in values[:-1]]]


def print_table(columns, rows):
    rows = [[str(c) for c in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    for n, row in enumerate(rows):
        print("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print()
