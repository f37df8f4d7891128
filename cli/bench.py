"""`graphlab bench`: which runtime is fastest for a model on this machine, checked first and timed in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Destinations, destinations
from graphlab.cli.options import (
    PASS_SPEC,
    Bindings,
    Config,
    Html,
    Inputs,
    RewriteLevel,
    Source,
    Stage,
    TrustPickle,
    Weights,
    load_workload,
    parse_level,
)
from graphlab.cli.output import OutputError

if TYPE_CHECKING:
    from graphlab.report.bench_data import BenchReport
    from graphlab.report.figure import Figure

FAILED = 1
PLOTS = (".html", ".svg", ".png", ".json")


def bench(
    source: Source,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar=PASS_SPEC,
            help="eager, inductor, inductor-aot, onnxruntime, openvino, ...; rewrite=-O2 among the keys; repeat.",
        ),
    ] = None,
    rewrite: RewriteLevel = "-O0",
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    weights: Weights = None,
    dtype: Annotated[str | None, typer.Option("--dtype", metavar="D", help="float32, float16 or bfloat16.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="Of one call; all cores.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Timed rounds at most.")] = 20,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="SECONDS", help="Of compiling, checking and timing.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Time a generation: all stages, steps and guidance.")] = False,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Capture with symbolic sizes.")] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the order in each round.")] = 0,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="PATH", help="A chart: .html, .svg, .png, or .json (Vega-Lite).")
    ] = None,
) -> None:
    """Times a model on several runtimes, after checking that they agree, and says which is fastest."""
    if plot is not None and Path(plot).suffix not in PLOTS:
        raise typer.BadParameter(f"{plot} is none of {', '.join(PLOTS)}", param_hint="'--plot'")
    with destinations(
        {"--json": json, "--markdown": markdown, "--html": html, "--plot": plot}, reads=(source, config)
    ) as out:
        from graphlab.benching import bench as run_bench
        from graphlab.timing.candidates import candidates

        candidates(backend or (), rewrite=parse_level(rewrite))  # misspellings are said before the model is loaded
        static = not dynamic and not source.endswith(".onnx")  # a file says its free sizes, which cost nothing
        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
        with _progress() as tell:
            report = run_bench(
                workload,
                backend or (),
                rewrite=parse_level(rewrite),
                stage=stage,
                weights=weights,
                dtype=dtype,
                threads=threads,
                rounds=rounds,
                budget=budget,
                whole=whole,
                dynamic=dynamic,
                seed=seed,
                trust_pickle=trust_pickle,
                progress=tell,
            )
        _write(report, out)
        out.show(partial(show, report))
    if report.failed:
        raise typer.Exit(FAILED)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A function that shows a line of what is going on, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from graphlab.cli.render import console, literal

    with console(sys.stderr).status("") as status:
        yield lambda text: status.update(literal(text))


def show(report: BenchReport, stream: Any) -> None:
    """The whole report on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.bench_tables import bench_fields, bench_tables, failures, stage_lines

    out = console(stream)
    print_fields(out, bench_fields(report))
    for table in bench_tables(report):
        print_table(out, table)
    for stage in report.stages:
        print_lines(out, f"{stage.name}: not timed", failures(stage))
        print_lines(out, f"{stage.name}: notes", stage_lines(stage))
    print_lines(out, "Assumptions", report.assumptions)
    print_lines(out, "Notes", report.notes)


def _write(report: BenchReport, out: Destinations) -> None:
    """A chart comes last: it may have nothing to draw, and what was measured is not to be lost by it."""
    from graphlab.report.bench_writers import bench_json, bench_markdown
    from graphlab.timing.figure import bench_figure

    out.write_each(report, {"--json": bench_json, "--markdown": bench_markdown, "--html": _page})
    plot = out.paths.get("--plot")
    if plot is None:
        return
    figure = bench_figure(report)
    if Path(plot).suffix == ".png":
        _write_png(figure, Path(plot))
    else:
        out.write({"--plot": _drawn(figure, report, Path(plot).suffix)})


def _drawn(figure: Figure, report: BenchReport, suffix: str) -> str:
    """The figure as text of the kind `suffix`; OutputError where nothing was timed."""
    if suffix == ".html":
        return _page(report)
    if suffix == ".json":
        import json

        return json.dumps(_specification(figure), indent=1, allow_nan=False) + "\n"
    drawn = figure.to_svg()
    if drawn is None:
        raise OutputError("there is nothing to draw: no candidate was timed")
    return drawn


def _page(report: BenchReport) -> str:
    from graphlab.pages.bench import bench_document
    from graphlab.report.html import to_html

    return to_html(bench_document(report))


def _specification(figure: Figure) -> dict[str, Any]:
    found = figure.vega_lite()
    if found is None:
        raise OutputError("there is nothing to draw: no candidate was timed")
    return found


def _write_png(figure: Figure, path: Path) -> None:
    """Beside its place and renamed, as text is."""
    import vl_convert

    data = vl_convert.vegalite_to_png(_specification(figure), scale=2)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
