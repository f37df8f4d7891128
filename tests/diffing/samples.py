"""Reports of every kind, written down, and random analyses for properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from graphlab.ops.rule import CATEGORIES
from graphlab.report.characterization_data import CharacterizationReport, ModelRow, StageRow
from graphlab.report.data import AnalysisReport, AttentionRow, Bytes, NodeRow, StageReport, UnknownOp
from graphlab.report.finding import Finding
from tests.measuring.test_profile_data import GROWING, STEADY
from tests.measuring.test_profile_data import report as profile_report
from tests.report.sample import DECODER, UNET, attention, node, report
from tests.report.test_rewrite_schema import REPORT as REWRITE
from tests.timing.sample_report import BASE, EVERYTHING, times
from tests.timing.sample_report import report as bench_report

ANALYSIS = report()
PROFILE = profile_report(STEADY, GROWING)
ROW = StageRow("unet", "diffusion", 50, 100, 10, 1_000, 900, 300, 2.0, 1.0, None, 0.25)
MODEL = ModelRow(
    "toy", "text-to-image", "diffusion", {"height": 64}, 10, 40, 1_000, 900, 300, 70, 30, 2.0, 1.0, None, 0.25, (ROW,)
)
FINDING = Finding("f", "a claim", "a paper", "reproduced", "because")
CHARACTERIZATION = CharacterizationReport("toy", "Toy", "float16", (MODEL,), (), (FINDING,), {"toy": ()}, ())
BENCH = bench_report(replace(BASE, times=times(2.0, 2.1, 1.9, 2.05, 1.95, 2.02, 2.08)))
ALL: dict[str, Any] = {
    "analyze": ANALYSIS,
    "rewrite": REWRITE,
    "profile": PROFILE,
    "characterize": CHARACTERIZATION,
    "bench": EVERYTHING,
}
KNOWN = replace(UNET, unknown=(), nodes=UNET.nodes[:-1])
"""The stage unet with every call counted."""
PAIR = report(stages=(KNOWN, DECODER))


def without_calls(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an analysis as versions wrote it whose reports held no calls."""
    later = ("modules", "at_peak", "nodes", "analyses")
    stages = [{key: value for key, value in stage.items() if key not in later} for stage in data["stages"]]
    return {**data, "stages": stages}


COUNTS = st.integers(0, 10**15)
NAMES = st.sampled_from(["unet", "decoder", "encoder", "vae"])


@st.composite
def stages(draw: st.DrawFn) -> StageReport:
    """A stage with random costs, calls and attentions."""
    rows = tuple(draw(st.lists(nodes(), min_size=1, max_size=6)))
    heads = st.integers(1, 3)
    shapes = st.builds(lambda h, q: attention("a", "self", heads=h, q_tokens=q), heads, st.sampled_from([4, 16]))
    found: list[AttentionRow] = draw(st.lists(shapes, max_size=4))
    unknown = sum(row.flops is None for row in rows)
    return replace(
        UNET,
        parameters=draw(COUNTS),
        weight_bytes={"float16": draw(COUNTS)},
        flops_per_step=sum(row.flops or 0 for row in rows),
        flops_total=draw(COUNTS),
        pointwise_flops_total=draw(COUNTS),
        bytes_total=Bytes(draw(COUNTS), draw(COUNTS)),
        peak_activation_bytes=Bytes(draw(COUNTS), draw(COUNTS)),
        attention=tuple(found),
        unknown=(UnknownOp("foo.bar.default", unknown, unknown / len(rows)),) if unknown else (),
        nodes=rows,
        edges=(),
    )


@st.composite
def nodes(draw: st.DrawFn) -> NodeRow:
    """A call of a random kind; one without a rule is in the category "other"."""
    flops = draw(st.one_of(st.none(), st.integers(0, 10**12)))
    category = "other" if flops is None else draw(st.sampled_from(CATEGORIES[:-1]))
    where = draw(st.sampled_from(["a", "a.b", "a.c", ""]))
    shape = draw(st.sampled_from([(2, 3), (4,)]))
    op = f"aten.{category}.default"
    return node(draw(st.text("xyz", min_size=1, max_size=3)), op, category, flops=flops, module=where, shape=shape)


@st.composite
def analyses(draw: st.DrawFn) -> AnalysisReport:
    """A report of one to three stages, each with its own weights, with or without a device."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    found = tuple(replace(draw(stages()), name=name, weights=name) for name in names)
    return report(device=draw(st.booleans()), stages=found)
