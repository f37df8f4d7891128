"""One call of a model by every exporter's file and every runtime, in interleaved rounds, as a share of a GEMM's limit.

    python -m benchmarks.export_rivals sd15 --folder FOLDER                    everything, in groups
    python -m benchmarks.export_rivals sd15 --folder FOLDER --only plain-23    one of them beside the base
    python -m benchmarks.export_rivals sd15 --folder FOLDER --read             the table of what was timed so far

Weights are random and the same for all; files are made once, in children under a memory limit, and kept in FOLDER.
Every group of rivals is timed in one contest with the base (graphlab's ort-cpu file; with --dtype bfloat16, inductor
on the program as captured) and a large product. What was timed is not timed again, unless it is named by --only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.export_rivalry.cases import CASES, Case, case
from benchmarks.export_rivalry.children import GIB, LIMIT_GIB
from benchmarks.export_rivalry.make import made
from benchmarks.export_rivalry.makers import FUSIONS, MEANING, OPTIMIZED, OPTIMUM, PLAIN, discard
from benchmarks.export_rivalry.race import Race, Rival, share_of_limit
from benchmarks.timing import header
from graphlab.lowering.registry import backend_from
from graphlab.timing.contest import Limits
from graphlab.timing.stage import ratio
from graphlab.timing.stamp import environment, usable_cores
from graphlab.timing.statistics import LEAST_ROUNDS

ORT, OPENVINO = "onnxruntime", "openvino"
BASES = {"float32": "graphlab-ort-cpu", "bfloat16": "inductor"}
KEPT = frozenset({"graphlab-ort-cpu", *PLAIN})
"""Files that --drop leaves: the base, and those that others are made of."""


def rivals(dtype: str) -> list[Rival]:
    """Who runs, the base first; a program for torch's backends, a file for the others."""
    if dtype == "bfloat16":
        precision = f"{OPENVINO},precision=bf16"
        return [
            Rival("inductor", "inductor", dtype=dtype),
            Rival("inductor -O2", "inductor", dtype=dtype, rewrite=2),
            Rival("eager", "eager", dtype=dtype),
            Rival("openvino", precision, "graphlab-standard-O0", dtype),
            Rival("openvino -O2", precision, "graphlab-standard", dtype),
        ]
    files = ("graphlab-ort-cpu", "graphlab-standard", *PLAIN, *OPTIMIZED, *FUSIONS, OPTIMUM)
    return [
        *(Rival(name, ORT, name) for name in (*files, "graphlab-ort-cpu-dynamic")),
        Rival("eager", "eager"),
        Rival("inductor", "inductor"),
        Rival("inductor -O2", "inductor", rewrite=2),
        Rival("openvino graphlab-standard", f"{OPENVINO},precision=f32", "graphlab-standard"),
        Rival("openvino plain-20", f"{OPENVINO},precision=f32", "plain-20"),
        Rival("openvino plain-23", f"{OPENVINO},precision=f32", "plain-23"),
        Rival("cuda graphlab-ort-cuda", f"{ORT},provider=cuda", "graphlab-ort-cuda"),
        Rival("cuda plain-23", f"{ORT},provider=cuda", "plain-23"),
    ]


def groups(wanted: Sequence[Rival], together: int) -> list[list[Rival]]:
    """`wanted` in contests of at most `together`."""
    return [list(wanted[at : at + together]) for at in range(0, len(wanted), together)]


def results(folder: Path, dtype: str) -> list[dict[str, Any]]:
    """Every contest timed so far, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"contest-{dtype}-*.json"))]


def latest(found: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """{rival: (its row, the contest it is of)}, the last contest of each."""
    return {row["label"]: (row, contest) for contest in found for row in contest["rows"]}


def table(found: Sequence[Mapping[str, Any]], dtype: str) -> None:
    """A row a rival that ran; below it a line for each that did not."""
    rows = latest(found)
    order = [rival.name for rival in rivals(dtype) if rival.name in rows]
    print(
        f"\n| candidate | s, median (p10 to p90) | n | s of {BASES[dtype]} in that contest "
        "| times as fast | of GEMM limit | load, s "
        "| peak loading, GiB | peak running, GiB | largest error |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in order:
        if rows[name][0]["times"] is not None:
            print(line(name, *rows[name]))
    print()
    for name in order:
        row = rows[name][0]
        if row["times"] is None:
            print(f"- {name}: {row['status']}: {row['error']}")
    for contest in found:
        if not contest["rounds"]:
            continue
        limits = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in contest["gemm"].items())
        names = ", ".join(row["label"] for row in contest["rows"])
        turns = ", in turns" if contest["turns"] else ""
        said = f"{contest['rounds']} rounds{turns}, load afterwards {contest['load']:.1f}"
        print(f"- contest of {names}: {said}; {limits or 'no product'}")
        for label, error in contest["gemm_errors"].items():
            print(f"- {label}: {error}")


def line(name: str, row: Mapping[str, Any], contest: Mapping[str, Any]) -> str:
    """The row of a rival that was timed."""
    times, memory = row["times"], row["memory"]
    precise = "bfloat16" in (row["dtype"], row["computes"])
    share = share_of_limit(contest["flops"], times["seconds"], contest["gemm"], precise)
    cells = (
        name,
        f"{times['seconds']:.3f} ({times['low']:.3f} to {times['high']:.3f})",
        str(len(times["samples"])),
        _base_seconds(contest),
        "1" if name in BASES.values() and row is contest["rows"][0] else _ratio(row, contest),
        "" if share is None else f"{share:.1%}",
        f"{row['compile_seconds']:.1f}",
        _gib(memory["compile_peak_bytes"]),
        _gib(memory["run_peak_bytes"]),
        f"{row['check']['worst_error']:.1e}",
    )
    return "| " + " | ".join(cells) + " |"


def _base_seconds(contest: Mapping[str, Any]) -> str:
    """Seconds of the base, beside which a row stands: from one contest to the next the machine may change."""
    base = _base(contest)
    return f"{base['seconds']:.3f}" if base is not None else ""


def _base(contest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The times of the base; None where it was not timed."""
    found = next((row for row in contest["rows"] if row["label"] in BASES.values()), None)
    return found["times"] if found is not None else None


def _ratio(row: Mapping[str, Any], contest: Mapping[str, Any]) -> str:
    """Worked out from the samples, which are what was measured."""
    base = _base(contest)
    if base is None:
        return ""
    found = ratio(base["samples"], row["times"]["samples"])
    interval = found.interval
    said = f" [{interval.low:.3f}, {interval.high:.3f}] {found.verdict}" if interval else " (few rounds)"
    return f"{found.median:.3f}{said}"


def _gib(nbytes: int | None) -> str:
    return "" if nbytes is None else f"{nbytes / GIB:.2f}"


def absent(rival: Rival, dtype: str, error: str) -> dict[str, Any]:
    """The row of a rival without a file."""
    empty = {"times": None, "ratio": None, "check": None, "compile_seconds": None, "memory": {}, "computes": None}
    return {"label": rival.name, "dtype": dtype, "status": "not run", "error": error, **empty}


def compete(options: argparse.Namespace, folder: Path, made_case: Case, group: Sequence[Rival]) -> None:
    """Makes the files of a group and times it; what came of it goes into a file of `folder`."""
    base = rivals(options.dtype)[0]
    ready, missing = [], []
    for rival in dict.fromkeys((base, *group)):
        reason = _file(options, folder, made_case, rival)
        if reason is None:
            ready.append(rival)
        else:
            missing.append(absent(rival, options.dtype, reason))
    if ready == [base] and list(group) != [base]:
        document: dict[str, Any] = {"rounds": 0, "rows": missing, "gemm": {}, "gemm_errors": {}}
    else:
        document = race(options, folder, made_case, ready)
        document["rows"] += missing
    (folder / f"contest-{options.dtype}-{time.time_ns()}.json").write_text(json.dumps(document, indent=1))
    if options.drop:
        for rival in group:
            if rival.file is not None and rival.file not in KEPT:
                discard(folder, rival.file)


def race(options: argparse.Namespace, folder: Path, made_case: Case, ready: Sequence[Rival]) -> dict[str, Any]:
    """The contest of `ready`, the base first, as JSON values."""
    limit = None if options.memory is None else int(options.memory * GIB)
    limits = Limits(options.rounds, options.budget, options.seed, limit)
    contest = Race(made_case, folder, limits, options.threads, options.gemm, _say)
    try:
        return contest.run(ready, ready[0].name)
    finally:
        contest.close()


def _file(options: argparse.Namespace, folder: Path, made_case: Case, rival: Rival) -> str | None:
    """Why a rival has no file to run; None where it has, or needs none."""
    if rival.file is None:
        return None
    unavailable = backend_from(rival.backend).unavailable()
    if unavailable is not None:
        return f"{rival.backend} cannot run here: {unavailable}"
    _say(f"making {rival.file}")
    return made(made_case, rival.file, folder, options.limit, options.make_seconds)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=CASES)
    parser.add_argument("--folder", type=Path, required=True, help="where model files and results are kept")
    parser.add_argument("--latent", type=int, help="side of the latents; the model's own otherwise")
    parser.add_argument("--dtype", choices=tuple(BASES), default="float32")
    parser.add_argument("--only", help="comma-separated rivals, timed even if they were before")
    parser.add_argument("--together", type=int, default=3, help="rivals a contest, beside the base")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="at most; fewer than 6 give no interval")
    parser.add_argument("--budget", type=float, help="seconds a contest, compiling and checking included")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--gemm", type=int, default=4096, help="side of the product that is the limit")
    parser.add_argument("--memory", type=float, help="GiB that processes may take together; then they take turns")
    parser.add_argument("--limit", type=float, default=LIMIT_GIB, help="GiB a child that makes a file may take")
    parser.add_argument("--make-seconds", type=float, help="seconds a child that makes a file may take")
    parser.add_argument("--drop", action="store_true", help="delete files that are not needed again when timed")
    parser.add_argument("--read", action="store_true", help="only print what was timed so far")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [rival.name for rival in rivals(options.dtype)]
    unknown = [name for name in (options.only or "").split(",") if name and name not in names]
    if unknown:
        parser.error(f"no rival is called {unknown[0]!r}; rivals: {', '.join(names)}")
    return options


def main() -> None:
    """Times what is asked for, or what is left, and prints the table of everything."""
    options = parse()
    made_case = case(options.model, options.latent)
    folder = options.folder / f"{made_case.name}-{made_case.latent}"
    folder.mkdir(parents=True, exist_ok=True)
    base, *others = rivals(options.dtype)
    if options.only:
        wanted = [rival for rival in (base, *others) if rival.name in options.only.split(",")]
    else:
        done = latest(results(folder, options.dtype))
        wanted = [rival for rival in others if rival.name not in done]
    for group in [] if options.read else groups(wanted, options.together):
        compete(options, folder, made_case, group)
    header(f"Rivals on {made_case.name}, latents of {made_case.latent} x {made_case.latent}, {options.dtype}")
    stamp = environment(options.threads)
    print(f"{stamp.cpu}, {stamp.threads} threads, {', '.join(f'{k} {v}' for k, v in stamp.versions.items())}\n")
    for name, meaning in MEANING.items():
        print(f"- {name}: {meaning}")
    table(results(folder, options.dtype), options.dtype)


if __name__ == "__main__":
    main()
