"""docs/devices.md: every device file that ships, with the source of each number."""

from __future__ import annotations

import re

from graphlab.hardware import PEAK_DTYPES, Hardware, registry
from graphlab.units import format_bytes, format_count
from tests.docs.reference import WRITTEN, code, paragraph, prose, table


def page() -> str:
    """The whole page."""
    known = [entry.value for entry in registry().entries.values() if entry.owner.built_in]
    head = [
        WRITTEN,
        "# Devices",
        "",
        *paragraph(
            "What `--device NAME` knows, and where each number is published. `graphlab devices` prints it; a device of "
            "your own is a TOML file with the same keys ([examples/my_gpu.toml](../examples/my_gpu.toml)), and "
            "`graphlab calibrate` measures the processor at hand ([cli.md](cli.md#calibrating-this-machine)). Peaks "
            "are FLOP/s of dense contractions with float32 sums, `tf32` those of float32 rounded to 10 bits of "
            "mantissa; - is not published or does not exist. What is made of them: "
            "[cost_model.md](cost_model.md#time-on-a-device)."
        ),
        "",
        *table(("device", "memory", "byte/s", *PEAK_DTYPES), [_row(item) for item in known]),
    ]
    return "\n".join([*head, *(line for item in known for line in _section(item))]) + "\n"


def _row(item: Hardware) -> tuple[str, ...]:
    peaks = (format_count(peak) if (peak := item.peak_flops.get(dtype)) is not None else "-" for dtype in PEAK_DTYPES)
    return code(item.name), format_bytes(item.memory_bytes), format_count(item.bandwidth), *peaks


def _section(item: Hardware) -> list[str]:
    keys: dict[str, list[str]] = {}
    for key, source in item.sources.items():
        keys.setdefault(source, []).append(key)
    lines = ["", f"## {item.name}", "", f"{item.title}.{f' {prose(item.note)}' if item.note else ''}", ""]
    for source, found in keys.items():
        places = " and ".join(re.sub(r"^(https?://\S+)", r"<\1>", part) for part in source.split(" and "))
        lines.append(f"- {', '.join(map(code, found))}: {places}")
    return lines
