"""`graphlab erase train`: erases a concept, under a mask where one is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.erase.grouped import with_options
from graphlab.cli.erase.options import Asked, ErasureSourceText, Force, configured, keys_of, opened
from graphlab.cli.erase.page import manifest_page, results_in
from graphlab.cli.erase.progress import interruptible, shown
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.erase.jobs.train import Erased

KEYS = {
    **keys_of("training", "training.path"),
    "preset": "preset",
    "task": "task",
    "steps": "training.iterations",
    "rate": "training.rate",
    "boundary": "training.path.boundary",
    "lora": "training.lora.rank",
    "lora_alpha": "training.lora.alpha",
    "seed": "training.seed",
    "precision": "training.precision",
    "save_every": "training.save_every",
}


@dataclass(frozen=True, slots=True)
class TrainOptions(Asked):  # type: ignore[misc]  # mypy knows the folder as cli, and graphlab.cli not at all
    """How it is trained."""

    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="FILE", help="Only its entries may change; all may without.")
    ] = None
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="P", help="Weights of the terms as published: paper-a or paper-b.")
    ] = None
    task: Annotated[
        str | None, typer.Option("--task", metavar="T", help="What the preset is for: nsfw, celebrity or art.")
    ] = None
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Iterations of training.")] = None
    rate: Annotated[float | None, typer.Option("--rate", metavar="R", help="Learning rate.")] = None
    boundary: Annotated[
        float | None, typer.Option("--boundary", metavar="LOGSNR", help="t': noisier levels are kept as they are.")
    ] = None
    lora: Annotated[
        int | None, typer.Option("--lora", metavar="RANK", help="Train a low-rank change of that rank, by peft.")
    ] = None
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", metavar="A", help="The low-rank change counts A / RANK.")
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of the points, and of torch.")] = None
    device: Annotated[
        str | None, typer.Option("--device", metavar="D", help="Where torch computes: cpu, cuda, cuda:1, mps.")
    ] = None
    precision: Annotated[
        str | None, typer.Option("--precision", metavar="P", help="no, bf16 or fp16, by accelerate.")
    ] = None
    save_every: Annotated[
        int | None, typer.Option("--save-every", metavar="N", help="Iterations between checkpoints.")
    ] = None


@with_options(TrainOptions)  # type: ignore[untyped-decorator]  # as above
def train(
    source: ErasureSourceText,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for what is left.")],
    given: TrainOptions,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in DIR.")] = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Erases a concept from a model and writes what is left, with a manifest. An interrupted run can go on."""
    if resume and force:
        raise typer.BadParameter("--resume goes on with what --force would replace", param_hint="'--resume'")
    reads = (source, given.mask, given.prompts, given.config)
    with destinations({"--html": html}, reads=reads, writes=results_in(output)) as out:
        model = opened(source, given.shape)
        settings = configured(model, given, KEYS, training__backend=_backend(given.precision))
        from graphlab.erase.jobs.train import train_erased

        kept = f"the run is kept in {output}: the same command with --resume goes on from its last checkpoint"
        with interruptible(kept), shown("training") as (tell,):
            made = train_erased(
                model,
                settings,
                output,
                mask=given.mask,
                resume=resume,
                force=force,
                device=given.device,
                on_progress=tell,
            )
        out.write_each(made.manifest, {"--html": manifest_page})
        out.show(partial(show, made))


def _backend(precision: str | None) -> str | None:
    """Another precision than the weights' own is a matter of accelerate."""
    return None if precision in (None, "no") else "accelerate"


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
