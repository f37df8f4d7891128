"""Writes docs/findings.md: `python -m benchmarks.findings [--device D ...]`; captures are cached."""

from __future__ import annotations

import argparse
from pathlib import Path

import graphlab
from graphlab.characterization.suite import EIGHT, RELATIVES
from graphlab.report.characterization_data import CharacterizationReport, ModelRow
from graphlab.units import format_seconds

PAGE = Path(__file__).parent.parent / "docs" / "findings.md"
DEVICES = ("a100-80gb", "h100-sxm", "l4", "rtx-4090", "mi300x")

HEAD = """\
# Findings

What the suite (models.md) says to each takeaway of "Generative AI Beyond LLMs" and to the laws behind it, written by
`python -m benchmarks.findings`. Claims come from the paper's abstract, public summaries of it, or closed forms;
figures of the paper itself were not at hand and none is compared with. The paper's systems are stand-ins here wherever
their configurations are not public.

FLOPs, bytes and lengths are exact for these graphs. Times are estimates of the time model (cost_model.md, "Time on a
device"; its error on published times: gpu_times.md, on measured ones: gpu_measured.md), so a verdict about time says
what follows from the model on that device, not what was measured. How much of attention is temporal rests on the least
time of a block of attention, which was measured on one GPU and is taken for all, and on the rate of spatial attention,
which the model has too slow there: on an H100, temporal attention measured 53 % of AnimateDiff's and 45 % of Stable
Video Diffusion's (gpu_measured.md), where the model says 42 and 32 %.
"""


def main() -> None:
    """Characterizes the suite on every device and writes the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", nargs="*", default=list(DEVICES))
    parser.add_argument("--model", nargs="*", help="instead of the suite, for a trial")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    reports = [graphlab.characterize(options.model, device, jobs=2) for device in options.device]
    options.output.write_text(page(reports), encoding="utf-8")


def page(reports: list[CharacterizationReport]) -> str:
    """The whole page; evidence and tables are those of the first device."""
    first = reports[0]
    lines = [*HEAD.splitlines(), "", "## Verdicts", ""]
    lines.append(f"| claim | from | {' | '.join(report.device for report in reports)} |")
    lines.append("|---" * (2 + len(reports)) + "|")
    for number, finding in enumerate(first.findings):
        verdicts = (report.findings[number].verdict for report in reports)
        lines.append(f"| [{finding.name}](#{finding.name}) | {finding.source} | {' | '.join(verdicts)} |")
    for finding in first.findings:
        lines += ["", f"## {finding.name}", "", f"Claim ({finding.source}): {finding.claim}.", ""]
        lines += [f"{first.device}: {finding.verdict}.", "", *(f"- {line}" for line in finding.evidence)]
    lines += ["", "## Times and shares", "", *_times(first), "", *_shares(first)]
    return "\n".join(lines) + "\n"


def _times(report: CharacterizationReport) -> list[str]:
    lines = [
        f"Estimated seconds of one generation on {report.device}; `speedup` is what fused attention gives end to end.",
        "",
        "| model | family | baseline | fused | speedup | compiled | idle, fused |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report.models:
        compiled = "-" if row.seconds_compiled is None else format_seconds(row.seconds_compiled)
        baseline, fused = format_seconds(row.seconds_baseline), format_seconds(row.seconds_fused)
        speedup, idle = row.seconds_baseline / row.seconds_fused, row.idle_fused / row.seconds_fused
        cells = (_label(row), row.family, baseline, fused, f"{speedup:.2f}x", compiled, f"{idle:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _label(row: ModelRow) -> str:
    if row.name in EIGHT:
        return f"**{row.name}**"
    return f"{row.name} (relative)" if row.name in RELATIVES else row.name


def _shares(report: CharacterizationReport) -> list[str]:
    rows = report.figure("breakdown").rows
    names = [name for name in dict.fromkeys(str(row["category"]) for row in rows) if name != "idle"]
    lines = [
        f"Shares of the time in which {report.device} works, baseline / fused attention (estimates).",
        "",
        f"| model | {' | '.join(names)} |",
        "|---" * (1 + len(names)) + "|",
    ]
    for model in report.models:
        cells = (f"{_part(rows, model.name, 'baseline', n)} / {_part(rows, model.name, 'fused', n)}" for n in names)
        lines.append(f"| {model.name} | {' | '.join(cells)} |")
    return lines


def _part(rows: object, model: str, attention: str, name: str) -> str:
    own = [row for row in rows if row["model"] == model and row["attention"] == attention]  # type: ignore[attr-defined]  # rows of a figure
    busy = sum(row["seconds"] for row in own if row["category"] != "idle")
    part = sum(row["seconds"] for row in own if row["category"] == name)
    return f"{part / busy:.0%}" if busy else "-"


if __name__ == "__main__":
    main()
