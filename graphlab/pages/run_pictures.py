"""Pictures of a run's result, read back from the file that its report names."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.pages.pixels import result_pictures
from graphlab.report.html import Picture

if TYPE_CHECKING:
    import torch

ALT = "what the run made"
MOST_BYTES = 1 << 30


class _NoPictureError(Exception):
    """Why the pictures of a result cannot be shown, as a sentence about its file."""


def written_pictures(report: RunReport, folder: Path) -> tuple[tuple[Picture, ...], str]:
    """(pictures of the result of `report`, why there are none): from the file it names, seen from `folder`.

    Only the very file that the run wrote is shown: another one of that name is not what the report is about.
    """
    if report.output is None:
        return (), "The result was not written to a file (-o), and this report holds no pictures."
    try:
        return result_pictures(_values(report, _found(report, folder)), ALT), ""
    except _NoPictureError as error:
        return (), f"The result was written to {report.output.file}, which {error}."


def _found(report: RunReport, folder: Path) -> Path:
    """The file of the result; _NoPictureError where it is gone, or another."""
    assert report.output is not None
    try:
        path = folder / report.output.file
        if not path.is_file():
            raise _NoPictureError("is not there any more")
        if path.stat().st_size > MOST_BYTES:
            raise _NoPictureError(f"is too large to be shown: more than {MOST_BYTES:,} bytes")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise _NoPictureError("cannot be read") from error
    if found != report.output.sha256:
        raise _NoPictureError("is another file by now: its SHA-256 differs")
    return path


def _values(report: RunReport, path: Path) -> torch.Tensor:
    """The result from 0 to 1, of the shape that the report says."""
    readers = {".png": _png, ".npy": _npy, ".safetensors": _safetensors}
    reader = readers.get(path.suffix)
    if reader is None:
        raise _NoPictureError(f"is none of {', '.join(readers)}")
    try:
        values = reader(path)
    except Exception as error:  # what libraries raise for damaged files is as varied as the damage
        raise _NoPictureError("cannot be read as what its name says") from error
    if tuple(values.shape) != report.shape or not values.is_floating_point():
        raise _NoPictureError("holds no result of the shape that the report says")
    return values


def _png(path: Path) -> torch.Tensor:
    import numpy
    import torch
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as image:
            pixels = torch.from_numpy(numpy.array(image))
    return (pixels if pixels.dim() == 3 else pixels[..., None])[None].float() / 255


def _npy(path: Path) -> torch.Tensor:
    import numpy
    import torch

    return torch.from_numpy(numpy.load(path, allow_pickle=False))


def _safetensors(path: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    values: torch.Tensor = load_file(path)["values"]
    return values
