"""A tree of rows as one table: without scripts all of it is open, `app.js` makes its branches close."""

from __future__ import annotations

from itertools import pairwise

from graphlab.report.html.document import TreeRow, TreeTable
from graphlab.report.html.markup import caption_of, escape, title_of


def tree_table(tree: TreeTable, slug: str, over: str = "") -> str:
    """The tree's table: a row header a name, indented by its level, and the buttons that open and close all of it.

    A table rather than a widget of its own: readers move in its rows and columns as in any other. The script makes each
    branch a button that says whether it is open; the level is in words too, for those who do not see the indent.
    """
    title = escape(tree.title)
    kinds = ["" if heading in tree.texts else " class=number" for heading in tree.headings[1:]]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(heading)}</th>'
        for heading, kind in zip(tree.headings, ["", *kinds], strict=True)
    )
    parents = _parents(tree.rows)
    rows = "\n".join(
        _row(row, kinds, branch=index in parents, open=row.level < tree.shown) for index, row in enumerate(tree.rows)
    )
    note = f'<p class="note">{escape(tree.note)}</p>' if tree.note else ""
    return f"""<div class="plain tree" id="{slug}">{title_of(tree.title, over)}
<div class="branches" hidden><button type="button" class="open-all">Open all</button>
<button type="button" class="close-all">Close all</button><span class="count" role="status"></span></div>
<div class="scroll" tabindex="0" role="region" aria-label="Table. {title}">
<table>{caption_of(tree.title)}<thead><tr>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div>{note}</div>"""


def _parents(rows: tuple[TreeRow, ...]) -> set[int]:
    """Places of the rows that have rows below them."""
    return {index for index, (row, after) in enumerate(pairwise(rows)) if after.level > row.level}


def _row(row: TreeRow, kinds: list[str], *, branch: bool, open: bool) -> str:
    cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row.cells, kinds, strict=True))
    state = f' data-branch="{"open" if open else "closed"}"' * branch
    name = f'<span>{escape(row.name)}</span><span class="away">, level {row.level + 1}</span>'
    return f'<tr data-level="{row.level}"{state}><th scope="row" style="--level:{row.level}">{name}</th>{cells}</tr>'
