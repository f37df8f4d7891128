"""`graphlab explain`: everything known about one node."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from graphlab.cli.analyze import run
from graphlab.cli.options import Bindings, Config, Device, Html, Inputs, NoCache, Source, Stage, Static, TrustPickle
from graphlab.cli.output import STDOUT, check_outputs, write_outputs

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
    outputs = {option: path for option, path in (("--json", json), ("--html", html)) if path is not None}
    check_outputs(outputs)
    report = run(source, device, stage, bindings, inputs, False, static, config, trust_pickle, no_cache, one=True)
    from graphlab.cli.render import console, print_fields
    from graphlab.report.explain import explain as explained
    from graphlab.report.explain_fields import explain_fields, title_of

    found = explained(report, node)
    texts = {"--json": _json, "--html": _page}
    out = console(sys.stderr if STDOUT in outputs.values() else sys.stdout)
    print_fields(out, explain_fields(found.explanation), title=title_of(found.explanation))
    write_outputs({path: texts[option](found) for option, path in outputs.items()})


def _json(report: ExplanationReport) -> str:
    import json

    return json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n"


def _page(report: ExplanationReport) -> str:
    from graphlab.pages.others import explanation_document
    from graphlab.report.html import to_html

    return to_html(explanation_document(report))
