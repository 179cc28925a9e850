"""What is going on, on standard error: a bar where python3-tqdm is installed and
the output is a terminal, otherwise a line every few seconds."""
import sys
import time

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

LINE_EVERY = 5                  # seconds between lines
_missing_told = False
_bars = 0                       # bars on the screen


def say(text):
    line = f"# {time.strftime('%H:%M:%S')} {text}"
    if _bars:
        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


class Progress:
    """with Progress("loading", 1000) as p: p.to(500).  The total may change, or be unknown."""

    def __init__(self, what, total=None):
        global _missing_told, _bars
        self.what, self.total, self.done = what, total, 0
        self.began = self.said = time.time()
        self.bar = None
        if sys.stderr.isatty():
            if tqdm:
                self.bar = tqdm(desc=what, total=total, file=sys.stderr, leave=False, dynamic_ncols=True)
                _bars += 1
            elif not _missing_told:
                _missing_told = True
                say("no progress bar without python3-tqdm (apt-get install python3-tqdm); lines instead")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        global _bars
        if self.bar is not None:
            self.bar.close()
            self.bar = None
            _bars -= 1

    def every(self):
        """Seconds that may well pass between two calls of to()."""
        return LINE_EVERY if self.bar is None else 0.5

    def to(self, done, total=None, note=""):
        self.done, self.total = done, total or self.total
        if self.bar is not None:
            self.bar.total, self.bar.n = self.total, done
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.refresh()
        elif time.time() - self.said >= LINE_EVERY:
            self.said = time.time()
            of = f" of {self.total}" if self.total else ""
            say(f"{self.what}, {self.said - self.began:.0f} s: " + ", ".join(filter(None, [note, f"{done}{of}"])))

    def step(self, note=""):
        self.to(self.done + 1, note=note)
