"""`graphlab devices`: the devices whose peaks are known."""

from __future__ import annotations

import sys
from collections.abc import Iterable

SHOWN = ("float32", "bfloat16", "float16", "float8")
NOTE = "FLOP/s, dense, with float32 sums; - is not published. --device also takes a .toml file of your own"


def devices() -> None:
    """Lists the known devices."""
    from graphlab.cli.render import console, print_lines, print_table
    from graphlab.hardware import device_names, load_device
    from graphlab.report.tables import Column, Table
    from graphlab.units import format_bytes, format_count

    known = [load_device(name) for name in device_names()]
    heads = ("memory", "byte/s", *SHOWN)
    rows = tuple(
        (
            item.name,
            format_bytes(item.memory_bytes),
            format_count(item.bandwidth),
            *(format_count(peak) if (peak := item.peak(dtype)) is not None else "-" for dtype in SHOWN),
        )
        for item in known
    )
    out = console(sys.stdout)
    columns = (Column("name", number=False), *(Column(head) for head in heads))
    print_table(out, Table("Devices", columns, rows, note=NOTE))
    sources = [f"{item.name}: {', '.join(_urls(item.sources.values()))}" for item in known]
    print_lines(out, "Sources", sources)
    print_lines(out, "Notes", [f"{item.name}: {item.note}" for item in known if item.note])


def _urls(sources: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(url for source in sources for url in source.split(" and "))
