"""`graphlab calibrate`: measures this machine and writes the device file that predictions for it need."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
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
) -> None:
    """Measures this machine, about a minute, and writes a device file."""
    with destinations({"--output": output}) as out:
        if output != STDOUT and Path(output).exists() and not force:
            raise OutputError(f"{output} is there already", hint="--force replaces it, -o writes elsewhere")
        if output != STDOUT and Path(output).suffix != ".toml":
            raise typer.BadParameter(f"{output} does not end in .toml", param_hint="'--output'")
        from graphlab.calibrating.device import calibrate as measure
        from graphlab.calibrating.device import device_text
        from graphlab.cli.render import progress

        with progress(rounds + 1) as step:
            found = measure(title=name, threads=threads, rounds=rounds, budget=budget, progress=step)
        out.write_each(found, {"--output": device_text})
        out.show(partial(show, found))


def show(found: Hardware, stream: Any) -> None:
    """What was measured: a row a table with its extreme times and its best rate."""
    from graphlab.cli.render import console, print_lines, print_table
    from graphlab.report.tables import Column, Table
    from graphlab.units import format_count

    calibration = found.calibration
    assert calibration is not None
    columns = (Column("operator", number=False), *(Column(head) for head in ("sizes", "shortest, us", "longest, us")))
    rows = tuple(
        (
            name,
            str(len(table.points)),
            f"{min(table.points.values()) * 1e6:.1f}",
            f"{max(table.points.values()) * 1e6:.1f}",
        )
        for name, table in calibration.tables.items()
    )
    note = "medians over rounds; an operator of a few elements takes " + ", ".join(
        f"{calibration.calls[name] * 1e6:.1f} us ({name})" for name in ("add", "view", "dropout")
    )
    out = console(stream)
    print_table(out, Table(found.title, columns, rows, note=note))
    bandwidth, rate = format_count(found.bandwidth), format_count(found.peak_flops["float32"])
    facts = [
        f"{calibration.rounds} rounds, torch {calibration.torch}, {calibration.dtype}",
        f"memory {bandwidth} byte/s, matrix products {rate} FLOP/s",
    ]
    print_lines(out, "Measured", facts)
