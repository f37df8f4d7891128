"""Times `graphlab erase demo` from start to end, and says what was left: a row a demonstration.

    python -m benchmarks.erasure.demo_time digits layout layout:slash

One run each, so do it where nothing else runs; what is left of the concept is the same every time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from graphlab.erase.jobs.demo_report import demo_report_of


def timed(world: str, concept: str) -> str:
    """A row of the table: seconds of the whole process, and shares of images after, by both judges."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "demo.json"
        command = [sys.executable, "-m", "graphlab.cli.main", "erase", "demo", "--world", world]
        command += ["-o", f"{folder}/out", "--json", str(report), *(["--concept", concept] if concept else [])]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        made = demo_report_of(json.loads(report.read_text()))
    left = ", ".join(f"{seen.erased['trained'].value:.1%} ({seen.judge})" for seen in made.after)
    return f"| {world} | {made.concept} | {seconds:.0f} | {left} | {made.changed_outside_mask} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=["digits", "layout"], help="WORLD or WORLD:CONCEPT")
    print("| world | erased | seconds | still shown, by judge | changed outside the mask |")
    print("|---|---|---:|---|---:|")
    for text in parser.parse_args(arguments).worlds:
        world, _, concept = text.partition(":")
        print(timed(world, concept), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
