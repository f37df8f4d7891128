"""`graphlab rewrite`: an equivalent, cheaper program, with every change and every refusal explained."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from graphlab.cli.output import STDOUT, OutputError, check_folder, check_outputs, write_outputs

if TYPE_CHECKING:
    from graphlab.program import Program
    from graphlab.report.rewrite_data import RewriteReport, StageRewrite
    from graphlab.rewriter import Chosen
    from graphlab.rewriting.result import RewriteResult
    from graphlab.rewriting.saving import Writer
    from graphlab.workload import Workload

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
    given = {"--json": json, "--markdown": markdown, "--html": html}
    outputs = {option: path for option, path in given.items() if path is not None}
    _check_output(output, outputs)
    check_passes(passes or ())
    if level is None and not passes:
        level = DEFAULT_LEVEL
    from graphlab.cli.render import progress
    from graphlab.rewriter import chosen_passes, rewrite_stage, rewrites

    chosen = chosen_passes(level, passes or (), invariant=invariant or (), schedule=schedule or ())
    _check_split(output, chosen)
    workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
    names = _stages(workload, stage, output)
    written: dict[Path, Writer] = {}
    rows = []
    with progress(len(names)) as tell:
        for name in names:
            tell(name)
            last = () if output is None or keep_fused else ("decompose-fused",)
            before, result = rewrite_stage(
                workload, name, chosen, verify, dynamic=not static, last=rewrites(last), trusted=trust_pickle
            )
            place = _place(output, name, result, alone=len(names) == 1)
            if place in written:
                raise OutputError(f"two stages would both be {place}: pick one with --stage")
            if place is not None:
                written[place] = _writer(result)
            regions = diff or html is not None
            rows.append(_row(workload, name, before, result, diff=regions, place=place, chosen=chosen))
    report = _report(workload, chosen, rows)
    texts = _texts(report, outputs)
    _save(written, output)
    show(report, sys.stderr if STDOUT in outputs.values() else sys.stdout, diff=diff)
    write_outputs(texts)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir() or not Path(output).suffix


def _check_output(output: str | None, outputs: dict[str, str]) -> None:
    if output is None:
        check_outputs(outputs)
        return
    if output == STDOUT:
        raise typer.BadParameter("a program is no text; name a file", param_hint="'-o'")
    if _is_folder(output):
        check_outputs(outputs)
        check_folder(Path(output), "-o", outputs)
        return
    if Path(output).suffix != ".pt2":
        raise typer.BadParameter(f"{output} is neither a .pt2 file nor a folder (which ends with /)", param_hint="'-o'")
    check_outputs({**outputs, "-o": output})


def _stages(workload: Workload, stage: str | None, output: str | None) -> list[str]:
    """Names of the stages to rewrite: one for a file, all of them for a folder or a report alone."""
    from graphlab.api import one_stage

    if stage is None and (output is None or _is_folder(output)):
        return [item.name for item in workload.active]
    return [one_stage(workload, stage)]


def _check_split(output: str | None, chosen: Chosen) -> None:
    """A stage that is split goes into a folder of its own, which is new: fails before the long work."""
    if output is None or chosen.splits is None:
        return
    folder = Path(output)
    if folder.suffix == ".pt2" and not _is_folder(output):
        raise typer.BadParameter(
            "a stage that is split is several programs; name a folder (end it with /)", param_hint="'-o'"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"cannot write into {folder}: it is not empty; a stage that is split goes into a new folder")


def _place(output: str | None, name: str, result: RewriteResult, *, alone: bool) -> Path | None:
    """Where the program goes: the file, or STAGE.pt2 in the folder; a stage that was split is a folder itself."""
    if output is None:
        return None
    if not _is_folder(output):
        return Path(output)
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    if result.parts is not None:
        return Path(output) if alone else Path(output) / safe
    return Path(output) / f"{safe}.pt2"


def _row(
    workload: Workload,
    name: str,
    before: Program,
    result: RewriteResult,
    *,
    diff: bool,
    place: Path | None,
    chosen: Chosen,
) -> StageRewrite:
    from graphlab.rewriting.account import stage_account
    from graphlab.sources.stage import axis_sizes

    stage = workload.running(name)
    sizes = axis_sizes(stage, workload.step_values(stage, 0))
    asked = (*chosen.rewrites, *((chosen.splits,) if chosen.splits is not None else ()))
    inexact = [item.name for item in asked if not item.exact]
    return stage_account(name, before, result, sizes, diff=diff, output=place, notes=before.notes, inexact=inexact)


def _report(workload: Workload, chosen: Chosen, stages: list[StageRewrite]) -> RewriteReport:
    from graphlab.report.rewrite_data import RewriteReport

    return RewriteReport(
        source=workload.source,
        workload=workload.name,
        bindings=workload.values(),
        level=chosen.level,
        passes=chosen.names,
        stages=tuple(stages),
        assumptions=workload.assumptions,
        approximate=chosen.approximate,
    )


def _writer(result: RewriteResult) -> Writer:
    from graphlab.hoisting.result import HoistResult
    from graphlab.hoisting.saving import save
    from graphlab.reuse.saving import save as save_reused
    from graphlab.rewriting.saving import program_writer

    if isinstance(result.parts, HoistResult):
        return partial(save, result.parts)
    if result.parts is not None:
        return partial(save_reused, result.parts)
    return program_writer(result.program)


def _save(writers: dict[Path, Writer], output: str | None) -> None:
    """Writes everything or nothing; a folder is made where it is not there."""
    from graphlab.rewriting.saving import save_all

    if output is None:
        return
    folder = Path(output)
    made = _is_folder(output) and not folder.exists()
    try:
        if made:
            folder.mkdir()
        save_all(writers)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


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


def _texts(report: RewriteReport, outputs: dict[str, str]) -> dict[str, str]:
    from graphlab.pages.rewrite import rewrite_document
    from graphlab.report.html import to_html
    from graphlab.report.rewrite_writers import rewrite_json, rewrite_markdown

    def page(item: RewriteReport) -> str:
        return to_html(rewrite_document(item))

    writers = {"--json": rewrite_json, "--markdown": rewrite_markdown, "--html": page}
    return {path: writers[option](report) for option, path in outputs.items()}
