"""The `graphlab` command: its subcommands, and how every error leaves the process (docs/cli.md)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from graphlab import __version__
from graphlab.cli.analyze import analyze
from graphlab.cli.bench import bench
from graphlab.cli.calibrate import calibrate
from graphlab.cli.characterize import characterize
from graphlab.cli.destinations import forget_reader
from graphlab.cli.diff import diff
from graphlab.cli.draw import draw
from graphlab.cli.erase.app import erase
from graphlab.cli.explain import explain
from graphlab.cli.export import export
from graphlab.cli.listing import backends, devices, models, passes
from graphlab.cli.mask import mask
from graphlab.cli.new_pass import new_pass
from graphlab.cli.profile import profile
from graphlab.cli.report import report
from graphlab.cli.rewrite import rewrite
from graphlab.cli.run import run
from graphlab.cli.signals import ended_in_order
from graphlab.errors import GraphlabError

OK, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="graphlab",
    help="What every node of a generative model is, what it costs, and how that grows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    analyze, explain, draw, diff,
    rewrite, export, run,
    characterize, profile, bench, calibrate, report,
    mask,
    models, devices, passes, backends, new_pass,
):  # fmt: skip
    app.command()(command)
app.add_typer(erase)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graphlab {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks of errors; works after the command too.")] = False,
) -> None:
    """What every node of a generative model is, what it costs, and how that grows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code; errors are one line on standard error."""
    args = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its import warnings are no part of a report
    debug = _take_debug(args)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's stream may have none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        with ended_in_order():
            code = _run(args)
        _flush()
    except BrokenPipeError:
        forget_reader(sys.stdout)
        return OK
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except GraphlabError as error:
        return _fail(f"error: {error}", debug)
    except SystemExit as stop:  # of a user's file.py
        return _fail(f"error: the source's own code called sys.exit({stop.code!r})", debug)
    except Exception as error:  # whatever it is, the user gets one line and the way to the traceback
        return _fail(f"internal error: {type(error).__name__}: {error}; rerun with --debug", debug)
    return code


def _run(args: list[str]) -> int:
    """The exit code of `args`. Errors of syntax are shown here; every other error passes through.

    Typer's own `main` is not used: it exits by itself on a closed pipe and turns an interrupt into another error.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("graphlab", args) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:  # every error of command-line syntax
        error.show()  # type: ignore[attr-defined]  # typer exports no closer base of its usage errors
        return USAGE
    return OK


def _take_debug(args: list[str]) -> bool:
    """Takes `--debug` out of `args`, wherever it stands before a bare `--`."""
    end = args.index("--") if "--" in args else len(args)
    found = "--debug" in args[:end]
    args[:end] = [arg for arg in args[:end] if arg != "--debug"]
    return found


def _fail(message: str, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    _say(message)
    return FAILURE


def _say(message: str) -> None:
    line = " ".join(message.split())
    print("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=sys.stderr)


def _flush() -> None:
    """A reader that is gone by now changes nothing about how the command ended."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        forget_reader(sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
