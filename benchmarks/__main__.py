"""`python -m benchmarks [name...] [--quick] [--write]`: runs the pages and prints them as markdown.

Promises: without names, all of them; `--write` puts the result into docs/benchmarks.md; `--quick` only
shows that everything runs, its figures mean nothing.
On failure: exit 2 for a name that is no page, or `--write` with less than a full run; exit 1 with one
line when a peer does not do its work; 130 when stopped by Ctrl-C or SIGTERM.
"""

import argparse
import importlib
import signal
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkFailed
from benchmarks.page import Page
from benchmarks.scratch import scratch_home

PAGES = {
    "l1": "benchmarks.l1",
    "l2": "benchmarks.l2",
    "many": "benchmarks.many",
    "stampede": "benchmarks.stampede",
    "http": "benchmarks.web",
    "sessions": "benchmarks.sessions",
    "limits": "benchmarks.limits",
    "feeds": "benchmarks.feeds",
    "places": "benchmarks.places",
    "analytics": "benchmarks.analytics",
}
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
INTRODUCTION = """\
# Benchmarks

`make bench` measures Headwater side by side with the libraries people use today, and prints this page;
`make bench ARGS=--write` writes it. With `BENCH_POSTGRES_URL=postgres://…` plain SQL is measured on
PostgreSQL too, in a database that is made for it and dropped. In each table all peers do the same work on
the same value (one product, some 300 bytes) in one run, in short turns (A B C A B C ...), so that a slow
moment of the machine hits all of them alike. A row is the median over all rounds, the middle half of the
rounds, and the median of the ratios to the reference, taken round by round. Figures of another machine
differ; the ratios differ less."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Peers side by side.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(PAGES))
    parser.add_argument("--quick", action="store_true", help="show that all of it runs, no more")
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in PAGES]
    if unknown:
        parser.exit(2, f"no page is named {unknown[0]}; there are {', '.join(PAGES)}\n")
    if arguments.write and (arguments.quick or arguments.names):
        parser.exit(2, "--write takes a full run of all pages\n")
    # As Ctrl-C does: leave through every `finally`, so that no server or folder stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        document = _measure(arguments.names or list(PAGES), quick=arguments.quick)
    except KeyboardInterrupt:
        parser.exit(130, "stopped\n")
    if arguments.write:
        DOCUMENT.write_text(document)


def _measure(names: list[str], *, quick: bool) -> str:
    with scratch_home() as home:
        from benchmarks.surroundings import surroundings
        from demo.processes import ChildError

        parts = [f"{INTRODUCTION}\n\n{surroundings()}\n"]
        print(parts[0], flush=True)
        for name in names:
            try:
                page: Page = importlib.import_module(PAGES[name]).run(home, quick=quick)
            except (BenchmarkFailed, ChildError) as error:
                sys.stderr.write(f"{name}: {error}\n")
                raise SystemExit(1) from None
            parts.append(page.markdown())
            print(parts[-1], flush=True)
    return "\n".join(parts)


if __name__ == "__main__":
    main()
