"""Which sizes stay symbolic in a capture, model by model: writes docs/symbolic_axes.md and the golden file of its test.

    python -m benchmarks.symbolic_axes [MODEL ...]

The tiny presets are captured: they run the same code of the same classes as the full models, which is what
decides whether an axis stays symbolic.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "symbolic_axes.json"
PAGE = ROOT / "docs" / "symbolic_axes.md"
HEADER = """# Which sizes stay symbolic

One capture serves every value of a symbolic size; a size in the last column is fixed by the model's code, and another
value of it is another capture. Printed by `python -m benchmarks.symbolic_axes`; a test captures the same stages and
fails when an axis is lost.

| model | stage | symbolic | fixed by the model |
|---|---|---|---|
"""


def axes_of(model: str, stage_name: str) -> dict[str, list[str]]:
    """{"symbolic": [...], "fixed": [...]} variables of one stage of `model`."""
    import graphlab
    from graphlab.sources.stage import program_for, symbolic_variables

    workload = graphlab.load(model)
    stage = workload.stage(stage_name)
    program = program_for(stage, workload.step_values(stage, 0))
    symbolic, fixed = symbolic_variables(stage, program, workload.step_values(stage, 0))
    return {"symbolic": sorted(symbolic), "fixed": sorted(fixed)}


def distinct_stages() -> list[tuple[str, str]]:
    """(tiny model, stage), a module that repeats taken once."""
    from graphlab.models import find_model, model_names

    seen: set[tuple[str, str]] = set()
    found = []
    for model in (name for name in model_names() if name.endswith("-tiny")):
        for stage in find_model(model).workload().stages:
            key = (stage.identity, repr(stage.inputs))
            if key not in seen:
                seen.add(key)
                found.append((model, stage.name))
    return found


def page(rows: dict[str, dict[str, dict[str, list[str]]]]) -> str:
    """The Markdown page of `rows` ({model: {stage: {"symbolic", "fixed"}}})."""
    lines = [
        f"| {model.removesuffix('-tiny')} | {stage} | {', '.join(row['symbolic'])} | {', '.join(row['fixed']) or '-'} |"
        for model, stages in rows.items()
        for stage, row in stages.items()
    ]
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    """Capture, print a row a stage as it comes, and rewrite the page and the golden file."""
    wanted = sys.argv[1:]
    rows = json.loads(GOLDEN.read_text()) if wanted and GOLDEN.exists() else {}
    for model, stage in distinct_stages():
        if wanted and model not in wanted:
            continue
        rows.setdefault(model, {})[stage] = axes_of(model, stage)
        print(model, stage, rows[model][stage], flush=True)
    rows = dict(sorted(rows.items()))
    GOLDEN.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
