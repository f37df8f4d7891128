"""Analysis after capture as a share of capture, static and symbolic. Bar: 10 % of capture."""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.timing import header

MODELS = (
    "stable-diffusion-v1-5:unet",
    "stable-diffusion-xl:unet",
    "flux-1-dev:transformer",
    "dit-xl-2-256:transformer",
)


def measure(model: str, stage_name: str, *, dynamic: bool) -> tuple[float, float, int]:
    """(capture seconds, analysis seconds, calls) of one stage, nothing cached."""
    import graphlab
    from graphlab.sources.stage import program_for
    from graphlab.stage_analysis import Options, analyze_program, stage_report

    workload = graphlab.load(model)
    stage = workload.stage(stage_name)
    start = time.perf_counter()
    program = program_for(stage, workload.step_values(stage, 0), dynamic=dynamic, disk=False)
    captured = time.perf_counter()
    analysis = analyze_program(workload, stage, program)
    report = stage_report(analysis, Options(dynamic=dynamic, cache=False))
    return captured - start, time.perf_counter() - captured, len(report.nodes)


def main() -> None:
    """Print a row a model and kind of capture."""
    header("Analysis after capture")
    rounds = 3
    print("| model | capture | calls | capture, s | analysis, s | share | rounds |")
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or MODELS:
        model, _, stage = name.partition(":")
        measure(model, stage, dynamic=False)  # imports and first-use costs belong to neither side
        for dynamic in (False, True):
            runs = [measure(model, stage, dynamic=dynamic) for _ in range(rounds if not dynamic else 1)]
            capture, analysis = (statistics.median(run[i] for run in runs) for i in (0, 1))
            kind = "symbolic" if dynamic else "static"
            share = f"{100 * analysis / capture:.1f} %"
            print(f"| {name} | {kind} | {runs[0][2]} | {capture:.2f} | {analysis:.2f} | {share} | {len(runs)} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
