"""`graphlab rewrite`: an equivalent, cheaper program, with every change and every refusal explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Writers, destinations
from graphlab.cli.options import (
    PASS_SPEC,
    Bindings,
    Config,
    Html,
    Inputs,
    Source,
    Stage,
    Static,
    TrustPickle,
    check_passes,
    load_workload,
)
from graphlab.cli.output import STDOUT, check_folder

if TYPE_CHECKING:
    from graphlab.report.rewrite_data import RewriteReport
    from graphlab.rewriter import Chosen

DEFAULT_LEVEL = 2


def rewrite(
    source: Source,
    level: Annotated[
        int | None,
        typer.Option(
            "-O", min=0, max=3, metavar="LEVEL", help="-O1 clean-up; -O2 all exact passes (the default); -O3 and split."
        ),
    ] = None,
    passes: Annotated[
        list[str] | None,
        typer.Option("--pass", metavar=PASS_SPEC, help="A pass, after those of -O; alone without -O."),
    ] = None,
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    static: Static = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare before and after; a difference is an error.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show the calls that changed.")] = False,
    keep_fused: Annotated[
        bool, typer.Option("--keep-fused", help="Write graphlab:: operators, which torch alone does not load.")
    ] = False,
    invariant: Annotated[
        list[str] | None, typer.Option("--invariant", metavar="INPUT", help="-O3: it stays the same in every step.")
    ] = None,
    schedule: Annotated[
        list[str] | None, typer.Option("--schedule", metavar="INPUT", help="-O3: it is known for every step: time.")
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="A .pt2 file, or a folder: one a stage.")
    ] = None,
) -> None:
    """Rewrites a model to an equivalent, cheaper one, and says what changed and what stayed."""
    check_passes(passes or ())
    if level is None and not passes:
        level = DEFAULT_LEVEL
    with destinations(
        {"--json": json, "--markdown": markdown, "--html": html}, _file(output), reads=(source, config)
    ) as out:
        check_folder(_folder(output), "-o", out.paths)
        from graphlab.cli.render import progress
        from graphlab.rewrite_files import RewritePlan, rewrite_workload
        from graphlab.rewriter import chosen_passes

        chosen = chosen_passes(level, passes or (), invariant=invariant or (), schedule=schedule or ())
        _check_split(output, chosen)
        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
        plan = RewritePlan(
            workload,
            chosen,
            output,
            verify,
            dynamic=not static,
            trusted=trust_pickle,
            keep_fused=keep_fused,
            diff=diff or html is not None,
        )
        names = plan.stages(stage)
        with progress(len(names)) as tell:
            report = rewrite_workload(plan, names, tell)
        out.write_each(report, _writers())
        out.show(lambda stream: show(report, stream, diff=diff))


def _file(output: str | None) -> dict[str, str]:
    """{"-o": the file that is written}; nothing for a folder. BadParameter for what is neither."""
    if output == STDOUT:
        raise typer.BadParameter("a program is no text; name a file", param_hint="'-o'")
    if output is None or _folder(output) is not None:
        return {}
    if Path(output).suffix != ".pt2":
        raise typer.BadParameter(f"{output} is neither a .pt2 file nor a folder (which ends with /)", param_hint="'-o'")
    return {"-o": output}


def _check_split(output: str | None, chosen: Chosen) -> None:
    """A stage that is split goes into a folder of its own, which is new: fails before the long work."""
    from graphlab.rewrite_files import check_split

    if chosen.splits is not None and output is not None and _folder(output) is None:
        raise typer.BadParameter(
            "a stage that is split is several programs; name a folder (end it with /)", param_hint="'-o'"
        )
    check_split(output, chosen)


def _folder(output: str | None) -> Path | None:
    from graphlab.rewrite_files import is_folder

    return Path(output) if output is not None and is_folder(output) else None


def show(report: RewriteReport, stream: Any, *, diff: bool = True) -> None:
    """The whole report on `stream`, for a human; without `diff` the regions that changed are left out."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.rewrite_tables import (
        diff_lines,
        drift_lines,
        rewrite_fields,
        rewrite_tables,
        stage_notes,
        verification_lines,
        verifications,
    )

    out = console(stream)
    print_fields(out, rewrite_fields(report))
    for table in rewrite_tables(report):
        print_table(out, table)
    for stage in report.stages:
        for title, row in verifications(stage):
            print_lines(out, title, verification_lines(row))
        print_lines(out, f"{stage.name}: approximate, measured difference", drift_lines(stage))
        if diff and stage.diff is not None:
            _print_diff(out, stage.name, [line for group in stage.diff for line in diff_lines(group)])
        print_lines(out, f"{stage.name}: notes", stage_notes(stage))
    print_lines(out, "Assumptions", report.assumptions)


def _print_diff(out: Any, name: str, lines: list[str]) -> None:
    from graphlab.cli.render import literal

    styles = {"@": "bold", "-": "red", "+": "green", "#": "dim"}
    out.print()
    out.print(literal(f"{name}: what changed", "bold"))
    for text in lines or ["nothing"]:
        out.print(literal(text, styles.get(text[0], "")), soft_wrap=True)


def _writers() -> Writers:
    from graphlab.pages.rewrite import rewrite_document
    from graphlab.report.html import to_html
    from graphlab.report.rewrite_writers import rewrite_json, rewrite_markdown

    def page(item: RewriteReport) -> str:
        return to_html(rewrite_document(item))

    return {"--json": rewrite_json, "--markdown": rewrite_markdown, "--html": page}
