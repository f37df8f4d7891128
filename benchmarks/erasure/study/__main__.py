"""The erasure study, in pieces: what is done is kept, what was cut off is done again.

    python -m benchmarks.erasure.study --folder benchmarks/erasure/study/results --part digits --budget 3300
    python -m benchmarks.erasure.study --folder benchmarks/erasure/study/results --read

A piece begins no run after its budget of seconds. `<part>.csv` in the folder holds a row for every checkpoint,
and is enough to go on from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.erasure.study.doing import Setting
from benchmarks.erasure.study.report import report
from benchmarks.erasure.study.runs import PARTS
from benchmarks.erasure.study.working import work_off
from graphlab.erase.errors import EraseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 when the part is done or read, 3 when runs are left, 1 for an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--part", choices=PARTS, default="digits")
    parser.add_argument("--budget", type=float, default=3300.0, help="seconds after which no run begins")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--read", action="store_true", help="print the tables of what is there, as Markdown")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.read:
            print(report(chosen.folder))
            return 0
        left = work_off(chosen.part, chosen.folder, Setting(), workers=chosen.workers, budget=chosen.budget, tell=_say)
    except EraseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _say(f"{left} runs of {chosen.part} left")
    return 3 if left else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
