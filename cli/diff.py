"""`graphlab diff`: what differs between two sources, programs, reports or timings, and rules for CI."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Writers, destinations
from graphlab.cli.options import (
    DEPTH,
    Bindings,
    Config,
    Device,
    Html,
    Inputs,
    NoCache,
    Stage,
    Static,
    Strict,
    TrustPickle,
    check_depth,
    parse_bindings,
    parse_inputs,
)

if TYPE_CHECKING:
    from graphlab.report.diff_data import DiffReport

VIOLATED, UNKNOWN = 3, 4
"""Exit codes of --fail-if: a rule was violated; none was, and one is about something unknown."""
_ROWS = 20
_INPUT = "NAME=SHAPE:DTYPE"


class By(StrEnum):
    """What changes are listed by; attentions are always listed."""

    category = "category"
    role = "role"
    module = "module"
    op = "op"
    node = "node"


class Per(StrEnum):
    """What numbers are of."""

    call = "call"
    generation = "generation"


OnlyA = Annotated[list[str] | None, typer.Option("--set-a", metavar="NAME=VALUE", help="--set for A alone; repeat.")]
OnlyB = Annotated[list[str] | None, typer.Option("--set-b", metavar="NAME=VALUE", help="--set for B alone; repeat.")]


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A source as analyze takes it, or the JSON of a report.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another; changes are B's against A's.")],
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", metavar="RULE", help='"flops > +1%", "unet.peak_memory > 8GiB"; exit 3; repeat.'),
    ] = None,
    stage: Stage = None,
    stage_a: Annotated[str | None, typer.Option("--stage-a", metavar="NAME", help="--stage for A alone.")] = None,
    stage_b: Annotated[str | None, typer.Option("--stage-b", metavar="NAME", help="--stage for B alone.")] = None,
    device: Device = None,
    bindings: Bindings = None,
    only_a: OnlyA = None,
    only_b: OnlyB = None,
    per: Annotated[Per | None, typer.Option("--per", help="Numbers of one call, or of a generation.")] = None,
    by: Annotated[By | None, typer.Option("--by", help="What changes are listed by: category.")] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Names of a module path with --by module: 2.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Rows of that table.")] = _ROWS,
    inputs: Inputs = None,
    strict: Strict = False,
    static: Static = False,
    config: Config = None,
    config_a: Annotated[Path | None, typer.Option("--config-a", metavar="FILE", help="--config for A alone.")] = None,
    config_b: Annotated[Path | None, typer.Option("--config-b", metavar="FILE", help="--config for B alone.")] = None,
    inputs_a: Annotated[list[str] | None, typer.Option("--input-a", metavar=_INPUT, help="--input for A.")] = None,
    inputs_b: Annotated[list[str] | None, typer.Option("--input-b", metavar=_INPUT, help="--input for B.")] = None,
    trust_pickle: TrustPickle = False,
    no_cache: NoCache = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
) -> None:
    """What differs between two models, programs, reports or timings; --fail-if makes it a check for CI."""
    check_depth(depth, by)
    _check_rules(fail_if or ())
    sets = (parse_bindings(bindings), parse_bindings(only_a), parse_bindings(only_b))
    shapes = (parse_inputs([*(inputs or ()), *(inputs_a or ())]), parse_inputs([*(inputs or ()), *(inputs_b or ())]))
    with destinations({"--json": json, "--markdown": markdown, "--html": html}, reads=(a, b)) as out:
        from graphlab.cli.render import progress
        from graphlab.comparing import diff as compared
        from graphlab.diffing.opening import SourceOptions

        with progress(2) as tell:
            report = compared(
                a,
                b,
                stage=stage,
                stage_a=stage_a,
                stage_b=stage_b,
                device=device,
                per=per.value if per is not None else None,
                fail_if=fail_if or (),
                both=sets[0],
                only_a=sets[1],
                only_b=sets[2],
                dynamic=not static,
                strict=strict,
                cache=not no_cache,
                progress=tell,
                options_a=SourceOptions(config_a or config, trust_pickle, shapes[0]),
                options_b=SourceOptions(config_b or config, trust_pickle, shapes[1]),
            )
        listed = Listed(by.value if by is not None else None, depth if depth is not None else DEPTH, top)
        out.write_each(report, _writers(listed))
        out.show(partial(show, report, listed))
    code = {"violated": VIOLATED, "unknown": UNKNOWN}.get(report.outcome(), 0)
    if code:
        raise typer.Exit(code)


def _check_rules(rules: list[str] | tuple[str, ...]) -> None:
    """BadParameter for a rule that is misspelled, before anything is read."""
    from graphlab.diffing.errors import RuleError
    from graphlab.diffing.rules import parse_rule

    for text in rules:
        try:
            parse_rule(text)
        except RuleError as error:
            raise typer.BadParameter(str(error), param_hint="'--fail-if'") from error


@dataclass(frozen=True, slots=True)
class Listed:
    """What changes are listed by, names of a module path among them, and how many rows."""

    by: str | None
    depth: int
    top: int


def show(report: DiffReport, listed: Listed, stream: Any) -> None:
    """The whole report on `stream`, for a human: settings first, rules last."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.diff_tables import diff_fields, rule_lines
    from graphlab.report.diff_writers import body
    from graphlab.report.tables import Table

    out = console(stream)
    print_fields(out, diff_fields(report))
    for item in body(report, listed.by, depth=listed.depth, top=listed.top):
        if isinstance(item, Table):
            print_table(out, item)
        else:
            print_lines(out, *item)
    print_lines(out, "Rules", rule_lines(report))


def _writers(listed: Listed) -> Writers:
    from graphlab.pages.diff import diff_document
    from graphlab.report.diff_writers import diff_markdown
    from graphlab.report.html import to_html
    from graphlab.report.json_writer import to_json

    def markdown(report: DiffReport) -> str:
        return diff_markdown(report, listed.by, depth=listed.depth, top=listed.top)

    return {"--json": to_json, "--markdown": markdown, "--html": lambda report: to_html(diff_document(report))}
