"""A document as one HTML file: style, script, plotting library and data inside, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.html.assets import plotting_library, script, style
from graphlab.report.html.blocks import figure_block, plain_table
from graphlab.report.html.document import Document, Section
from graphlab.report.html.extras import listing_block, picture_block
from graphlab.report.html.markup import escape, slugs
from graphlab.report.html.trees import tree_table

# The browser itself refuses whatever is not in the file. Vega compiles its expressions, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def to_html(document: Document) -> str:
    """The document as the text of one HTML page, to be written as UTF-8; the same document gives the same bytes.

    The plotting library goes in once, and only where a figure has something to draw. GraphlabError where a figure
    holds a number that is not finite.
    """
    figures = [figure for section in document.sections for figure in section.figures]
    names = slugs([figure.name for figure in figures])
    remaining = iter(names)
    sections = [_section(section, number, remaining) for number, section in enumerate(document.sections, 1)]
    body = [
        '<a class="skip" href="#content">Skip to the content</a>',
        _header(document),
        _navigation(document, names),
        '<main id="content">',
        *sections,
        _list("Assumptions", document.assumptions),
        _list("Notes", document.notes),
        "</main>",
    ]
    drawn = any(figure.chart is not None and figure.rows for figure in figures)
    live = bool(figures) or any(section.trees for section in document.sections)
    scripts = [plotting_library()] * drawn + [script()] * live
    body += [f'<script type="module">{code}</script>' for code in scripts]
    return "\n".join([_head(document.title), *filter(None, body), "</body>\n</html>\n"])


def _head(title: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style()}</style>
</head>
<body>"""


def _header(document: Document) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in document.subtitle)
    return f"<header><h1>{escape(document.title)}</h1>{lines}</header>"


def _navigation(document: Document, names: list[str]) -> str:
    """Links to every section and the figures in it; nothing where there is but one thing to go to.

    What a figure's title shares with the heading above it ("unet: ") is not said again.
    """
    remaining = iter(names)
    entries = [
        _entry(section, number, [next(remaining) for _ in section.figures])
        for number, section in enumerate(document.sections, 1)
    ]
    if len(entries) + len(names) < 2:
        return ""
    return f'<nav aria-label="Contents"><h2>Contents</h2><ol>{"".join(entries)}</ol></nav>'


def _entry(section: Section, number: int, names: list[str]) -> str:
    said = section.heading.partition(": ")[0] + ": "
    links = "".join(
        f'<li><a href="#{name}">{escape(figure.title.removeprefix(said))}</a></li>'
        for name, figure in zip(names, section.figures, strict=True)
        if figure.title != section.heading
    )
    inner = f"<ul>{links}</ul>" if links else ""
    return f'<li><a href="#section-{number}">{escape(section.heading)}</a>{inner}</li>'


def _section(section: Section, number: int, names: Iterator[str]) -> str:
    parts = [f'<section aria-labelledby="section-{number}"><h2 id="section-{number}">{escape(section.heading)}</h2>']
    parts += [f"<p>{escape(text)}</p>" for text in section.paragraphs]
    over = section.heading
    parts += [picture_block(picture, over) for picture in section.pictures]
    parts += [plain_table(table, over) for table in section.tables]
    parts += [tree_table(tree, f"tree-{number}-{place}", over) for place, tree in enumerate(section.trees, 1)]
    parts += [figure_block(figure, next(names), over) for figure in section.figures]
    parts += [listing_block(listing, over) for listing in section.listings]
    return "\n".join([*parts, "</section>"])


def _list(heading: str, lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<section class="list"><h2>{heading}</h2><ul>{items}</ul></section>'
