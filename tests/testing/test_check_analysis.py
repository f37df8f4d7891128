"""check_analysis: a right analysis passes; each of its tests fails for one that is wrong in its way, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.testing import CheckFailed, check_analysis


class Two(nn.Module):
    """relu(linear(x)) of x (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))


X, OTHER = torch.randn(3, 4), torch.randn(5, 4)


@dataclass(frozen=True)
class Bytes:
    """A fact."""

    nbytes: int


@dataclass(frozen=True)
class OutputBytes(Analysis[dict[str, Bytes]]):
    """{call: bytes of its output}."""

    name: ClassVar[str] = "output-bytes"

    def run(self, given: AnalysisInput) -> dict[str, Bytes]:
        return {node.name: Bytes(node.out.nbytes) for node in given.graph.calls}


EXPECTED = {"linear": {"nbytes": 96}, "relu": {"nbytes": 96}}


def test_a_right_analysis_passes() -> None:
    facts = check_analysis(OutputBytes(), Two(), (X,), expected=EXPECTED, others=[(OTHER,)])
    assert facts["relu"] == Bytes(96)


def wrong(run: Callable[[AnalysisInput], Any], **fields: Any) -> Analysis[Any]:
    kind: Callable[[], Analysis[Any]] = type(
        "Wrong", (Analysis,), {"name": "wrong", "run": lambda self, given: run(given), **fields}
    )
    return kind()


TICKS = count()


def sizes(given: AnalysisInput) -> dict[str, int]:
    return {node.name: node.out.nbytes for node in given.graph.calls}


def changing(given: AnalysisInput) -> dict[str, int]:
    return {"relu": next(TICKS)}


def order(given: AnalysisInput) -> dict[str, int]:
    names = ["linear", "relu"]
    return dict.fromkeys(names if next(TICKS) % 2 else names[::-1], 1)


def breaking(given: AnalysisInput) -> dict[str, int]:
    given.graph.by_name.clear()
    return sizes(given)


def spoiling(given: AnalysisInput) -> dict[str, int]:
    given.result("cost").pop("relu")
    return sizes(given)


def strange(given: AnalysisInput) -> dict[str, int]:
    return {"relu": 1, "relu_7": 2}


def example(given: AnalysisInput) -> dict[str, int]:
    """Reads the example where it should read the graph."""
    return {node.name: node.out.nbytes for node in given.example.calls}


@pytest.mark.parametrize(
    ("run", "test", "message"),
    [
        (lambda given: {"relu": 1}, "facts", "they are others: .*'linear' is missing.*'relu' is 1, expected 96"),
        (changing, "facts", "they are others"),
        (breaking, "facts", "the analysis failed: .*wrong changed the graph it was given"),
        (spoiling, "facts", "the analysis failed: .*wrong changed the facts of cost"),
        (lambda given: None, "facts", "returned None, which is no fact"),
        (lambda given: {"relu": torch.ones(1)}, "facts", "no report can hold what it returned: relu is a Tensor"),
        (lambda given: 1 / 0, "facts", "ZeroDivisionError"),
    ],
    ids=["others", "changing", "breaking", "spoiling", "none", "tensor", "raises"],
)
def test_wrong_facts(run: Callable[[AnalysisInput], Any], test: str, message: str) -> None:
    with pytest.raises(CheckFailed, match=message) as failed:
        check_analysis(wrong(run), Two(), (X,), expected={"linear": 96, "relu": 96})
    assert failed.value.test == test


def test_chance() -> None:
    start = next(TICKS) + 1
    with pytest.raises(CheckFailed, match=r"deterministic: a second run gives other facts: 'relu' is"):
        check_analysis(wrong(changing), Two(), (X,), expected={"relu": start})
    with pytest.raises(CheckFailed, match=r"deterministic: a second run gives other facts; the order differs"):
        check_analysis(wrong(order), Two(), (X,), expected={"linear": 1, "relu": 1})


def test_state() -> None:
    class Counting(OutputBytes):
        seen = 0

        def __repr__(self) -> str:
            return f"Counting({self.seen})"

        def run(self, given: AnalysisInput) -> dict[str, Bytes]:
            object.__setattr__(self, "seen", self.seen + 1)
            return super().run(given)

    with pytest.raises(CheckFailed, match=r"it changed itself: Counting\(0\) is now Counting\(1\)"):
        check_analysis(Counting(), Two(), (X,), expected=EXPECTED)


def test_nodes_there_are_none_of() -> None:
    with pytest.raises(CheckFailed, match=r"nodes: the graph has no node 'relu_7' .pass by_node=False"):
        check_analysis(wrong(strange), Two(), (X,), expected={"relu": 1, "relu_7": 2})
    with pytest.raises(CheckFailed, match=r"nodes: the facts are a int, not a mapping"):
        check_analysis(wrong(lambda given: len(given.graph.calls)), Two(), (X,), expected=2)
    assert check_analysis(wrong(lambda given: 2), Two(), (X,), expected=2, by_node=False) == 2


@pytest.mark.parametrize("test", ["cached", "reloaded"])
def test_what_only_the_live_capture_knows(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An analysis that looks at the object behind the graph sees another one after saving and loading."""
    first: list[Any] = []

    def kept(given: AnalysisInput) -> dict[str, int]:
        first.append(given.graph.nodes[0].target)
        return {"relu": 96 if len(first) < {"cached": 3, "reloaded": 4}[test] else 0}

    with pytest.raises(CheckFailed, match=f"^{test}: .* gives other facts: 'relu' is 0, expected 96"):
        check_analysis(wrong(kept), Two(), (X,), expected={"relu": 96})


def test_sizes_that_are_not_read() -> None:
    expected = {"linear": 96, "relu": 96}
    with pytest.raises(
        CheckFailed, match=r"at float32 \(5, 4\): a capture at these sizes gives other facts: 'linear' is 160"
    ):
        check_analysis(wrong(example), Two(), (X,), expected=expected, others=[(OTHER,)])
    with pytest.raises(CheckFailed, match=r"an analysis that says it is not sized gives other facts"):
        check_analysis(wrong(sizes, sized=False), Two(), (X,), expected=expected, others=[(OTHER,)])


def test_sizes_the_capture_does_not_hold_for() -> None:
    with pytest.raises(CheckFailed, match=r"at float32 \(5, 6\): the capture does not hold there: x.d1 == 4"):
        check_analysis(OutputBytes(), Two(), (X,), expected=EXPECTED, others=[(torch.randn(5, 6),)])
    with pytest.raises(CheckFailed, match=r"these are not the arguments"):
        check_analysis(OutputBytes(), Two(), (X,), expected=EXPECTED, others=[(X, X)])


def test_what_is_no_analysis() -> None:
    with pytest.raises(CheckFailed, match=r"is no instance of graphlab.passes_base.Analysis"):
        check_analysis(OutputBytes, Two(), (X,), expected={})  # type: ignore[arg-type]  # the class, not an instance
