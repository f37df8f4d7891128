"""What every exporter fuses, model by model, and whether its file loads and agrees on ONNX Runtime's CPU provider.

    python -m benchmarks.export_fusion [--only sd15,flux] [--limit SECONDS] [--json counts.json]
    python -m benchmarks.export_fusion --full       full topology: operators alone, no weights, nothing is run
    python -m benchmarks.export_fusion --read counts.json

Presets are narrow by default, of the full topology's kinds of layers, with random weights. Each export is a child of
its own; one that takes longer than --limit is given up and reported so. Counts are of operators; "sites" are the
attentions that graphlab finds in the captured program, whatever they are spelled like.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.export_rivalry.cases import Case, of_workload
from benchmarks.export_rivalry.children import LIMIT_GIB, answer, run_child
from benchmarks.export_rivalry.counting import GROUPS, grouped, operators_of_file
from benchmarks.export_rivalry.makers import make, model_path, needs
from benchmarks.timing import header

MODELS: Mapping[str, tuple[str, str]] = {
    "sd15": ("stable-diffusion-v1-5", "unet"),
    "sdxl": ("stable-diffusion-xl", "unet"),
    "sd3": ("stable-diffusion-3-medium", "transformer"),
    "flux": ("flux-1-dev", "transformer"),
    "dit": ("dit-xl-2-256", "transformer"),
    "vae": ("stable-diffusion-v1-5", "vae_decoder"),
    "clip": ("stable-diffusion-v1-5", "text_encoder"),
    "t5": ("stable-diffusion-3-medium", "text_encoder_3"),
    "wan": ("wan-2-1-t2v-1.3b", "transformer"),
    "hunyuan": ("hunyuan-video", "transformer"),
    "modelscope": ("modelscope-t2v", "unet"),
    "llama": ("llama-2-7b", "prefill"),
    "llama-decode": ("llama-2-7b", "decode"),
}
RIVALS = ("graphlab-standard", "graphlab-ort-cpu", "plain-20", "plain-23", "fusions-20", "fusions-20-cpu")


def case_of(name: str, *, full: bool) -> Case:
    """The stage of a preset, in float32."""
    from graphlab.models import find_model

    preset, stage = MODELS[name]
    return of_workload(name, find_model(preset if full else f"{preset}-tiny").workload(), stage)


def child(options: argparse.Namespace) -> None:
    """Exports once and answers with counts and, unless the topology alone was asked for, the largest error."""
    of = case_of(options.only, full=options.full)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options.full:
            answer(**_topology(of, options.child))
            return
        said = make(of, options.child, options.folder)
        path = model_path(options.folder, options.child)
        error, why = _agreement(of, path)
    answer(operators=operators_of_file(path), error=error, why=why, seconds=said["seconds"], **_sites(said))


def _sites(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"sites": said["attention_sites"]} if "attention_sites" in said else {}


def _agreement(of: Case, path: Path) -> tuple[float | None, str]:
    """(the largest error of the file over the largest value, "") or (None, why it did not run)."""
    import torch

    from benchmarks.export_rivalry.cases import plain_program
    from graphlab.hoisting.runner import eager_call
    from graphlab.lowering.ort_call import SessionCall, SessionSettings, open_session
    from graphlab.measuring.materialize import inputs
    from graphlab.program import Program
    from graphlab.rewriting.bare import held_tensors
    from graphlab.sources.extract import extract
    from graphlab.sources.stage import tensor_inputs
    from graphlab.timing.agreement import relative_error

    exported = plain_program(of)
    program = Program(of.stage, extract(exported), exported)
    place = torch.device("cpu")
    given = inputs(program.graph, {name: spec.role for name, spec in tensor_inputs(of.found).items()}, place)
    wanted = [part for part in eager_call(program, held_tensors(program), place)(given) if _is_tensor(part)]
    try:
        got = SessionCall(open_session(path, SessionSettings()), list(given))(given)
    except Exception as error:  # onnxruntime's own exceptions have no public base class
        return None, " ".join(str(error).split())[:160]
    if len(got) != len(wanted):
        return None, f"{len(got)} results, expected {len(wanted)}"
    errors = [relative_error(own, one) for own, one in zip(got, wanted, strict=True)]
    if any(error is None for error in errors):
        return None, "results of other shapes, or NaN"
    return max((error for error in errors if error is not None), default=0.0), ""


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _topology(of: Case, rival: str) -> dict[str, Any]:
    """Operators of a model that is made without weights."""
    import time

    from graphlab.sources.stage import program_for

    start = time.perf_counter()
    if rival.startswith("graphlab"):
        program = program_for(of.found, of.values, dynamic=False, disk=False)
        found = _lowered(program, rival.removeprefix("graphlab-"))
    else:
        found = {"operators": _plain_operators(of, rival)}
    return {**found, "error": None, "why": "not run", "seconds": time.perf_counter() - start}


def _lowered(program: Any, target_name: str) -> dict[str, Any]:
    from graphlab.exporter import _for_target
    from graphlab.exporting.targets import target_named
    from graphlab.exporting.translate import to_onnx
    from graphlab.pipeline import Facts
    from graphlab.rewriter import chosen_passes, rewrite_program
    from graphlab.rewriting.account import figures

    target = target_named(target_name)
    rewritten = rewrite_program(program, _for_target(chosen_passes(2), target)).program
    lowered = to_onnx(rewritten, target)
    found = figures(Facts(rewritten.graph, dict(rewritten.graph.symbols)))
    return {"operators": dict(lowered.operators), "sites": found.attention_fused + found.attention_spelled}


class _Zeros:
    """Weights without memory: one zero seen as all of them. Exporters look into weights, so meta tensors do not do."""

    spec, is_random, notes = "zeros", True, ()

    def __init__(self, source: Any) -> None:
        self._source = source

    def read(self, key: str, like: Any) -> Any:
        """Zeros for a parameter, the values of the source for a buffer."""
        import torch

        if isinstance(like, torch.nn.Parameter):
            return torch.zeros((), dtype=like.dtype).expand(like.shape)
        return self._source.read(key, like)


def _plain_operators(of: Case, rival: str) -> dict[str, int]:
    import torch

    from benchmarks.export_rivalry.cases import arguments, module_with_weights
    from graphlab.sources.module import export

    exported = export(module_with_weights(of, _Zeros(of.source())), ((), arguments(of)), None, strict=of.found.strict)
    opset = int((needs(rival) or rival).split("-")[1])
    made = torch.onnx.export(exported, (), dynamo=True, opset_version=opset, verbose=False)
    assert made is not None
    model = made.model
    if rival.startswith("fusions"):
        from benchmarks.export_rivalry.makers import fused_for_ort

        model, _ = fused_for_ort(model, group_norm=not rival.endswith("-cpu"))
    names = (f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.all_nodes())
    return dict(Counter(names))


def measure(options: argparse.Namespace, name: str, rivals: Sequence[str]) -> list[dict[str, Any]]:
    """A row a rival on the model `name`."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for rival in rivals:
            print(f"{name}: {rival}", file=sys.stderr, flush=True)
            first = needs(rival)
            if first is not None and not options.full and not model_path(Path(place), first).is_file():
                why = f"{first}, which it is made of, was not made"
                rows.append({"model": name, "rival": rival, "failed": why})
                continue
            arguments = ["--only", name, "--child", rival, "--folder", place, *(["--full"] if options.full else [])]
            found = run_child("benchmarks.export_fusion", arguments, options.memory, options.limit)
            rows.append({"model": name, "rival": rival, "failed": found.error, **found.answer})
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """A row a model and rival, and what fused attention comes to over all models."""
    columns = [column for column in GROUPS if column != "attention"]
    print("| model | exporter | attentions fused | " + " | ".join(columns) + " | nodes | runs, largest error | s |")
    print("|---" * (6 + len(columns)) + "|")
    sites = {row["model"]: row["sites"] for row in rows if row.get("sites") is not None}
    for row in rows:
        if row["failed"]:
            print(f"| {row['model']} | {row['rival']} | {row['failed']} |" + " |" * (3 + len(columns)))
            continue
        counts = grouped(row["operators"])
        fused = f"{counts['attention']} of {sites.get(row['model'], '?')}"
        runs = f"{row['error']:.1e}" if row["error"] is not None else row["why"]
        cells = (row["model"], row["rival"], fused, *(str(counts[column] or "") for column in columns))
        print("| " + " | ".join((*cells, str(counts["nodes"]), runs, f"{row['seconds']:.1f}")) + " |")
    print()
    for rival, (fused_all, all_sites, ran, asked) in totals(rows).items():
        run = (
            f"; {ran} of {asked} files run and agree (1e-3)"
            if any(row.get("error") is not None for row in rows)
            else ""
        )
        print(f"- {rival}: {fused_all} of {all_sites} attentions fused{run}")


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int, int, int]]:
    """{rival: (attentions fused, sites, files that agree within 1e-3, files asked for)} over models of known sites."""
    sites = {row["model"]: row["sites"] for row in rows if row.get("sites") is not None}
    found: dict[str, tuple[int, int, int, int]] = {}
    for row in rows:
        if row["model"] not in sites:
            continue
        fused, all_sites, ran, asked = found.get(row["rival"], (0, 0, 0, 0))
        mine = min(grouped(row["operators"])["attention"], sites[row["model"]]) if not row["failed"] else 0
        agrees = not row["failed"] and row["error"] is not None and row["error"] <= 1e-3
        found[row["rival"]] = fused + mine, all_sites + sites[row["model"]], ran + agrees, asked + 1
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(MODELS), help=f"comma-separated, of {', '.join(MODELS)}")
    parser.add_argument("--rivals", default=",".join(RIVALS), help="comma-separated; by default all")
    parser.add_argument("--full", action="store_true", help="full topology: operators alone")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds an export, its check included, may take")
    parser.add_argument("--memory", type=float, default=LIMIT_GIB, help="GiB an export may take")
    parser.add_argument("--folder", type=Path, help="where models are written; a temporary one otherwise")
    parser.add_argument("--json", type=Path, help="keep the rows in this file; models it has are not done again")
    parser.add_argument("--read", type=Path, nargs="+", help="print the rows of such files")
    parser.add_argument("--child", choices=RIVALS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    header("What exporters fuse")
    if options.read:
        table([row for path in options.read for row in json.loads(path.read_text())])
        return
    rivals = options.rivals.split(",")
    unknown = [*(set(options.only.split(",")) - set(MODELS)), *(set(rivals) - set(RIVALS))]
    if unknown:
        parser.error(f"{unknown[0]!r} is no model ({', '.join(MODELS)}) and no rival ({', '.join(RIVALS)})")
    rows: list[dict[str, Any]] = []
    if options.json and options.json.is_file():
        rows = json.loads(options.json.read_text())
    done = {row["model"] for row in rows}
    for name in options.only.split(","):
        if name not in done:
            rows += measure(options, name, rivals)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))
    table(rows)


if __name__ == "__main__":
    main()
