"""Reading a table between its points: rates are interpolated, in logarithms of sizes and of rates alike."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from graphlab.calibration.data import CLASSES, Table


class Grid:
    """A `Table` completed to a full grid. Work is the product of the sizes, those in CLASSES aside; a rate is work a
    second.

    Sizes that were too large to measure take the best rate of their next smaller neighbours.
    """

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self._axes = [sorted({sizes[i] for sizes in table.points}) for i in range(len(table.axes))]
        self._logs = [[math.log(size) for size in axis] for axis in self._axes]
        self._first = 1 if table.axes[0] in CLASSES else 0
        self._rates = _completed(self._axes, table.points, self._first)

    def seconds(self, sizes: Sequence[float]) -> float:
        """Seconds of one call at `sizes`, in the order of the table's axes.

        Exact at a measured point. Between points log(rate) is multilinear in log(size). Larger than the grid: the
        rate of its edge. Smaller: as long as at its edge, for a call costs what it costs however little it does.
        """
        raised = [max(size, axis[0]) for size, axis in zip(sizes, self._axes, strict=True)]
        corners = [self._sides(i, size) for i, size in enumerate(raised)]
        logarithm = 0.0
        for corner in product(*corners):
            weight = math.prod(share for _, share in corner)
            if weight:
                logarithm += weight * self._rates[tuple(index for index, _ in corner)]
        return math.exp(sum(map(math.log, raised[self._first :])) - logarithm)

    def _sides(self, axis: int, size: float) -> tuple[tuple[int, float], ...]:
        """((index of a grid size, its weight), ...) of the one or two grid sizes around `size`."""
        known = self._axes[axis]
        above = bisect_right(known, size)
        if above == len(known):
            return ((above - 1, 1.0),)
        low, high = self._logs[axis][above - 1 : above + 1]
        share = (math.log(size) - low) / (high - low)
        return ((above - 1, 1.0 - share), (above, share))


def _completed(
    axes: Sequence[Sequence[int]], points: Mapping[tuple[int, ...], float], first: int
) -> dict[tuple[int, ...], float]:
    """{indices: log(rate)} of every grid point; work is the product of the sizes from number `first` on."""
    rates: dict[tuple[int, ...], float] = {}
    for indices in product(*(range(len(axis)) for axis in axes)):
        sizes = tuple(axis[i] for axis, i in zip(axes, indices, strict=True))
        if sizes in points:
            rates[indices] = sum(map(math.log, sizes[first:])) - math.log(points[sizes])
        else:
            rates[indices] = max(rates[lower] for lower in _lower(indices))
    return rates


def _lower(indices: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for axis, index in enumerate(indices):
        if index:
            yield (*indices[:axis], index - 1, *indices[axis + 1 :])


def gaps(points: Mapping[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """Grid points that are missing although a larger one is there: not too large, so left out by mistake."""
    if not points:
        return []
    axes = [sorted({sizes[i] for sizes in points}) for i in range(len(next(iter(points))))]
    missing = [sizes for sizes in product(*axes) if sizes not in points]
    return [sizes for sizes in missing if any(all(map(int.__ge__, known, sizes)) for known in points)]
