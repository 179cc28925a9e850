#!/usr/bin/env python3
"""Draws what compare.py, growth.py or filters.py measured:

    picture.py RESULT.json PICTURE.svg

Recall against queries a second, a panel for each number of clients; of
growth.py, queries a second at a fixed recall and build time a row against the
number of rows; of filters.py, queries a second for each condition.  On Debian: apt-get install python3-matplotlib.
"""
import argparse
import json
import sys

HOW_TO_INSTALL = "python3-matplotlib is missing; on Debian: apt-get install python3-matplotlib"
SUFFIXES = (".svg", ".png", ".pdf")
NAMES = {"vector": "pgvector", "hnswlib": "hnswlib in process"}
MARKERS = "os^Dv<>P"


def available():
    try:
        import matplotlib.figure    # noqa: F401
    except ImportError:
        return False
    return True


def label(target):
    """The extension's own name, its version, its options."""
    name, colon, options = target["target"].partition(":")
    options = options.replace("filters=index", "columns in the index")
    name, _, method = name.partition("/")
    return " ".join(filter(None, [NAMES.get(name, name), target.get("version"), method])) + (f" ({options})" if colon else "")


def subtitle(result):
    options = result["arguments"]
    with_graph = any(t["method"] == "hnsw" for t in result["targets"])
    up_to = "up to " if result["kind"] == "growth" else ""
    return (f"{up_to}{result['rows']:,} rows, {result['dimensions']} dimensions, {result['metric']} distance, {result['k']} neighbours, "
            + (f"m {options['m']}, ef_construction {options['ef_construction']}, " if with_graph else "")
            + f"PostgreSQL {result['server_version'].split()[0]}")


def style(number):
    return {"color": f"C{number % 10}", "marker": MARKERS[number % len(MARKERS)], "markersize": 5, "linewidth": 1.8}


def plain(axis):
    """Whole numbers at the ticks of a log axis: 200, 500, 1k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(
        lambda v, _: f"{v / 1e6:g}M" if v >= 1e6 else f"{v / 1e3:g}k" if v >= 1e3 else f"{v:g}"))


def frame(panel):
    panel.grid(True, which="major", linewidth=0.4, color="#cccccc")
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def curves(panel, target_points):
    for number, (name, xy) in enumerate(target_points):
        if xy:
            panel.plot(*zip(*xy), label=name, **style(number))
    frame(panel)


def draw_compare(figure, result):
    counts = sorted({p["clients"] for t in result["targets"] for p in t["points"]})
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for panel, clients in zip(panels, counts):
        targets = result["targets"] + ([result["hnswlib"]] if "hnswlib" in result else [])
        curves(panel, [(label(t), sorted((p["recall"], p["qps"]) for p in t["points"] if p["clients"] == clients)) for t in targets])
        panel.set_yscale("log")
        plain(panel.yaxis)
        panel.set_xlabel(f"recall@{result['k']}")
        panel.set_title(f"{clients} client" + ("s" if clients > 1 else ""), fontsize=10)
    panels[0].set_ylabel("queries/s")
    panels[0].legend(frameon=False)


def draw_growth(figure, result):
    speed, build = figure.subplots(1, 2)
    workers = result["arguments"]["workers"]
    for panel, key, title in ((speed, "qps", f"queries/s at recall@{result['k']} {result['recall']:g}"),
                              (build, "build_us_per_row", f"build, µs a row, {workers} parallel worker" + ("" if workers == 1 else "s"))):
        curves(panel, [(label(t), [(p["rows"], p[key]) for p in t["sizes"] if p.get(key) is not None]) for t in result["targets"]])
        panel.set_xscale("log")
        plain(panel.xaxis)
        panel.set_xticks(sorted({p["rows"] for t in result["targets"] for p in t["sizes"]}))
        panel.set_xticks([], minor=True)
        panel.set_xlabel("rows")
        panel.set_title(title, fontsize=10)
    # from zero, so that a slope is seen as what it is; rates differ by far more than that
    build.set_ylim(bottom=0)
    speed.set_yscale("log")
    plain(speed.yaxis)
    build.legend(frameon=False)     # which has every target, whether it reaches the recall or not


def draw_filters(figure, result):
    """A row for each condition, a mark for each target at its best; hollow where recall or rows fall short of the goal."""
    panel = figure.subplots()
    titles = [entry["title"] for entry in max((t["cells"] for t in result["targets"]), key=len)]
    known = all("cpu_us" in entry["best"] for t in result["targets"] for entry in t["cells"])
    for number, t in enumerate(result["targets"]):
        look = {**style(number), "linewidth": 0}
        for row, entry in enumerate(t["cells"]):
            best = entry["best"]
            good = best["recall"] >= result["recall_goal"] and best["short"] == 0
            panel.plot([1e6 / best["cpu_us"] if known else best["qps"]], [row], markerfacecolor=None if good else "white", **look)
        panel.plot([], [], label=label(t), **look)
    panel.set_xscale("log")
    plain(panel.xaxis)
    panel.set_yticks(range(len(titles)), titles)
    panel.set_ylim(len(titles) - 0.5, -0.5)
    panel.set_ylabel("rows that match")
    panel.set_xlabel(("queries a second of processor time" if known else "queries/s")
                     + f" (hollow: recall@{result['k']} below {result['recall_goal']:g}, or rows missing)")
    frame(panel)
    panel.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw(result, path):
    """A small file: text stays text in .svg, and the same figures give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "vecidx", "font.size": 9,
                                "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"]})
    panels = 2
    if result["kind"] == "compare":
        panels = len({p["clients"] for t in result["targets"] for p in t["points"]})
        if panels == 0:
            raise ValueError("the result has no measured point")
    height = 4.2
    if result["kind"] == "filters":
        if not any(t["cells"] for t in result["targets"]):
            raise ValueError("the result has no measured condition")
        height = 1.6 + 0.3 * max(len(t["cells"]) for t in result["targets"])
    figure = Figure(figsize=(max(6.4, 4.4 * panels), height), layout="constrained", facecolor="white")
    {"compare": draw_compare, "growth": draw_growth, "filters": draw_filters}[result["kind"]](figure, result)
    figure.suptitle(result["data"] + "\n" + subtitle(result), fontsize=9)
    metadata = {"Date": None} if path.endswith(".svg") else None
    figure.savefig(path, metadata=metadata, dpi=100)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("result", metavar="RESULT.json")
    p.add_argument("picture", metavar="PICTURE", help=".svg, .png or .pdf")
    args = p.parse_args()
    if not args.picture.endswith(SUFFIXES):
        p.error(f"{args.picture}: the name has to end in {', '.join(SUFFIXES)}")
    if not available():
        sys.exit(HOW_TO_INSTALL)
    try:
        with open(args.result, encoding="utf-8") as f:
            result = json.load(f)
        draw(result, args.picture)
    except KeyError as missing:
        sys.exit(f"{args.result}: not a result of compare.py, growth.py or filters.py, {missing} is missing")
    except (OSError, ValueError) as failure:
        sys.exit(f"{args.result}: {failure}")


if __name__ == "__main__":
    main()
