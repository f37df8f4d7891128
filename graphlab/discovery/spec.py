"""What users write for a plug-in: "NAME[,KEY=VALUE]..." or "path/file.py:CLASS[,KEY=VALUE]..."."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"(?P<path>.*?\.py)(?::(?P<member>[^,]*))?(?:,(?P<rest>.*))?", re.DOTALL)
_NAMED = re.compile(r"(?![^,]*\.py(:[^,]*)?,)[^,/\\]*,[^,=]*=")
"""A name, no file, with a first option: what follows is an option's value, even where that is a path."""


@dataclass(frozen=True, slots=True)
class Spec:
    """`name` of an installed plug-in, or `member` of the file `path`; `settings` are the "KEY=VALUE" texts after it.

    `member` is "" where a file is given without one.
    """

    name: str
    settings: tuple[str, ...] = ()
    path: Path | None = None
    member: str = ""


def parse_spec(text: str) -> Spec:
    """The parts of `text`; nothing is looked up. A path may hold commas and colons; a name may not."""
    found = _FILE.fullmatch(text)
    if found is not None and found["path"].strip() and not (_NAMED.match(text) and not Path(found["path"]).is_file()):
        rest = found["rest"]
        member = (found["member"] or "").strip()
        settings = tuple(rest.split(",")) if rest is not None else ()
        return Spec(f"{found['path']}:{member}", settings, Path(found["path"].strip()), member)
    name, *settings_list = text.split(",")
    return Spec(name.strip(), tuple(settings_list))
