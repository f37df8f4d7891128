"""`graphlab models`: the built-in models."""

from __future__ import annotations

import sys


def models() -> None:
    """Lists the built-in models."""
    from graphlab.cli.render import console, print_table
    from graphlab.models import models as built_in
    from graphlab.report.tables import Column, Table

    rows = tuple((model.name, model.kind, model.help, ", ".join(model.aliases)) for model in built_in().values())
    heads = ("kind", "what it is", "also called")
    columns = (Column("name", number=False, whole=True), *(Column(head, number=False) for head in heads))
    print_table(console(sys.stdout), Table("Built-in models", columns, rows, note="graphlab analyze NAME"))
