"""How far a loop of prologue, table and step is from the stage it was."""

from __future__ import annotations

from typing import Any

import graphlab.hoisting.loop


class Loop(graphlab.hoisting.loop.Loop):
    """A loop that says how large its errors are."""

    def errors(self) -> list[float]:
        """The largest relative error of the results at each of three timesteps."""
        return [
            max(_error(*pair) for place, pair in step.items() if place.name.startswith("result "))
            for step in self.steps()
        ]


def _error(expected: Any, found: Any) -> float:
    assert expected.isfinite().all()
    assert expected.shape == found.shape
    assert expected.dtype == found.dtype
    return float((expected - found).double().norm() / expected.double().norm())
