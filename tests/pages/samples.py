"""A report of each command, small enough to check by hand, as its JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from graphlab.catalogue.data import Listing, Plugin
from graphlab.discovery.owner import Owner
from graphlab.discovery.registry import Broken
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.result import Evaluation, Judged, KernelDistances, Mean
from graphlab.erase.jobs.comparison import Changed, ChangedRole, changed_roles
from graphlab.erase.jobs.demo_report import DemoReport
from graphlab.erase.jobs.evaluate import BaseReport
from graphlab.erase.jobs.evaluate_pipeline import PairReport
from graphlab.erase.jobs.evaluation_report import EvaluationReport
from graphlab.erase.jobs.fuse import FusedRow
from graphlab.erase.jobs.record import Record
from graphlab.erase.jobs.roles import RoleRow
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.distance import Distance
from graphlab.erase.metrics.drift import DriftBin
from graphlab.facts import PlacedWeight
from graphlab.hardware import Hardware
from graphlab.masks.placement import PlacedMask, Placement, to_json
from graphlab.onnx_pipeline.run_report import ModelCalls, OutputFile, RunReport
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
from graphlab.report.explain import ExplanationReport, explain
from graphlab.report.export_data import BindingCheck, CheckRow, ExportReport, ModelReport, Phase, Port
from graphlab.report.finding import Finding
from graphlab.report.rewrite_data import SkipGroup
from graphlab.rewriting.options import OptionHelp
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
    (ModelCalls("unet", 4, 1.5),), {"torch": "2.13"}, ("random ids",), OutputFile("a.png", "0" * 64),
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


def judged(hits: int) -> Judged:
    """What a judge says of 8 images, on `hits` of which it sees the concept."""
    shown, valid = (
        {"trained": Share(hits, 8), "unseen": Share(hits, 8)},
        {"trained": Share(8, 8), "unseen": Share(7, 8)},
    )
    replaced = {"trained": {"two": Share(8 - hits, 8)}, "unseen": {}}
    return Judged("cnn", shown, valid, replaced, {"two": Share(7, 8)}, {"colour": {"trained": Share(6, 8)}})


CHANGES = (Changed("conv_in.weight", 8, 2, 0), Changed("mid.attn2.to_k.weight", 4, 0, 0))
DRIFT = {"concept": (DriftBin(-4.0, 0.0, 0.5, 8),), "empty": (DriftBin(-4.0, 0.0, 0.0, 8),)}
PIXELS = (torch.arange(11 * 21 * 3).view(11, 21, 3) % 251).to(torch.uint8)
EVALUATION = EvaluationReport.of(
    "digits",
    "out",
    BaseReport(
        (
            Evaluation(
                "digits", "three", ("five",), EvaluationConfig(images=8, edges=(-4.0, 0.0)), (judged(8),), (judged(2),),
                {"trained": Mean(-0.5, -0.6, -0.4, 8, 1)},
                KernelDistances(Distance(-0.1, -0.2, 0.0), Distance(1.0, 0.5, 1.5), Distance(0.0, -0.1, 0.1), 8, 16),
                DRIFT,
            ),
        ),
        CHANGES,
        0,
        {"source": "digits", "versions": {"torch": "2.13"}},
        {"three": PIXELS},
    ),
)  # fmt: skip
COMPARISON = EvaluationReport.of(
    "pipe",
    "out",
    PairReport(
        DRIFT, {"concept": None, "kept": -0.25}, {"mine.py:score": {"concept": {"clip": -1.5}}}, CHANGES, None,
        {"concept": ("a cat",), "kept": ("a dog", "a tree")}, pictures={"concept": PIXELS, "kept": PIXELS},
    ),
)  # fmt: skip
DEMO = DemoReport(
    "three", (judged(8),), (judged(2),), 6, (ChangedRole("other", 2, 1, 12, 2, 0),), 0, PIXELS, ("a/demo.json",)
)


_ROLES = (RoleRow("cross-attention key", 2, 8, 3), RoleRow("norm", 1, 4, 0))
_HOW = {
    "concepts": ["three"],
    "prompts": [],
    "method": None,
    "maps": {"seeds": [0]},
    "training": {"rate": 0.1, "on": True},
}
_OF: dict[str, Any] = {"source": "digits", "base": "0" * 64, "inputs": {"": "1" * 64, "roman iii": "2" * 64}}
SALIENCY = Record(
    command="saliency", config=_HOW, seeds={"maps": [0, 1], "random": None}, outputs={"m.safetensors": "3" * 64}, **_OF,
    results={"prompts": ["roman iii"], "kept_after": [6, 3], "density": 0.25, "roles": [asdict(row) for row in _ROLES]},
)  # fmt: skip
TRAIN = Record(
    command="train", config=_HOW, seeds={"points": 0}, outputs={"erased.safetensors": "3" * 64}, **_OF,
    results={
        "iterations": 2, "evaluations": 64, "other_evaluations": 8, "changed_entries": 2, "changed_outside_mask": 0,
        "last_losses": {"erase": 0.25}, "losses": [{"erase": 0.5, "preserve": 0.0}, {"erase": 0.25}],
        "roles": [asdict(row) for row in changed_roles(CHANGES)],
    },
)  # fmt: skip
FUSE = Record(
    command="fuse", config={"keep": 1.0, "rho": 1e-3, "loras": ["one", "two"]}, seeds={}, outputs={}, **_OF,
    results={
        "prompts": ["roman iii"], "kept_tokens": 12, "largest_change": 0.5,
        "edits": [asdict(FusedRow("mid.attn2.to_k", 0.5, (0.25, None)))],
    },
)  # fmt: skip


def explanation(node: str = "conv") -> ExplanationReport:
    """What is known about a call of the sample's first stage."""
    return explain(analysis_report(stages=(analysis_report().stages[0],)), node)


_OWNER = Owner("toy", "1.0")
_OPTION = OptionHelp("limit", "a number of at least -1", "8.0", "how much", "float", minimum=-1.0, choices=("a", "b"))
_DEVICE = Hardware(
    "toy", "Toy", "gpu", 1 << 30, 1e12, {"float32": 1e13}, {"memory_bytes": "https://example.org"}, "new"
)
_BROKEN = (Broken("bad", Owner("bad"), "bad.one", "it cannot be imported"),)
LISTINGS = {
    "passes": Listing("passes", (Plugin("toy", "rewrite", "does", _OWNER, "toy.one", (_OPTION,)),), _BROKEN),
    "models": Listing("models", (Plugin("toy", "image", "is", _OWNER, "toy.one", (_OPTION,), ("other",)),)),
    "devices": Listing("devices", (Plugin("toy", "gpu", "Toy", _OWNER, "toy.toml", hardware=_DEVICE),)),
    "backends": Listing("backends", (Plugin("toy", "backend", "runs", _OWNER, "toy.one", runs=False, why_not="no"),)),
}


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
    "explain": lambda: explanation().to_dict(),
    "explain-attention": lambda: explanation("mix").to_dict(),
    **{kind: listing.to_dict for kind, listing in LISTINGS.items()},
    "erase evaluate": EVALUATION.to_dict,
    "erase evaluate of a pipeline": COMPARISON.to_dict,
    "erase demo": DEMO.to_dict,
    "erase saliency": SALIENCY.to_dict,
    "erase train": TRAIN.to_dict,
    "erase fuse": FUSE.to_dict,
}
