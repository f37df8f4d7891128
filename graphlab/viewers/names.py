"""Names of strangers in formats of strangers: ids that no viewer trips over, and text without control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")

_RESERVED = frozenset(
    (
        "constructor", "hasownproperty", "isprototypeof", "propertyisenumerable", "tolocalestring", "tostring",
        "valueof", "node", "edge", "graph", "digraph", "subgraph", "strict",
    )
)  # fmt: skip
"""What every object of JavaScript has (viewers keep nodes in plain objects), and the words of DOT, in lower case."""


def shown(text: str) -> str:
    """`text` with what cannot be printed written as an escape: line breaks, control and direction marks, surrogates."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def unique_ids(names: Iterable[str], taken: Iterable[str] = (), other: str = "node") -> list[str]:
    """An id for each of `names`, all different and none of `taken`: the name itself where it is plain and new.

    Any other gets `other` and its place. Ids differ in more than case.
    """
    listed = list(names)
    used = {name.lower() for name in taken}
    found: list[str | None] = []
    for name in listed:
        free = is_plain(name) and name.lower() not in used
        used |= {name.lower()} if free else set()
        found.append(name if free else None)
    return [name if name is not None else _made(other, place, used) for place, name in enumerate(found)]


def is_plain(name: str) -> bool:
    """Whether `name` can be an id everywhere: letters, digits, dots and dashes, and no word that means something."""
    return bool(_PLAIN.fullmatch(name)) and "__" not in name and name.lower() not in _RESERVED


def _made(other: str, place: int, used: set[str]) -> str:
    made, again = f"{other}-{place}", 1
    while made.lower() in used:
        made, again = f"{other}-{place}-{again}", again + 1
    used.add(made.lower())
    return made


def short_op(op: str) -> str:
    """ "conv2d" of "aten.conv2d.default"."""
    parts = op.split(".")
    return parts[1] if len(parts) > 1 and parts[1] else op


def namespace(modules: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """A label a level of a module stack: the path below the level above it, with the class: "attn1 (Attention)"."""
    labels, above = [], ""
    for path, kind in modules:
        inside = path.removeprefix(f"{above}.") if above and path.startswith(f"{above}.") else path
        labels.append(f"{inside} ({kind})" if inside and kind else inside or kind or "module")
        above = path
    return tuple(map(shown, labels))
