"""A figure and a plain table as markup that reads well before any script runs."""

from __future__ import annotations

import re

from graphlab.report.figure import Figure, Value
from graphlab.report.html.assets import still_picture
from graphlab.report.html.cells import DASH, cell
from graphlab.report.html.document import PlainTable
from graphlab.report.html.markup import caption_of, escape, json_block, title_of
from graphlab.report.html.payload import (
    KINDS,
    attention_index,
    description,
    is_number,
    payload,
    rounded_rows,
    shown_unit,
)

FIRST_ROWS = 50
_NUMBER = re.compile(r"[-+]?\d")


def figure_block(figure: Figure, slug: str, over: str = "") -> str:
    """The figure element: caption, chart, notes, and the table behind it; only caption and notes without rows.

    `over` is the heading of its section: a title that repeats it is not shown.
    """
    title = title_of(figure.title, over, f"{slug}-title")
    parts = [
        f'<figure id="{slug}" aria-labelledby="{slug}-title">',
        f"<figcaption>{title}<p>{escape(figure.caption)}</p></figcaption>",
    ]
    if not figure.rows:
        parts.append('<p class="empty">This figure has no rows.</p>')
    else:
        parts += [_attention(figure, slug), _chart(figure)]
    if figure.notes:
        parts.append(f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in figure.notes)}</ul>')
    if figure.rows:
        parts += [_data(figure), json_block(f"{slug}-data", payload(figure))]
    return "\n".join([*filter(None, parts), "</figure>"])


def _attention(figure: Figure, slug: str) -> str:
    if attention_index(figure) is None:
        return ""
    options = "".join(
        f'<label><input type="radio" name="{slug}-attention" value="{value}"{" checked" * (not value)}>'
        f"<span>{label}</span></label>"
        for value, label in (("", "both"), *((kind, kind) for kind in KINDS))
    )
    return f'<fieldset class="attention" hidden><legend>Attention</legend>{options}</fieldset>'


def _chart(figure: Figure) -> str:
    picture = still_picture(figure)
    if picture is None:
        return ""
    text = escape(description(figure))
    return (
        f'<div class="chart" role="group" aria-label="Chart. {text}"></div>\n'
        f'<noscript><img class="still" alt="{text}" src="{picture}"></noscript>'
    )


def _data(figure: Figure) -> str:
    count = len(figure.rows)
    title = escape(figure.title)
    rows = "1 row" if count == 1 else f"{count:,} rows"
    cut = f"<noscript><p>The first {FIRST_ROWS} of {rows}.</p></noscript>" if count > FIRST_ROWS else ""
    return f"""<details class="data"{" open" * (figure.chart is None)}><summary>Table <span>{rows}</span></summary>
<div class="tools" hidden><input type="search" placeholder="Filter rows" aria-label="Filter the rows of {title}">
<span class="count" role="status"></span><button type="button" class="csv">Download CSV</button></div>
<div class="scroll" tabindex="0" role="region" aria-label="Table. {title}">
<table>{caption_of(figure.title)}<thead><tr>{_headings(figure)}</tr></thead>
<tbody>{_rows(figure)}</tbody></table></div>
<button type="button" class="more" hidden></button>{cut}{_help(figure)}
</details>"""


def _headings(figure: Figure) -> str:
    return "".join(
        f'<th scope="col"{_kind(is_number(figure, column))}>{escape(column.heading)}'
        f"{' <small class=estimate>estimate</small>' * column.estimate}</th>"
        for column in figure.columns
    )


def _rows(figure: Figure) -> str:
    columns = [(shown_unit(column), _kind(is_number(figure, column))) for column in figure.columns]
    return "\n".join(
        f"<tr>{''.join(_cell(value, *column) for value, column in zip(row, columns, strict=True))}</tr>"
        for row in rounded_rows(figure)[:FIRST_ROWS]
    )


def _cell(value: Value, unit: str, kind: str) -> str:
    return f"<td{kind}>{escape(cell(value, unit))}</td>"


def _kind(number: bool) -> str:
    return " class=number" if number else ""


def _help(figure: Figure) -> str:
    terms = [f"<dt>{escape(c.heading)}</dt><dd>{escape(c.help)}</dd>" for c in figure.columns if c.help]
    return f'<dl class="help">{"".join(terms)}</dl>' if terms else ""


def plain_table(table: PlainTable, over: str = "") -> str:
    """The table element; a column of nothing but numbers and dashes is aligned to the right.

    Rows of a table of nothing but text are stacked on a phone, so each cell names its column.
    """
    columns = range(len(table.headings))
    number = [bool(table.rows) and all(_is_number(row[index]) for row in table.rows) for index in columns]
    kind = list(map(_kind, number))
    heads = "".join(f'<th scope="col"{kind[i]}>{escape(table.headings[i])}</th>' for i in columns)
    prose = bool(table.rows) and not any(number)
    label = [f' data-column="{escape(heading)}"' * prose for heading in table.headings]
    rows = "\n".join(
        "<tr>" + "".join(f"<td{kind[i]}{label[i]}>{escape(row[i])}</td>" for i in columns) + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    title = escape(table.title)
    return f"""<div class="plain">{title_of(table.title, over)}
<div class="scroll" tabindex="0" role="region" aria-label="Table. {title}">
<table{" class=prose" * prose}>{caption_of(table.title)}<thead><tr>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div>{note}</div>"""


def _is_number(text: str) -> bool:
    return text in ("", "-", DASH) or _NUMBER.match(text) is not None
