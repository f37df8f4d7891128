"""Parameters of every stage of the characterization suite beside the published counts: the table of docs/models.md.

    python -m benchmarks.suite_parameters [MODEL ...]

Modules are built on the meta device: nothing is captured and no weights are read.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from graphlab.models import find_model
from graphlab.workload import Stage

PUBLISHED = Path(__file__).parent.parent / "tests" / "golden" / "published_parameters.json"

TOLERANCE = 0.03
"""Share by which a count may differ from the published one before a note has to say why."""

SUITE: dict[str, tuple[str, ...]] = {
    "LLaMA2": ("llama-2-7b", "llama-2-13b", "llama-2-70b"),
    "Imagen": ("imagen", "deepfloyd-if"),
    "Stable Diffusion": ("stable-diffusion-v1-5",),
    "Muse": ("muse", "muse-256", "amused-256", "amused-512"),
    "Parti": ("parti-20b", "parti-3b", "parti-750m", "parti-350m"),
    "Production image": ("production-image",),
    "Make-A-Video": ("make-a-video", "modelscope-t2v"),
    "Phenaki": ("phenaki",),
}
"""{system of the suite: the built-in models that stand for it}."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published count: of `stage` of `model`, or of the stages that " + " joins in it."""

    model: str
    stage: str
    published: int
    source: str
    note: str

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages the count is of."""
        return tuple(self.stage.split(" + "))


def published_counts() -> list[Published]:
    """The rows of tests/golden/published_parameters.json."""
    return [Published(**row) for row in json.loads(PUBLISHED.read_text(encoding="utf-8"))]


_COUNTS: dict[str, int] = {}


def count(stage: Stage) -> int:
    """Parameters of `stage`; stages of one class and configuration are built once."""
    if stage.identity not in _COUNTS:
        assert stage.build is not None
        _COUNTS[stage.identity] = sum(parameter.numel() for parameter in stage.build().parameters())
    return _COUNTS[stage.identity]


@cache
def counted(model: str, stages: tuple[str, ...]) -> int:
    """Parameters of `stages` of the built-in `model` together; UnknownNameError where one does not exist."""
    workload = find_model(model).workload()
    return sum(count(workload.stage(name)) for name in stages)


def difference(row: Published) -> float:
    """How far the count is from the published one, as a share of the published one."""
    return counted(row.model, row.stages) / row.published - 1


def table(systems: dict[str, tuple[str, ...]]) -> list[str]:
    """Markdown lines: one per stage of `systems`, then one per published sum of stages."""
    rows = {(row.model, row.stage): row for row in published_counts()}
    lines = ["| system | model | stage | class | parameters | published | difference | why |", "|---" * 8 + "|"]
    for system, models in systems.items():
        for model in models:
            stages = {stage.name: stage.identity.split()[0] for stage in find_model(model).workload().stages}
            sums = {row.stage: "together" for row in rows.values() if row.model == model and len(row.stages) > 1}
            for name, kind in {**stages, **sums}.items():
                found = counted(model, tuple(name.split(" + ")))
                cells = [system, model, name, kind, f"{found:,}", *_published(rows.get((model, name)))]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def _published(row: Published | None) -> tuple[str, str, str]:
    if row is None:
        return "-", "-", "-"
    return f"{row.published:,}", f"{100 * difference(row):+.1f} %", row.note or "-"


def main() -> None:
    """Print the table, of the models asked for or of all."""
    wanted = set(sys.argv[1:])
    systems = {
        system: tuple(model for model in models if not wanted or model in wanted) for system, models in SUITE.items()
    }
    print("\n".join(table(systems)))


if __name__ == "__main__":
    main()
