"""How every rival makes its model file: plain exports, optimizers over them, graphlab's own."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.export_rivalry.cases import RANDOM, Case, plain_program
from benchmarks.export_rivalry.optimum import export_with_optimum

PLAIN = ("plain-20", "plain-23")
OPTIMIZED = tuple(f"optimizer-{opset}-{level}{cpu}" for opset in (20, 23) for level in (0, 99) for cpu in ("", "-cpu"))
FUSIONS = tuple(f"fusions-{opset}{cpu}" for opset in (20, 23) for cpu in ("", "-cpu"))
GRAPHLAB = (
    "graphlab-standard",
    "graphlab-standard-O0",
    "graphlab-ort-cpu",
    "graphlab-ort-cpu-dynamic",
    "graphlab-ort-cuda",
)
OPTIMUM = "optimum"
FILES = (*PLAIN, *OPTIMIZED, *FUSIONS, OPTIMUM, *GRAPHLAB)

MEANING = {
    "plain-20": "torch.onnx.export(dynamo=True), opset 20",
    "plain-23": "torch.onnx.export(dynamo=True), opset 23",
    "optimizer-OPSET-LEVEL": "onnxruntime.transformers.optimizer at that opt_level on the plain file; -cpu: without "
    "the fusions into operators that the CPU provider has no kernel for",
    "fusions-OPSET": "onnxscript's ort_fusions on the plain file; -cpu: without its rules for GroupNorm",
    OPTIMUM: "Optimum's own exporter (TorchScript, dynamic axes), in an environment with the versions it needs",
}


def needs(name: str) -> str | None:
    """The file another one is made of."""
    kind, _, rest = name.partition("-")
    return f"plain-{rest.split('-')[0]}" if kind in ("optimizer", "fusions") else None


def make(case: Case, name: str, folder: Path, spec: str = RANDOM) -> dict[str, Any]:
    """Writes the file `name` of `case` into `folder`; what there is to say of it. Raises what the exporter raises."""
    path = model_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = name.partition("-")[0]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = _MAKERS[kind](case, name, path, spec)
    return {"seconds": time.perf_counter() - start, **said}


def model_path(folder: Path, name: str) -> Path:
    """Where the file `name` lies: in a folder of its own, with its weights beside it."""
    return folder / name / "model.onnx"


def discard(folder: Path, name: str) -> None:
    """Deletes what was made of `name`."""
    shutil.rmtree(folder / name, ignore_errors=True)


def _plain(case: Case, name: str, path: Path, spec: str) -> dict[str, Any]:
    import torch

    program = plain_program(case, spec)
    start = time.perf_counter()
    torch.onnx.export(
        program, (), str(path), dynamo=True, opset_version=int(name.split("-")[1]), external_data=True, verbose=False
    )
    return {"export_seconds": time.perf_counter() - start}


def _optimized(case: Case, name: str, path: Path, spec: str) -> dict[str, Any]:
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    _, _, level, *cpu = name.split("-")
    options = FusionOptions(case.kind)
    if cpu:
        # No kernels on the CPU provider: GroupNorm, SkipGroupNorm, BiasSplitGelu, NhwcConv, BiasAdd; nor packed heads.
        options.enable_group_norm = options.enable_skip_group_norm = False
        options.enable_bias_splitgelu = options.enable_nhwc_conv = options.enable_bias_add = False
        options.enable_packed_qkv = options.enable_packed_kv = False
    source = model_path(path.parent.parent, needs(name) or "")
    model = optimize_model(
        str(source), model_type=case.kind, opt_level=int(level), optimization_options=options, use_gpu=False
    )
    model.save_model_to_file(str(path), use_external_data_format=True)
    return {}


def _fused(case: Case, name: str, path: Path, spec: str) -> dict[str, Any]:
    import onnx_ir

    model = onnx_ir.load(str(model_path(path.parent.parent, needs(name) or "")))
    model, counts = fused_for_ort(model, group_norm=not name.endswith("-cpu"))
    onnx_ir.save(model, str(path), external_data=f"{path.name}.data")
    return {"fusions": {key: count for key, count in counts.items() if count}}


def fused_for_ort(model: Any, *, group_norm: bool) -> tuple[Any, dict[str, int]]:
    """(`model`, an onnx_ir one, after onnxscript's optimize_for_ort, its counts); its GroupNorm rules are optional."""
    from onnxscript.rewriter.ort_fusions import _core, instance_to_group_normalization

    unwanted = set() if group_norm else set(map(id, instance_to_group_normalization.rules.rules))
    rules = [rule for rule in _core.ORT_PATTERN_REWRITE_RULES if id(rule) not in unwanted]
    # `optimize_for_ort` takes no list of rules, so the one it reads is shortened.
    with mock.patch.object(_core, "ORT_PATTERN_REWRITE_RULES", rules):
        return _core.optimize_for_ort(model)


def _graphlab(case: Case, name: str, path: Path, spec: str) -> dict[str, Any]:
    from graphlab.exporter import ExportPlan, export_stage
    from graphlab.exporting.options import ExportOptions
    from graphlab.exporting.targets import target_named
    from graphlab.rewriter import chosen_passes

    target = target_named(next(kind for kind in ("ort-cpu", "ort-cuda", "standard") if kind in name))
    plan = ExportPlan(
        case.workload,
        chosen_passes(0 if name.endswith("-O0") else 2),
        ExportOptions(target, check=False),
        spec,
        dynamic=name.endswith("-dynamic"),
    )
    report = export_stage(plan, case.stage, path)
    return {
        "attention_sites": report.attention_sites,
        "attention_fused": report.attention_fused,
        "phases": {phase.name: phase.seconds for phase in report.phases},
    }


_MAKERS: dict[str, Callable[[Case, str, Path, str], dict[str, Any]]] = {
    "plain": _plain,
    "optimizer": _optimized,
    "fusions": _fused,
    "graphlab": _graphlab,
    OPTIMUM: export_with_optimum,
}
