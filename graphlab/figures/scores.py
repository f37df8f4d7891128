"""Closed form of the memory that similarity matrices take: what attention with its scores in memory keeps.

One self attention over N positions and one cross attention over T text tokens keep N (N + T) scores a head and sample;
summed over the attentions of a U-Net, a_n pairs with h_n heads at level n,

    M = itemsize * B * sum_n a_n * h_n * N_n * (N_n + T).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from graphlab.graph import DTYPE_BYTES
from graphlab.kernels.data import Attention, StageCall


@dataclass(frozen=True, slots=True)
class Level:
    """Attentions of one call with the same `positions` N (queries), `heads` and `batch`.

    `selfs` of them attend over the positions themselves, `crosses` {key tokens: how many} over anything else.
    """

    batch: int
    heads: int
    positions: int
    selfs: int
    crosses: tuple[tuple[int, int], ...]

    @property
    def text(self) -> int | None:
        """T, where every self attention is paired with one cross attention and all of them see as many keys."""
        paired = len(self.crosses) == 1 and self.crosses[0][1] == self.selfs
        return self.crosses[0][0] if paired else None

    @property
    def scores(self) -> int:
        """Scores of one head of one sample: a N (N + T) of pairs, else N times the keys of each."""
        if self.text is not None:
            return self.selfs * self.positions * (self.positions + self.text)
        return self.own_scores + sum(self.positions * keys * count for keys, count in self.crosses)

    @property
    def own_scores(self) -> int:
        """Of them, those of self attention."""
        return self.selfs * self.positions**2

    @property
    def lead(self) -> int:
        """Matrices an attention keeps: batch times heads."""
        return self.batch * self.heads


def levels(attentions: Iterable[Attention]) -> tuple[Level, ...]:
    """The levels of a call, most positions first."""
    selfs: Counter[tuple[int, int, int]] = Counter()
    crosses: dict[tuple[int, int, int], Counter[int]] = {}
    for item in attentions:
        key = (item.q, item.heads, item.batch)
        crosses.setdefault(key, Counter())
        if item.kind == "self" and item.kv == item.q:
            selfs[key] += 1
        else:
            crosses[key][item.kv] += 1
    return tuple(
        Level(batch, heads, positions, selfs[positions, heads, batch], tuple(sorted(found.items())))
        for (positions, heads, batch), found in sorted(crosses.items(), reverse=True)
    )


@dataclass(frozen=True, slots=True)
class ScoreMemory:
    """Bytes of all similarity matrices of one call: `closed` by the closed form, `traced` as captured.

    `per_head` is one head of one sample (of one frame, where frames are a batch); `own` and `other` are self
    attention's and the rest; `largest` is the largest that one attention keeps at a time.
    """

    levels: tuple[Level, ...]
    itemsize: int
    traced: int

    @property
    def closed(self) -> int:
        """The closed form."""
        return self.itemsize * sum(level.lead * level.scores for level in self.levels)

    @property
    def per_head(self) -> int:
        """The closed form for one head of one sample."""
        return self.itemsize * sum(level.scores for level in self.levels)

    @property
    def own(self) -> int:
        """Of `closed`, the part of self attention, which grows with the square of the positions."""
        return self.itemsize * sum(level.lead * level.own_scores for level in self.levels)

    @property
    def largest(self) -> int:
        """What the largest attention keeps: the sum is over layers and never there at once."""
        return self.itemsize * max(
            (level.lead * level.positions * _most_keys(level) for level in self.levels), default=0
        )


def score_memory_of(call: StageCall) -> ScoreMemory:
    """The similarity matrices of `call`, in its dtype."""
    return ScoreMemory(levels(call.attention_calls), DTYPE_BYTES[call.dtype], call.score_bytes)


def _most_keys(level: Level) -> int:
    return max([level.positions if level.selfs else 0, *(keys for keys, _ in level.crosses)])
