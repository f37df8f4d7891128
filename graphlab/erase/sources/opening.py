"""Opens a source: a base file, a base that comes with graphlab, or the folder of a pipeline."""

from __future__ import annotations

from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.sources.of_base import FILE, BaseSource
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.shipped import shipped
from graphlab.models.erase_bases import FIRST


def open_source(text: str, shape: tuple[int, int, int] | None = None) -> ErasureSource:
    """The model that `text` names; `shape` (channels, height, width) are latents other than the model's own.

    A path that is there is that file or folder; anything else is the name of a base that comes with graphlab.
    EraseError for what is neither, and for another shape than a base's, whose images have one size.
    """
    path = Path(text)
    if path.is_dir():
        from graphlab.erase.sources.of_pipeline import PipelineSource

        return PipelineSource.opened(path, shape)
    if path.is_file():
        found = BaseSource.opened(path, text)
    elif path.suffix or len(path.parts) != 1:
        raise EraseError(f"there is no file and no folder {text}")
    else:
        found = BaseSource(shipped(FIRST.get(text, text)), text)
    if shape is not None:
        found.check_shape(shape)
    return found


def open_erased_base(path: Path) -> Base:
    """The base that a run left: in a file, or in the folder of the run; EraseError for what is neither."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise EraseError(f"there is no erased base {file}")
    return load_base(file)
