"""`graphlab erase evaluate`: what is left of a concept, what else was lost, and which weights changed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.erase.options import ErasureSourceText, Json, Shape, opened
from graphlab.cli.erase.page import results_in
from graphlab.cli.erase.progress import interruptible, shown
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.erase.jobs.evaluate import BaseReport
    from graphlab.erase.jobs.evaluate_pipeline import PairReport
    from graphlab.erase.jobs.evaluation_report import EvaluationReport
    from graphlab.erase.sources.decoding import Decode
    from graphlab.erase.sources.of_base import BaseSource
    from graphlab.erase.sources.source import ErasureSource


ANEW = "nothing is kept of an evaluation: the same command begins anew"
Erased = Annotated[
    str, typer.Argument(metavar="ERASED", help="What training left: a base file, or a folder with unet/ in it.")
]
Concepts = Annotated[list[str], typer.Option("--concept", metavar="NAME", help="What was erased; repeat.")]
Mask = Annotated[Path | None, typer.Option("--mask", metavar="FILE", help="Says whether only its entries changed.")]
Images = Annotated[
    int | None,
    typer.Option("--images", min=1, metavar="N", help="Of a concept's prompts; of each, for a pipeline."),
]
KeptImages = Annotated[
    int | None, typer.Option("--kept-images", min=1, metavar="N", help="Of every class that is kept; bases.")
]
UnseenImages = Annotated[
    int | None, typer.Option("--unseen-images", min=0, metavar="N", help="Of phrases erasing never saw; bases.")
]
Keep = Annotated[
    Path | None, typer.Option("--keep", metavar="FILE", help="Prompts that are to stay, one a line; pipelines.")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, metavar="N", help="Of an image.")]
Guidance = Annotated[float | None, typer.Option("--guidance", metavar="G", help="Of an image.")]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The first of the images' seeds.")]
Judges = Annotated[
    list[str] | None,
    typer.Option(
        "--judge", metavar="J", help="A CNN judge's file, for a base; file.py:function, for a pipeline; repeat."
    ),
]


def evaluate(
    source: ErasureSourceText,
    erased: Erased,
    concept: Concepts,
    mask: Mask = None,
    images: Images = None,
    kept_images: KeptImages = None,
    unseen_images: UnseenImages = None,
    keep: Keep = None,
    steps: Steps = None,
    guidance: Guidance = None,
    seed: Seed = 0,
    judge: Judges = None,
    shape: Shape = None,
    json: Json = None,
    html: Html = None,
) -> None:
    """Compares a model with what it was: the concept, everything else, and the weights."""
    reads = (source, *results_in(Path(erased)), mask, keep, *(judge or ()))
    with destinations({"--json": json, "--html": html}, reads=reads) as out:
        before = opened(source, shape)
        from graphlab.erase.sources.of_base import BaseSource

        drawn = {"images": images, "steps": steps, "guidance": guidance}
        report: BaseReport | PairReport
        missing = ""
        if isinstance(before, BaseSource):
            _refuse("--keep", keep)
            counts = {"kept_images": kept_images, "unseen_images": unseen_images}
            report = _of_base(before, erased, concept, mask, {**drawn, **counts, "seed": seed}, judge or [])
        else:
            _refuse("--kept-images", kept_images)
            _refuse("--unseen-images", unseen_images)
            asked = {text: _judge(text) for text in judge or ()}
            decode, missing = _decoder(Path(source), asked=bool(asked), shown=bool(out.paths))
            report = _of_pipeline(before, erased, concept, keep, mask, {**drawn, "seed": seed}, asked, decode)
        from graphlab.erase.jobs.evaluation_report import EvaluationReport
        from graphlab.report.json_writer import to_json

        made = EvaluationReport.of(source, erased, report, missing)
        out.write_each(made, {"--json": to_json, "--html": _page})
        out.show(partial(show, report))


def _decoder(folder: Path, *, asked: bool, shown: bool) -> tuple[Decode | None, str]:
    """(what makes pictures of latents, why there is none): judges need it, a report is poorer without."""
    if not asked and not shown:
        return None, ""
    from graphlab.erase.errors import EraseError
    from graphlab.erase.sources.decoding import decoder_of

    try:
        return decoder_of(folder), ""
    except EraseError as error:
        if asked:
            raise
        return None, f"There are no images to show: {error.message}."


def _refuse(option: str, value: object) -> None:
    if value is not None:
        raise typer.BadParameter("not for a source of this kind", param_hint=f"'{option}'")


def _of_base(
    before: BaseSource,
    erased: str,
    concepts: list[str],
    mask: Path | None,
    counts: dict[str, Any],
    judges: list[str],
) -> BaseReport:
    from graphlab.erase.evaluation.config import EvaluationConfig
    from graphlab.erase.jobs.evaluate import evaluate_base
    from graphlab.erase.jobs.judges import judges_for
    from graphlab.erase.sources.opening import open_erased_base

    if len(judges) > 1:
        raise typer.BadParameter("a base has one CNN judge", param_hint="'--judge'")
    config = EvaluationConfig(**_given(counts))
    known = judges_for(before.base.config.world, Path(judges[0]) if judges else None)
    after = open_erased_base(Path(erased))
    with interruptible(ANEW), shown("images") as (tell,):
        return evaluate_base(before.base, after, concepts, known, config, mask=mask, on_progress=tell)


def _of_pipeline(
    before: ErasureSource,
    erased: str,
    concepts: list[str],
    keep: Path | None,
    mask: Path | None,
    counts: dict[str, Any],
    judges: dict[str, Any],
    decode: Decode | None,
) -> PairReport:
    from graphlab.erase.fusion.statistics import captions
    from graphlab.erase.jobs.evaluate_pipeline import PairConfig, evaluate_pipeline
    from graphlab.erase.sources.of_pipeline import PipelineSource

    assert isinstance(before, PipelineSource)
    kept = [] if keep is None else captions(keep)
    after, config = before.with_unet(Path(erased)), PairConfig(**_given(counts))
    with interruptible(ANEW), shown("images") as (tell,):
        return evaluate_pipeline(
            before, after, concepts, kept, config, mask=mask, judges=judges, decode=decode, on_progress=tell
        )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _judge(text: str) -> Any:
    from graphlab.sources.function import user_function

    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise typer.BadParameter(f"{text!r} is not file.py:function", param_hint="'--judge'")
    return user_function(Path(path), name)


def _page(report: EvaluationReport) -> str:
    from graphlab.pages.erase import evaluation_document
    from graphlab.report.html import to_html

    return to_html(evaluation_document(report))


def show(report: BaseReport | PairReport, stream: Any) -> None:
    """The tables, for a human."""
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.erase.jobs.evaluation_tables import report_tables
    from graphlab.erase.jobs.tables import change_table

    out = console(stream)
    for table in report_tables(report):
        print_table(out, table)
    print_table(out, change_table(report.changes))
    if report.outside is not None:
        verdict = "every change lies in the mask" if not report.outside else "NOT all changes lie in the mask"
        print_fields(out, [("mask", f"{verdict}: {report.outside:,} entries changed outside of it")])
