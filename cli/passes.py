"""`graphlab passes`: the installed passes, built-in and of plug-ins."""

from __future__ import annotations

import inspect
import sys


def passes() -> None:
    """Lists the installed passes and who they come from."""
    from graphlab.cli.render import console, print_table
    from graphlab.passes_base import Analysis
    from graphlab.plugins import passes as installed
    from graphlab.report.tables import Column, Table

    rows = tuple(
        (
            entry.name,
            "analysis" if issubclass(entry.kind, Analysis) else "rewrite",
            (inspect.getdoc(entry.kind) or "").split("\n", 1)[0],
            entry.owner,
        )
        for entry in installed().values()
    )
    heads = ("kind", "what it does", "from")
    columns = (Column("name", number=False, whole=True), *(Column(head, number=False) for head in heads))
    print_table(console(sys.stdout), Table("Passes", columns, rows))
