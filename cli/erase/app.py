"""The sub-commands of `graphlab erase`."""

from __future__ import annotations

import typer

from graphlab.cli.erase.demo import demo
from graphlab.cli.erase.evaluate import evaluate
from graphlab.cli.erase.fuse import fuse
from graphlab.cli.erase.saliency import saliency
from graphlab.cli.erase.train import train

erase = typer.Typer(
    name="erase",
    help="Erases a concept from a text-to-image model, by a mask of its weights.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (saliency, train, fuse, evaluate, demo):
    erase.command()(command)
