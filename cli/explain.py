"""`graphlab explain`: everything known about one node."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from graphlab.cli.analyze import run
from graphlab.cli.destinations import destinations
from graphlab.cli.options import Bindings, Config, Device, Html, Inputs, NoCache, Source, Stage, Static, TrustPickle

if TYPE_CHECKING:
    from graphlab.report.explain import ExplanationReport


def explain(
    source: Source,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node's name, as in the CSV of `graphlab analyze`.")],
    stage: Stage = None,
    device: Device = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    static: Static = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    no_cache: NoCache = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    html: Html = None,
) -> None:
    """What one node is, where it comes from and what it costs."""
    with destinations({"--json": json, "--html": html}, reads=(source, config)) as out:
        report = run(source, device, stage, bindings, inputs, False, static, config, trust_pickle, no_cache, one=True)
        from graphlab.report.explain import explain as explained
        from graphlab.report.json_writer import to_json

        found = explained(report, node)
        out.write_each(found, {"--json": to_json, "--html": _page})
        out.show(partial(show, found))


def show(report: ExplanationReport, stream: TextIO) -> None:
    """Everything about the node on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields
    from graphlab.report.explain_fields import explain_fields, title_of

    print_fields(console(stream), explain_fields(report.explanation), title=title_of(report.explanation))


def _page(report: ExplanationReport) -> str:
    from graphlab.pages.others import explanation_document
    from graphlab.report.html import to_html

    return to_html(explanation_document(report))
