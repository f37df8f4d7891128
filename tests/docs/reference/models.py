"""docs/built_in_models.md: every built-in model with its stages and what `--set` takes."""

from __future__ import annotations

from graphlab.models import Model, models
from graphlab.models.registry import built_in_names
from tests.docs.reference import WRITTEN, code, paragraph, prose, table


def page() -> str:
    """The whole page."""
    known = {name: models()[name] for name in built_in_names()}
    full = [model for name, model in known.items() if not name.endswith("-tiny")]
    kinds = sorted({model.kind for model in full})
    head = [
        WRITTEN,
        "# Built-in models",
        "",
        *paragraph(
            "What `graphlab models` lists, with the stages of each and the names that `--set NAME=VALUE` takes, at "
            "their defaults. Nothing is downloaded: a model is built from a configuration inside graphlab, without "
            f"weights. {_tiny(known)} What of them is published and what had to be chosen: [models.md](models.md). "
            "The trained ones are small, and files that come with graphlab: [worlds.md](worlds.md)."
        ),
    ]
    heads = ("model", "what it is", "stages", "sizes")
    sections = []
    for kind in kinds:
        rows = [_row(model) for model in full if model.kind == kind]
        sections += ["", f"## {kind}", "", *table(heads, rows)]
    return "\n".join([*head, *sections]) + "\n"


def _tiny(known: dict[str, Model]) -> str:
    wide = [name for name, model in known.items() if not name.endswith("-tiny") and not _trained(model)]
    without = [name for name in wide if f"{name}-tiny" not in known]
    text = "`NAME-tiny` is a narrow copy with the same topology"
    return f"{text}, except for {', '.join(map(code, without))}." if without else f"{text}."


def _trained(model: Model) -> bool:
    """Whether the model comes with its weights: such ones are narrow by themselves."""
    return model.kind.startswith("trained")


def _row(model: Model) -> tuple[str, ...]:
    workload = model.workload()
    names = ", ".join(map(code, (model.name, *model.aliases)))
    stages = ", ".join(code(stage.name) for stage in workload.stages)
    sizes = ", ".join(f"{item.name} {item.default}" for item in workload.variables)
    return names, prose(model.help), stages, sizes
