"""What a rewrite did at one place, and what it left as it was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """One rewrite that was made.

    `values` are pairs (node name before, node name after) that compute the same value. `why` says in words what was
    recognised. `module` is the path of the module the value belongs to, `source` its "file.py:line"; "" if unknown.
    """

    pass_name: str
    values: tuple[tuple[str, str], ...]
    why: str
    module: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """A candidate that stayed as it was: its node, why, and where it comes from."""

    pass_name: str
    node: str
    why: str
    module: str = ""
    source: str = ""
