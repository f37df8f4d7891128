"""The op table of docs/cost_model.md, written from the rules. `python -m tests.ops.cost_table` rewrites the page."""

from __future__ import annotations

import re
from pathlib import Path

import graphlab.fused
from graphlab.ops import TABLE, OpRule

PAGE = Path(__file__).parents[2] / "docs" / "cost_model.md"
BEGIN, END = "<!-- ops: begin (python -m tests.ops.cost_table) -->", "<!-- ops: end -->"
FAMILIES = (
    "contraction", "einsum", "convolution", "attention", "normalization", "activation", "elementwise", "reduction",
    "resampling", "embedding", "scatter", "movement", "views", "creation", "fused",
    "onnx_fused", "onnx_quantized",
)  # fmt: skip


def _families() -> dict[str, dict[str, list[OpRule]]]:
    """{family: {convention: rules that state it}}, in the order the rules stand in the files."""
    found: dict[str, dict[str, list[OpRule]]] = {family: {} for family in FAMILIES}
    for rule in TABLE.values():
        package, _, module = rule.body.__module__.rpartition(".")
        family = "fused" if package == graphlab.fused.__name__ else module
        found[family].setdefault(" ".join(rule.convention.split()), []).append(rule)
    return found


def _names(rules: list[OpRule]) -> str:
    """Operator names without namespace, overload and in-place variants."""
    names = [re.sub(r"^aten\.", "", rule.target).split(".")[0] for rule in rules]
    if any(rule.target.startswith(("transformers.", "graphlab.", "onnx.", "com.")) for rule in rules):
        names = [rule.target.removesuffix(".default") for rule in rules]
    plain = set(names)
    shown = dict.fromkeys(n for n in names if n.startswith("__") or n[:-1] not in plain or not n.endswith("_"))
    return ", ".join(f"`{name}`" for name in shown)


def rendered() -> str:
    """The section between the markers."""
    parts = [BEGIN]
    for family, conventions in _families().items():
        parts += ["", f"### {family}", "", "| ops | counts |", "|---|---|"]
        parts += [f"| {_names(rules)} | {text} |" for text, rules in conventions.items()]
    return "\n".join([*parts, "", END])


def page_with(section: str) -> str:
    """docs/cost_model.md with `section` between the markers."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return before + section + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page_with(rendered()), encoding="utf-8")
