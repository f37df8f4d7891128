"""`new_pass`: writes the file of a new pass and that of its test."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from graphlab.errors import GraphlabError
from graphlab.plugins import registry

KINDS = ("analysis", "rewrite")
LONGEST = 30
"""Characters of a name, so that no line of what is written is too long."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class NewPassError(GraphlabError):
    """A pass that cannot be written: its name cannot be one, or is taken, or a file is in the way."""


@dataclass(frozen=True, slots=True)
class NewPass:
    """What was written: the pass, its class, and its test."""

    name: str
    kind: str
    cls: str
    file: Path
    test: Path

    @property
    def module(self) -> str:
        """The module that the file is."""
        return self.file.stem


def new_pass(name: str, kind: str, folder: Path) -> NewPass:
    """Writes a working pass called `name` and its test into `folder`, which is made where it is not there.

    NewPassError for a name that is no pass' name, is taken, or would hide a module, and for a file that is there
    already: nothing is overwritten.
    """
    if kind not in KINDS:
        raise NewPassError(f"there is no kind {kind!r} of new pass", hint=f"kinds: {', '.join(KINDS)}")
    _check_name(name)
    module = name.replace("-", "_")
    made = NewPass(name, kind, _class_name(name), folder / f"{module}.py", folder / f"test_{module}.py")
    _check_place(made, folder)
    texts = {made.file: _text(f"{kind}.py.txt", made), made.test: _text(f"test_{kind}.py.txt", made)}
    written: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise NewPassError(f"cannot write into {folder}: {error.strerror or error}") from error
    return made


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise NewPassError(
            f"{name!r} cannot be the name of a pass",
            hint=f"lower-case words joined by '-', as in fuse-gelu, of at most {LONGEST} characters",
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise NewPassError(f"{name!r} cannot be the name of a pass: it is a word of Python")
    if name.startswith("test-") or name == "test":
        raise NewPassError(f"{name!r} cannot be the name of a pass: its file would be taken for a test")
    known = registry()
    owners = [str(item.owner) for item in known.entries.values() if item.name == name]
    owners += [str(item.owner) for item in known.broken if item.name == name]
    if owners:
        raise NewPassError(f"a pass called {name!r} is there already, of {owners[0]}", hint="choose another name")


def _check_place(made: NewPass, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NewPassError(f"cannot write into {folder}: it is a file")
    if not folder.exists() and not folder.resolve().parent.is_dir():
        raise NewPassError(f"cannot write into {folder}: there is no folder {folder.resolve().parent}")
    for path in (made.file, made.test):
        if path.exists() or path.is_symlink():
            raise NewPassError(f"{path} is there already", hint="nothing was written; choose another name or -o FOLDER")
    if made.module in sys.stdlib_module_names or importlib.util.find_spec(made.module) is not None:
        raise NewPassError(
            f"{made.name!r} cannot be the name of a pass: the module {made.module} is another one",
            hint="its test could not import it",
        )


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _text(template: str, made: NewPass) -> str:
    text = (files("graphlab.scaffold") / template).read_text(encoding="utf-8")
    return Template(text).substitute(name=made.name, cls=made.cls, module=made.module)
