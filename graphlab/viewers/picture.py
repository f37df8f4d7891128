"""`Picture`: what `draw` makes, as text that can be kept, shown or written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graphlab.errors import GraphlabError
from graphlab.report.tables import Table
from graphlab.viewers.formats import overlay_path


class PictureError(GraphlabError):
    """A picture that cannot be written; what was there before is still there."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in one of FORMATS: `text` is the file, `overlays` {name: node data} go beside it.

    `tables` and `notes` are what the command line prints of it.
    """

    format: str
    text: str
    overlays: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def files(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """{path: text} of every file of the picture when it is kept at `path`."""
        place = os.fspath(path)
        return {place: self.text, **{overlay_path(place, name): text for name, text in self.overlays.items()}}

    def save(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Writes `files` and returns their paths; each is the old file or the whole new one. PictureError otherwise."""
        files = self.files(path)
        for name, text in files.items():
            _write(Path(name), text)
        return tuple(files)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        raise PictureError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
