"""`graphlab erase train`: erases a concept, under a mask where one is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.erase.options import (
    Batch,
    Checkpointing,
    Concepts,
    ConfigFile,
    ErasureSourceText,
    Force,
    Guidance,
    Method,
    Parameters,
    PathSteps,
    Preset,
    PromptFile,
    Prompts,
    Shape,
    Task,
    configured,
    opened,
)
from graphlab.cli.erase.progress import interruptible, shown

if TYPE_CHECKING:
    from graphlab.erase.jobs.train import Erased


def train(
    source: ErasureSourceText,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for what is left.")],
    concept: Concepts = None,
    prompt: Prompts = None,
    prompts: PromptFile = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="FILE", help="Only its entries may change; all may without.")
    ] = None,
    preset: Preset = None,
    task: Task = None,
    method: Method = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Iterations of training.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", metavar="R", help="Learning rate.")] = None,
    boundary: Annotated[
        float | None, typer.Option("--boundary", metavar="LOGSNR", help="t': noisier levels are kept as they are.")
    ] = None,
    lora: Annotated[
        int | None, typer.Option("--lora", metavar="RANK", help="Train a low-rank change of that rank, by peft.")
    ] = None,
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", metavar="A", help="The low-rank change counts A / RANK.")
    ] = None,
    parameters: Parameters = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of the points, and of torch.")] = None,
    path_steps: PathSteps = None,
    guidance: Guidance = None,
    batch: Batch = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="D", help="Where torch computes: cpu, cuda, cuda:1, mps.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", metavar="P", help="no, bf16 or fp16, by accelerate.")
    ] = None,
    checkpointing: Checkpointing = None,
    save_every: Annotated[
        int | None, typer.Option("--save-every", metavar="N", help="Iterations between checkpoints.")
    ] = None,
    shape: Shape = None,
    config: ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in DIR.")] = False,
    force: Force = False,
) -> None:
    """Erases a concept from a model and writes what is left, with a manifest. An interrupted run can go on."""
    if resume and force:
        raise typer.BadParameter("--resume goes on with what --force would replace", param_hint="'--resume'")
    given = opened(source, shape)
    values = {
        "preset": preset,
        "task": task,
        "method": method,
        "training.iterations": steps,
        "training.rate": rate,
        "training.path.boundary": boundary,
        "training.lora.rank": lora,
        "training.lora.alpha": lora_alpha,
        "training.parameters": parameters,
        "training.seed": seed,
        "training.path.steps": path_steps,
        "training.path.guidance": guidance,
        "training.path.batch": batch,
        "training.gradient_checkpointing": checkpointing,
        "training.save_every": save_every,
        **_precision(precision),
    }
    settings = configured(given, config, concept, prompt, prompts, values)
    from graphlab.erase.jobs.train import train_erased

    kept = f"the run is kept in {output}: the same command with --resume goes on from its last checkpoint"
    with interruptible(kept), shown("training") as (tell,):
        made = train_erased(
            given, settings, output, mask=mask, resume=resume, force=force, device=device, on_progress=tell
        )
    show(made, sys.stdout)


def _precision(precision: str | None) -> dict[str, Any]:
    """Another precision than the weights' own is a matter of accelerate."""
    if precision in (None, "no"):
        return {"training.precision": precision}
    return {"training.precision": precision, "training.backend": "accelerate"}


def show(made: Erased, stream: Any) -> None:
    """How it went, and what changed."""
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.erase.jobs.tables import change_table

    out = console(stream)
    history = made.trained.history
    fields = [("erased", ", ".join(map(repr, made.prompts))), ("iterations", str(len(history)))]
    if history:
        for name in history[-1]:
            first, last = (next((row[name] for row in rows if name in row), None) for rows in (history, history[::-1]))
            fields.append((name, f"{first:.4g} at first, {last:.4g} at last"))
    fields += [("files", ", ".join(map(str, made.files)))]
    print_fields(out, fields)
    print_table(out, change_table(made.changes))
