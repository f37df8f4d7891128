"""`graphlab passes`: the installed passes, built-in and of plug-ins, and the options they take."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphlab.plugins import PassEntry
    from graphlab.report.tables import Table


def passes() -> None:
    """Lists the installed passes, who they come from, and their options."""
    from graphlab.cli.render import console, print_table
    from graphlab.plugins import passes as installed

    out = console(sys.stdout)
    entries = tuple(installed().values())
    print_table(out, _passes_table(entries))
    print_table(out, _options_table(entries))


def _passes_table(entries: Iterable[PassEntry]) -> Table:
    from graphlab.report.tables import Column, Table

    rows = tuple(
        (entry.name, _kind(entry), (inspect.getdoc(entry.kind) or "").split("\n", 1)[0], entry.owner)
        for entry in entries
    )
    heads = ("what it does", "from")
    columns = (Column("name", number=False, whole=True), Column("kind", number=False, whole=True))
    return Table("Passes", (*columns, *(Column(head, number=False) for head in heads)), rows)


def _kind(entry: PassEntry) -> str:
    from graphlab.hoisting.stage_rewrite import StageRewrite
    from graphlab.passes_base import Analysis

    if issubclass(entry.kind, Analysis):
        return "analysis"
    return "stage rewrite" if issubclass(entry.kind, StageRewrite) else "rewrite"


def _options_table(entries: Iterable[PassEntry]) -> Table:
    from graphlab.report.tables import Column, Table
    from graphlab.rewriting.options import options_of

    rows = tuple(
        (entry.name, item.name, item.values, "must be given" if item.default is None else item.default, item.help)
        for entry in entries
        for item in options_of(entry.kind)
    )
    heads = (Column("option of", number=False, whole=True), Column("option", number=False, whole=True))
    texts = ("values", "default", "what for")
    note = "`graphlab rewrite SOURCE --pass NAME,OPTION=VALUE`"
    return Table("Options", (*heads, *(Column(head, number=False) for head in texts)), rows, note=note)
