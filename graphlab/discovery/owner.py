"""Who a plug-in comes from, and the error of one that does not work."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab import __version__
from graphlab.errors import GraphlabError


class PluginError(GraphlabError):
    """A plug-in that cannot be imported, breaks its contract, or shares its name with another."""


class Stopped(Exception):
    """Code of others tried to end the process; the text says how."""


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """A distribution by name and version, or a user's file by its path as it was given (no version)."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} {self.version}"

    @property
    def built_in(self) -> bool:
        """Whether it is graphlab itself."""
        return self.name == GRAPHLAB.name


GRAPHLAB = Owner("graphlab", __version__)
"""The owner of everything built in."""


def reason_of(error: BaseException) -> str:
    """What `error` says, in one line of a readable length, with its type where that is not graphlab's own."""
    if isinstance(error, GraphlabError):
        return " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, KeyboardInterrupt):
        return "it raised KeyboardInterrupt"
    if isinstance(error, Stopped):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
