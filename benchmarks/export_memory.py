"""Peak memory and time of one call of every model file, each run alone in a child under a memory limit.

    python -m benchmarks.export_memory sd15 --latent 128 --folder FOLDER [--only plain-23,graphlab-ort-cpu]
    python -m benchmarks.export_memory sd15 --latent 128 --folder FOLDER --read

Files are those of benchmarks/export_rivals.py, in the same folder, made where they are missing. A child loads one,
makes one call and says what that took; one that takes more than --limit GiB of its own is ended and reported so. What
was measured is not measured again unless it is named by --only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.export_rivalry.cases import CASES, Case, case
from benchmarks.export_rivalry.children import GIB, LIMIT_GIB, answer, run_child, status_bytes
from benchmarks.export_rivalry.make import made
from benchmarks.export_rivalry.makers import FILES, discard, model_path
from benchmarks.timing import header

DEFAULT = (
    "plain-23",
    "graphlab-ort-cpu",
    "graphlab-standard",
    "fusions-20-cpu",
    "optimizer-23-0-cpu",
    "optimum",
    "plain-20",
)
YARDSTICK = "plain-23"


def measure(options: argparse.Namespace, of: Case, folder: Path, name: str) -> dict[str, Any]:
    """What one call of the file `name` took, or why there is no figure."""
    reason = made(of, name, folder, options.limit)
    if reason is not None:
        return {"name": name, "error": reason}
    arguments = [
        "--child",
        str(model_path(folder, name)),
        of.name,
        "--latent",
        str(of.latent),
        "--backend",
        options.backend,
    ]
    found = run_child("benchmarks.export_memory", arguments, options.limit, options.seconds)
    return {"name": name, "error": found.error, "peak": found.peak_bytes, "lived": found.seconds, **found.answer}


def child(options: argparse.Namespace) -> None:
    """Loads the file and calls it once: bytes and seconds of each."""
    from graphlab.lowering.registry import backend_from
    from graphlab.lowering.resident import release, reset_peak

    inputs = _inputs(case(options.model, options.latent))
    backend: Any = backend_from(options.backend)
    backend.require()
    release()
    before = status_bytes("VmRSS")
    start = time.perf_counter()
    lowered = backend.open_file(options.child, list(inputs))
    loaded = time.perf_counter()
    load_peak = status_bytes("VmHWM")
    release()
    apart = reset_peak()
    start_call = time.perf_counter()
    lowered.call(inputs)
    answer(
        before=before,
        load_seconds=loaded - start,
        load_peak=load_peak,
        seconds=time.perf_counter() - start_call,
        call_peak=status_bytes("VmHWM") if apart else None,
    )


def _inputs(of: Case) -> dict[str, Any]:
    """Example inputs of the stage by placeholder, in the program's order: nothing is captured for them."""
    import torch

    from graphlab.sources.stage import axis_sizes, tensor_inputs

    torch.manual_seed(0)
    sizes = axis_sizes(of.found, of.values)
    found = {}
    for name, spec in tensor_inputs(of.found).items():
        shape = [sizes[f"{name}.d{index}"] for index in range(len(spec.shape))]
        dtype = getattr(torch, spec.dtype)
        made_input = torch.randn(shape) if dtype.is_floating_point else torch.zeros(shape)
        found[name] = made_input.to(dtype)
    return found


def table(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A row a file; ratios are peaks over that of the plain export at opset 23."""
    yardstick = rows.get(YARDSTICK, {})
    print(
        "| file | s a call | load, s | peak, GiB | of it loading | of the call alone | peak below plain-23's by "
        "| |\n|---|---|---|---|---|---|---|---|"
    )
    for name, row in rows.items():
        if row["error"] is not None:
            held = f"{row['peak'] / GIB:.2f} and growing" if "killed" in row["error"] and "peak" in row else ""
            print(f"| {name} | | | {held} | | | | {row['error']} |")
            continue
        cells = (
            name,
            f"{row['seconds']:.2f}",
            f"{row['load_seconds']:.1f}",
            f"{_peak(row) / GIB:.2f}",
            f"{row['load_peak'] / GIB:.2f}",
            "" if row["call_peak"] is None else f"{row['call_peak'] / GIB:.2f}",
            lower(yardstick, row),
            "",
        )
        print("| " + " | ".join(cells) + " |")


def lower(yardstick: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The peak of `yardstick` over that of `row`: a bound where the yardstick was ended while it grew."""
    if "peak" not in yardstick:
        return ""
    if yardstick["error"] is None:
        return f"{_peak(yardstick) / _peak(row):.2f}x"
    return f"more than {yardstick['peak'] / _peak(row):.1f}x" if "killed" in yardstick["error"] else ""


def _peak(row: Mapping[str, Any]) -> float:
    """The larger of loading and calling."""
    return float(max(row["load_peak"], row["call_peak"] or row["peak"]))


def main() -> None:
    """Measures what is asked for, or what is left, and prints the table of everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=CASES)
    parser.add_argument("--folder", type=Path, help="where model files and results are kept")
    parser.add_argument("--latent", type=int, help="side of the latents; the model's own otherwise")
    parser.add_argument("--only", help=f"comma-separated files, of {', '.join(FILES)}")
    parser.add_argument("--backend", default="onnxruntime", help="what runs the files")
    parser.add_argument("--limit", type=float, default=LIMIT_GIB, help="GiB a child may take")
    parser.add_argument("--seconds", type=float, help="seconds a child may take")
    parser.add_argument("--drop", action="store_true", help="delete a file once it was run")
    parser.add_argument("--read", action="store_true", help="only print what was measured so far")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options)
        return
    if options.folder is None:
        parser.error("--folder is needed")
    names = options.only.split(",") if options.only else DEFAULT
    unknown = [name for name in names if name not in FILES]
    if unknown:
        parser.error(f"there is no file {unknown[0]!r}; files: {', '.join(FILES)}")
    of = case(options.model, options.latent)
    folder = options.folder / f"{of.name}-{of.latent}"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "memory.json"
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in [] if options.read else names:
        if options.only or name not in rows:
            print(name, file=sys.stderr, flush=True)
            rows[name] = measure(options, of, folder, name)
            kept.write_text(json.dumps(rows, indent=1))
            if options.drop and not name.startswith("plain"):
                discard(folder, name)
    header(f"One call of {of.name}, latents of {of.latent} x {of.latent}: memory")
    table(rows)


if __name__ == "__main__":
    main()
