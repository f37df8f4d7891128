"""`graphlab run`: a generation with an exported folder, in ONNX Runtime."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.options import Html
from graphlab.cli.output import STDOUT, OutputError

if TYPE_CHECKING:
    import torch

    from graphlab.onnx_pipeline.run_report import RunReport
    from graphlab.running import RunResult

FORMATS = (".png", ".npy", ".safetensors")


def run(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `graphlab export SOURCE -o DIR/` wrote.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="The result: .png, .npy or .safetensors.")
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="What to generate.")] = None,
    prompt_ids: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt-ids", metavar="IDS", help='Token ids ("49406 320 ...") or a class; repeat for each text encoder.'
        ),
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option("--negative-prompt", metavar="TEXT", help="What to keep away from.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, metavar="N", help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option("--guidance", metavar="G", help="Guidance scale.")] = None,
    height: Annotated[int | None, typer.Option("--height", min=1, metavar="PIXELS", help="Height.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, metavar="PIXELS", help="Width.")] = None,
    frames: Annotated[int | None, typer.Option("--frames", min=1, metavar="N", help="Frames of a video.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the noise.")] = 0,
    provider: Annotated[str, typer.Option("--provider", metavar="P", help="cpu, cuda or tensorrt.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Of one call; all cores.")
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    html: Html = None,
) -> None:
    """Generates an image or a video with an exported folder, in ONNX Runtime and with diffusers' scheduler."""
    if output is not None and output.suffix not in FORMATS:
        raise typer.BadParameter(f"{output} is none of {', '.join(FORMATS)}", param_hint="'-o'")
    with destinations({"--json": json, "--html": html}, {} if output is None else {"-o": str(output)}) as out:
        from graphlab.running import run as run_folder

        result = run_folder(
            folder,
            prompt,
            prompt_ids=prompt_ids or (),
            negative_prompt=negative_prompt,
            steps=steps,
            guidance=guidance,
            height=height,
            width=width,
            frames=frames,
            seed=seed,
            provider=provider,
            threads=threads,
        )
        if output is not None:
            _write(result.values, output)
            result = _with_file(result, output, out.paths.get("--json", STDOUT))
        out.write_each(result, {"--json": _json, "--html": _page})
        out.show(partial(show, result.report))


def show(report: RunReport, stream: Any) -> None:
    """The report on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.onnx_pipeline.run_tables import run_fields, run_table

    out = console(stream)
    print_fields(out, run_fields(report))
    print_table(out, run_table(report))
    print_lines(out, "Notes", report.notes)


def _with_file(result: RunResult, output: Path, json: str) -> RunResult:
    """`result`, whose report names its file, seen from the folder that `json` is written into."""
    import hashlib
    import os
    from dataclasses import replace

    from graphlab.onnx_pipeline.run_report import OutputFile

    home = Path() if json == STDOUT else Path(json).parent
    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    written = OutputFile(Path(os.path.relpath(output, home)).as_posix(), digest)
    return replace(result, report=replace(result.report, output=written))


def _page(result: RunResult) -> str:
    from graphlab.pages.others import run_document
    from graphlab.pages.pixels import result_pictures
    from graphlab.pages.run_pictures import ALT
    from graphlab.pages.saved import run_report
    from graphlab.report.html import to_html

    shown = result_pictures(result.values, ALT)
    return to_html(run_document(run_report(result.report.to_dict()), shown))


def _json(result: RunResult) -> str:
    from graphlab.report.json_writer import to_json

    return to_json(result.report)


def _write(values: torch.Tensor, path: Path) -> None:
    """Beside its place and renamed, as reports are."""
    part = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        _save(values, part, path.suffix)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _save(values: torch.Tensor, path: Path, suffix: str) -> None:
    import numpy

    if suffix == ".npy":
        numpy.save(path, values.numpy())
        return
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({"values": values.contiguous()}, path)
        return
    if values.dim() != 4 or len(values) != 1:
        raise OutputError(f"{'x'.join(map(str, values.shape))} is not one image", hint="write .npy or .safetensors")
    from PIL import Image

    pixels = (values[0] * 255).round().clamp(0, 255).to(dtype=_byte())
    Image.fromarray(pixels.numpy().squeeze()).save(path)


def _byte() -> Any:
    import torch

    return torch.uint8
