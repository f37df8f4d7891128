"""`graphlab calibrate`: measures this machine and writes the device file that predictions for it need."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.options import Html
from graphlab.cli.output import STDOUT, OutputError

if TYPE_CHECKING:
    from graphlab.hardware import Hardware


def calibrate(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE.toml", help="Where to write it; - is stdout.")
    ] = "this-machine.toml",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Title of the device: the processor's.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="torch's threads.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Rounds of all probes at most.")] = 20,
    budget: Annotated[
        float, typer.Option("--budget", metavar="SECONDS", help="Start no round once they are over.")
    ] = 60.0,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    html: Html = None,
) -> None:
    """Measures this machine, about a minute, and writes a device file."""
    with destinations({"--output": output, "--html": html}) as out:
        if output != STDOUT and Path(output).exists() and not force:
            raise OutputError(f"{output} is there already", hint="--force replaces it, -o writes elsewhere")
        if output != STDOUT and Path(output).suffix != ".toml":
            raise typer.BadParameter(f"{output} does not end in .toml", param_hint="'--output'")
        from graphlab.calibrating.device import calibrate as measure
        from graphlab.calibrating.device import device_text
        from graphlab.cli.render import progress

        with progress(rounds + 1) as step:
            found = measure(title=name, threads=threads, rounds=rounds, budget=budget, progress=step)
        text = device_text(found)
        out.write_each(text, {"--output": str, "--html": _page})
        out.show(partial(show, found))


def _page(text: str) -> str:
    """The page of the device file `text`: of what was written, so that `graphlab report` makes the same of the file."""
    from graphlab.hardware import parse_device
    from graphlab.pages.device import device_document
    from graphlab.report.html import to_html

    return to_html(device_document(parse_device(text.encode(), "", "the device file")))


def show(found: Hardware, stream: Any) -> None:
    """What was measured: a row a table with its extreme times and its best rate."""
    from graphlab.cli.render import console, print_lines, print_table
    from graphlab.report.device_tables import calibration_table
    from graphlab.units import format_count

    calibration = found.calibration
    assert calibration is not None
    out = console(stream)
    print_table(out, calibration_table(found.title, calibration))
    bandwidth, rate = format_count(found.bandwidth), format_count(found.peak_flops["float32"])
    facts = [
        f"{calibration.rounds} rounds, torch {calibration.torch}, {calibration.dtype}",
        f"memory {bandwidth} byte/s, matrix products {rate} FLOP/s",
    ]
    print_lines(out, "Measured", facts)
