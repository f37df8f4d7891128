"""Seconds and peak memory of exporting: graphlab without its checks against torch.onnx.export, and against depth.

    python -m benchmarks.export_time models --only sd15 --rounds 3 --folder FOLDER [--dynamic] [--target ort-cpu]
    python -m benchmarks.export_time depth --layers 8,16,32,64

Every export runs in a child of its own, the two exporters in turn. Weights are one .safetensors file, made once and
kept in FOLDER. torch's seconds are given twice: of the call of torch.onnx.export on a module that is in memory with
its weights, and with building it and reading them, which graphlab's seconds always contain. Both have the same dynamic
axes, the same opset, and write the weights beside the model.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.export_rivalry.cases import CASES, RANDOM, Case, case, of_workload
from benchmarks.export_rivalry.children import LIMIT_GIB, Outcome, answer, run_child
from benchmarks.timing import header

EXPORTERS = ("graphlab", "torch")
OPSET = 23
MIB = 1 << 20


def child(options: argparse.Namespace) -> None:
    """Exports once and answers with the seconds of it and the nodes of the model."""
    of = deep(options.depth) if options.depth else case(options.model)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        said = (_by_graphlab if options.child == "graphlab" else _by_torch)(of, options)
    from benchmarks.export_rivalry.counting import operators_of_file

    nodes = sum(operators_of_file(options.output).values())
    weights = sum(item.stat().st_size for item in options.output.parent.iterdir())
    answer(**said, nodes=nodes, weights=weights)


def deep(layers: int) -> Case:
    """A DiT of `layers` blocks, narrow: time is that of its nodes, not of its weights."""
    from dataclasses import replace

    from graphlab.components import component_for
    from graphlab.models.dit import TINY

    base = case("dit-tiny")
    made = component_for("DiTTransformer2DModel", {**TINY, "num_layers": layers}, "float32")
    stage = replace(base.found, build=made.build, identity=made.identity)
    return of_workload(f"dit-{layers}", replace(base.workload, stages=(stage,)), base.stage, base.latent, base.kind)


def _by_graphlab(of: Case, options: argparse.Namespace) -> dict[str, Any]:
    from graphlab.exporter import ExportPlan, export_stage
    from graphlab.exporting.options import ExportOptions
    from graphlab.exporting.targets import target_named
    from graphlab.rewriter import chosen_passes

    start = time.perf_counter()
    target = target_named(options.target).at(OPSET)
    plan = ExportPlan(
        of.workload,
        chosen_passes(options.level),
        ExportOptions(target, check=False),
        str(options.weights) if options.weights else RANDOM,
        dynamic=options.dynamic,
    )
    report = export_stage(plan, of.stage, options.output)
    phases = {phase.name: phase.seconds for phase in report.phases}
    return {"seconds": time.perf_counter() - start, "phases": phases}


def _by_torch(of: Case, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from benchmarks.export_rivalry.cases import arguments, module_with_weights
    from graphlab.sources.module import by_parameter
    from graphlab.sources.stage import _double_batch, _dynamic

    start = time.perf_counter()
    module = module_with_weights(of, of.source(str(options.weights) if options.weights else RANDOM))
    loaded = time.perf_counter()
    shapes = None
    given = arguments(of)
    if options.dynamic:
        from graphlab.sources.arguments import example_arguments

        shapes = by_parameter(module, {name: _dynamic(argument) for name, argument in of.found.inputs.items()})
        given = example_arguments(of.found, _double_batch(of.values), "cpu")  # torch would fix a batch of 1
    with torch.no_grad():
        torch.onnx.export(
            module, (), str(options.output), kwargs=given, dynamic_shapes=shapes, dynamo=True, opset_version=OPSET,
            external_data=True, verbose=False,
        )  # fmt: skip
    done = time.perf_counter()
    return {"seconds": done - loaded, "with_loading": done - start}


def weights_file(of: Case, folder: Path) -> Path:
    """The weights of `of`, random, in a file of `folder`; buffers that a state dict leaves out are not in it."""
    path = folder / f"{of.name}-weights.safetensors"
    if not path.is_file():
        found = run_child("benchmarks.export_time", ["models", "--only", of.name, "--save-weights", str(path)])
        if found.error is not None:
            raise SystemExit(f"the weights of {of.name} could not be written: {found.error}")
    return path


def save_weights(of: Case, path: Path) -> None:
    """Writes the state dict of the module with random weights."""
    from benchmarks.export_rivalry.cases import module_with_weights
    from graphlab.timing.store import write_tensors

    held = dict(module_with_weights(of, of.source()).state_dict())
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    write_tensors(partial, held, held)
    partial.rename(path)
    answer(keys=len(held))


def rounds_of(options: argparse.Namespace, arguments: Sequence[str], rounds: int) -> dict[str, list[Outcome]]:
    """{exporter: outcomes}, the exporters in turn, each export in a child and a folder of its own."""
    found: dict[str, list[Outcome]] = {name: [] for name in EXPORTERS}
    for number in range(rounds):
        for name in EXPORTERS:
            print(f"round {number + 1}: {name} {' '.join(arguments)}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=options.folder) as place:
                output = str(Path(place) / "model.onnx")
                mine = ["--child", name, "--output", output, "--target", options.target, "--level", str(options.level)]
                outcome = run_child("benchmarks.export_time", [*arguments, *mine], options.limit)
            found[name].append(outcome)
    return found


def median_of(outcomes: Sequence[Outcome], key: str) -> float | None:
    """The median of one figure over the exports that were made; None for none."""
    values = [item.answer[key] for item in outcomes if key in item.answer]
    return statistics.median(values) if values else None


def models(options: argparse.Namespace) -> None:
    """A row a model: seconds of both, their ratio, peak memory over the weights."""
    print(f"{options.rounds} rounds, medians; {'dynamic axes' if options.dynamic else 'static'}; opset {OPSET}; "
          f"graphlab for {options.target} at -O{options.level}\n")  # fmt: skip
    print(
        "| model | nodes, graphlab | nodes, torch | graphlab, s | torch's call, s | torch with loading, s "
        "| graphlab over torch's call | over torch with loading | graphlab peak, MiB | torch peak, MiB "
        "| weights, MiB | graphlab's peak over weights | torch's |\n|---" + "|---" * 12 + "|"
    )
    for name in options.only.split(","):
        file = weights_file(case(name), options.folder)
        arguments = ["models", "--only", name, "--weights", str(file), *(["--dynamic"] if options.dynamic else [])]
        print(row(name, rounds_of(options, arguments, options.rounds)), flush=True)


def row(name: str, found: Mapping[str, Sequence[Outcome]]) -> str:
    """The row of a model, or why an exporter made none of it."""
    failed = [f"{who}: {item.error}" for who, items in found.items() for item in items if item.error is not None]
    if failed:
        return f"| {name} | {'; '.join(dict.fromkeys(failed))} |"
    ours, theirs = found["graphlab"], found["torch"]
    own, call, whole = median_of(ours, "seconds"), median_of(theirs, "seconds"), median_of(theirs, "with_loading")
    assert own is not None
    assert call is not None
    assert whole is not None
    weights = median_of(theirs, "weights") or 0.0
    peaks = [statistics.median(item.peak_bytes for item in items) for items in (ours, theirs)]
    cells = (
        name, f"{median_of(ours, 'nodes'):.0f}", f"{median_of(theirs, 'nodes'):.0f}",
        f"{own:.1f}", f"{call:.1f}", f"{whole:.1f}", f"{own / call:.2f}", f"{own / whole:.2f}",
        *(f"{peak / MIB:.0f}" for peak in peaks), f"{weights / MIB:.0f}", *(f"{peak / weights:.2f}" for peak in peaks),
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def depth(options: argparse.Namespace) -> None:
    """A row a depth: seconds of both, and microseconds a node that it has more than the depth before."""
    print(
        f"{options.rounds} rounds, medians; static; graphlab for {options.target} at -O{options.level}\n\n"
        "| layers | nodes, graphlab | nodes, torch | graphlab, s | of it translating | us a further node | torch, s "
        "| us a further node | graphlab over torch |\n|---" + "|---" * 8 + "|"
    )
    before: list[tuple[float, float]] = []
    for layers in map(int, options.layers.split(",")):
        found = rounds_of(options, ["depth", "--depth", str(layers)], options.rounds)
        failed = [f"{who}: {item.error}" for who, items in found.items() for item in items if item.error is not None]
        if failed:
            print(f"| {layers} | {'; '.join(dict.fromkeys(failed))} |", flush=True)
            continue
        now = [(median_of(items, "nodes") or 0.0, median_of(items, "seconds") or 0.0) for items in found.values()]
        translating = statistics.median(item.answer["phases"]["translate"] for item in found["graphlab"])
        slopes = [slope(first, last) for first, last in zip(before, now, strict=True)] if before else ["", ""]
        (own_nodes, own), (their_nodes, call) = now
        cells = (str(layers), f"{own_nodes:.0f}", f"{their_nodes:.0f}", f"{own:.1f}", f"{translating:.1f}", slopes[0],
                 f"{call:.1f}", slopes[1], f"{own / call:.2f}")  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
        before = now


def slope(first: tuple[float, float], last: tuple[float, float]) -> str:
    """Microseconds a node from (nodes, seconds) to (nodes, seconds)."""
    return f"{(last[1] - first[1]) / (last[0] - first[0]) * 1e6:.0f}"


def main() -> None:
    """Prints the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("models", "depth"))
    parser.add_argument("--only", default="sd15,dit", help=f"comma-separated, of {', '.join(CASES)}")
    parser.add_argument("--layers", default="8,16,32,64", help="blocks of the DiTs of `depth`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dynamic", action="store_true", help="axes that vary are symbolic, for both")
    parser.add_argument("--target", default="standard", choices=("standard", "ort-cpu"))
    parser.add_argument("--level", type=int, default=2, choices=(0, 1, 2), help="of graphlab's rewriting")
    parser.add_argument("--folder", type=Path, help="where weights are kept and models written; a temporary one else")
    parser.add_argument("--limit", type=float, default=LIMIT_GIB, help="GiB a child may take")
    for hidden in ("--output", "--weights", "--save-weights"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=EXPORTERS, help=argparse.SUPPRESS)
    parser.add_argument("--depth", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.only.split(",") if name not in CASES]
    if unknown:
        parser.error(f"there is no model {unknown[0]!r}; models: {', '.join(CASES)}")
    if options.child or options.save_weights:
        options.model = options.only
        child(options) if options.child else save_weights(case(options.only), options.save_weights)
        return
    header("Time and memory of exporting")
    with contextlib.ExitStack() as stack:
        if options.folder is None:
            options.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options.folder.mkdir(parents=True, exist_ok=True)
        models(options) if options.part == "models" else depth(options)


if __name__ == "__main__":
    main()
