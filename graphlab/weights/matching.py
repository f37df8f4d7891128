"""How a file spells the keys of a program: under the same names, or with other words in front of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphlab.names import nearest
from graphlab.weights.errors import WeightsError

# What diffusers called the projections of its attention before 0.12; it still reads them so.
_OLD_ATTENTION = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
_MOST_PLACES = 16
"""Keys that end alike in more places than this say nothing about what stands before them."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A key of the program is `own` + rest, the file calls it `stored` + rest; other keys are called alike."""

    own: str
    stored: str
    names: Collection[str] = field(repr=False)

    def spelt(self, key: str) -> str:
        """What the file would call `key`."""
        return self.stored + key.removeprefix(self.own) if key.startswith(self.own) else key

    def find(self, key: str) -> str | None:
        """The file's name of `key`, an older one of diffusers too; None when it has none."""
        wanted = self.spelt(key)
        if wanted in self.names:
            return wanted
        if ".attentions." not in f".{wanted}":
            return None
        for new, old in _OLD_ATTENTION:
            older = re.sub(rf"\.{re.escape(new)}\.(weight|bias)$", rf".{old}.\1", wanted)
            if older != wanted and older in self.names:
                return older
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """How names differ, in words."""
        if self.own == self.stored:
            return ()
        return (f"the file's names begin with {self.stored!r} where the program's begin with {self.own!r}",)


def spelling(keys: Sequence[str], names: Collection[str], what: str, stage: str) -> Spelling:
    """The Spelling under which the most of `keys` are among `names`, the keys of the file `what`.

    WeightsError when none is, or several fit equally well and none is that of the program.
    """
    if not keys or all(key in names for key in keys):
        return Spelling("", "", names)
    counted = {pair: _fitting(keys, names, *pair) for pair in (("", ""), *_candidates(keys, names))}
    best = max(counted.values())
    if not best:
        raise WeightsError(
            f"{what} holds none of the weights of {stage}: it has {_shown(names)}, expected {_shown(keys)}",
            hint=nearest(keys[0], names).strip() or "convert it with the library that has the model's class",
        )
    winners = [pair for pair, count in counted.items() if count == best]
    shortest = min(len(own) for own, _ in winners)
    winners = sorted(pair for pair in winners if len(pair[0]) == shortest)
    if ("", "") in winners:
        return Spelling("", "", names)
    if len(winners) > 1:
        prefixes = ", ".join(prefix or "(none)" for _, prefix in winners)
        raise WeightsError(
            f"{what} holds the weights of {stage} under several prefixes: {prefixes}",
            hint="give a file with the weights of one model",
        )
    return Spelling(*winners[0], names)


def _fitting(keys: Sequence[str], names: Collection[str], own: str, stored: str) -> int:
    found = Spelling(own, stored, names)
    return sum(found.spelt(key) in names for key in keys)


def _candidates(keys: Sequence[str], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """(prefix of the program, prefix of the file) pairs that the longest common ends of keys suggest, best first."""
    places: Mapping[str, list[str]] = _by_end(names)
    votes: Counter[tuple[str, str]] = Counter()
    for key in keys:
        for end in _ends(key):
            found = places.get(end, [])
            if found and "." in end and len(found) <= _MOST_PLACES:
                votes.update((key.removesuffix(end), name.removesuffix(end)) for name in found)
            if found:
                break
    for pair, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0]))[:_MOST_PLACES]:
        if pair != ("", ""):
            yield pair


def _by_end(names: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        for end in _ends(name):
            found.setdefault(end, []).append(name)
    return found


def _ends(key: str) -> Iterator[str]:
    """`key`, then it without its first word, without its first two, ..."""
    yield key
    at = key.find(".")
    while at >= 0:
        yield key[at + 1 :]
        at = key.find(".", at + 1)


def _shown(keys: Collection[str]) -> str:
    return ", ".join(list(keys)[:2]) + (", ..." if len(keys) > 2 else "")
