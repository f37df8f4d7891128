"""A report of each command, small enough to check by hand, as its JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.facts import PlacedWeight
from graphlab.masks.placement import PlacedMask, Placement, to_json
from graphlab.onnx_pipeline.run_report import ModelCalls, RunReport
from graphlab.report.bench_data import Interval
from graphlab.report.characterization_data import CharacterizationReport, ModelRow, StageRow
from graphlab.report.diff_data import (
    Change,
    Compared,
    DiffReport,
    GroupDiff,
    NodeDiff,
    NodeFacts,
    NodesDiff,
    PartDiff,
    RuleResult,
    Setting,
    TextDiff,
    Timing,
)
from graphlab.report.export_data import BindingCheck, CheckRow, ExportReport, ModelReport, Phase, Port
from graphlab.report.finding import Finding
from graphlab.report.rewrite_data import SkipGroup
from tests.measuring.test_profile_data import GROWING, STEADY
from tests.measuring.test_profile_data import report as profile_report
from tests.report.html_document import breakdown, growth
from tests.report.sample import report as analysis_report
from tests.report.test_rewrite_schema import REPORT as REWRITE
from tests.timing.sample_report import EVERYTHING

CHECK = CheckRow(True, False, "too far off", "cpu", 1e-3, None, (BindingCheck({"h": 8}, float("inf"), float("inf")),))
MODEL = ModelReport(
    "unet", "m.onnx", None, 4096, 2048, "ort-cpu", 20, "float16", "random:0", True,
    (Port("sample", "FLOAT", ("batch", 4)),), (Port("out", "FLOAT", ()),), 7, {"Conv": 3, "Attention": 1},
    2, 1, ("norm_1",), CHECK, (Phase("write", 0.5),), (SkipGroup("fuse-qkv", "alone", "b.*", "", ("linear",)),), ("n",),
)  # fmt: skip
EXPORT = ExportReport("toy", "toy", {"height": 64}, "ort-cpu", 2, ("fuse-qkv",), (MODEL,), ("scheduler.json",))
WEIGHTS = (
    PlacedWeight("down_blocks.0.w", "down_blocks.0.attentions.0", "attention_projection", "cross", "key", 8, 2, 0.5),
    PlacedWeight("head", "head", "other", None, None, 4, 0),
)
MASK = Placement("toy", "unet", (PlacedMask("a.safetensors", WEIGHTS, (float("-inf"), -1.5), "abs_sum"),))
RUN = RunReport(
    "dir", "StableDiffusionPipeline", "cpu", 0, {"steps": 2, "size": (64, 64)}, (1, 64, 64, 3), 1.0, 2.0,
    (ModelCalls("unet", 4, 1.5),), {"torch": "2.13"}, ("random ids",),
)  # fmt: skip
_STAGE = StageRow("unet", "diffusion", 50, 100, 10, 20, 30, 25, 2.0, 1.0, None, 0.1)
_MODEL = ModelRow("toy", "text-to-image", "diffusion", {"height": 64}, 10, 20, 30, 40, 35, 9, 8, 2.0, 1.0, None, 0.1,
                  (_STAGE,))  # fmt: skip
CHARACTERIZATION = CharacterizationReport(
    "toy", "Toy device", None, (_MODEL,), (breakdown(), growth()),
    (Finding("f", "a claim", "a paper", "reproduced", ("one", "two")),), {"toy": ("assumed",)}, ("note",),
)  # fmt: skip


_TIMING = Timing(2.0, Interval(1.5, 2.5), None, None, "faster", 8, 8)
_FACTS = NodeFacts("conv", "aten.conv2d.default", "conv_in", (1, 4), "float32", 8, 0, 64)
DIFF = DiffReport(
    "analyze", "call", Compared("a.json", "report", "toy"), Compared("b", "source", "toy"),
    (Setting("steps", "1", "2"),),
    (Change("flops", "FLOP", 100, 150),),
    (
        PartDiff(
            "unet", "unet", "unet",
            (Change("flops", "FLOP", 100, 150), Change("bytes", "B", 0, 8), Change("x", "", 1, 1)),
            (GroupDiff("category", "linear", "changed", (Change("flops", "FLOP", 1, 2, timing=_TIMING),)),),
            texts=(TextDiff("flops", "h", "2*h"),),
            nodes=NodesDiff(1, 0, 0, 0, 1, 0, (NodeDiff("removed", (), _FACTS, None),)),
        ),
        PartDiff("vae", "vae", None, ()),
    ),
    rules=(RuleResult("flops > +1%", "flops", "violated", "it grew"),),
)  # fmt: skip


def _mask() -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(to_json(MASK))
    return found


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "analyze": lambda: analysis_report().to_dict(),
    "analyze-without-device": lambda: analysis_report(device=False).to_dict(),
    "rewrite": REWRITE.to_dict,
    "bench": EVERYTHING.to_dict,
    "profile": lambda: profile_report(STEADY, GROWING).to_dict(),
    "export": EXPORT.to_dict,
    "mask": _mask,
    "run": RUN.to_dict,
    "characterize": CHARACTERIZATION.to_dict,
    "diff": DIFF.to_dict,
}
