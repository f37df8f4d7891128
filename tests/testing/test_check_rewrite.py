"""check_rewrite: a right pass passes; each of the four tests fails for one that is wrong in its way, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from graphlab.errors import GraphlabError
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Peephole, Rewrite
from graphlab.testing import CheckFailed, NearMiss, check_rewrite

aten = torch.ops.aten


class Twice(nn.Module):
    """relu(relu(linear(x))) + 1 of x (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.relu(self.linear(x))) + 1


class Once(Twice):
    """A relu of no relu."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x)) + 1


@dataclass(frozen=True)
class Drop(Peephole):
    """Takes out a relu of a relu."""

    name: ClassVar[str] = "drop"
    targets: ClassVar[tuple[Any, ...]] = (aten.relu.default,)
    why: ClassVar[str] = "a relu of a relu"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        inner = node.args[0]
        assert isinstance(inner, torch.fx.Node)
        return inner if inner.target is aten.relu.default else "what it reads is no relu"


BEFORE = """
    linear = aten.linear(x, p_linear_weight, p_linear_bias)
    relu = aten.relu(linear)
    relu_1 = aten.relu(relu)
    add = aten.add(relu_1, 1)
    return add
"""
AFTER = """
    linear = aten.linear(x, p_linear_weight, p_linear_bias)
    relu = aten.relu(linear)
    add = aten.add(relu, 1)
    return add
"""
X, OTHER = torch.randn(3, 4), torch.randn(5, 4)


def near(why: str = "no relu", module: nn.Module | None = None) -> NearMiss:
    return NearMiss("one relu", module or Once(), (X,), why)


def check(rewrite: Any, **changed: Any) -> Any:
    question: dict[str, Any] = {"before": BEFORE, "after": AFTER, "near_misses": [near()], **changed}
    return check_rewrite(rewrite, question.pop("module", Twice()), question.pop("args", (X,)), **question)


def test_a_right_pass_passes() -> None:
    result = check(Drop())
    assert [change.why for change in result.changes] == ["a relu of a relu"]


def test_a_right_pass_passes_at_every_size() -> None:
    assert check(Drop(), others=[(OTHER,)]).program.graph.symbols


def wrong(name: str, apply: Callable[[Draft], None], **fields: Any) -> Rewrite:
    """A rewrite that is wrong in the way `apply` is."""
    kind: Callable[[], Rewrite] = type(
        name, (Rewrite,), {"name": name, "apply": lambda self, draft: apply(draft), **fields}
    )
    return kind()


def doubled(draft: Draft) -> list[torch.fx.Node]:
    """The relus of relus."""
    nodes = draft.calls(aten.relu.default)
    return [n for n in nodes if isinstance(n.args[0], torch.fx.Node) and n.args[0].target is aten.relu.default]


def skipping(draft: Draft) -> None:
    for node in draft.calls(aten.relu.default):
        draft.skip(node, "what it reads is no relu")


def blind(draft: Draft) -> None:
    """Sees nothing."""


def nearly(draft: Draft) -> None:
    """The inner relu, and as good as the same number."""
    skipping(draft)
    for node in doubled(draft):
        new = draft.call(aten.mul.Tensor, node.args[0], 1.0001, at=node)
        draft.replace(node, new, "nearly")


def too_eager(draft: Draft) -> None:
    """Drops every relu: wrong for one that reads no relu."""
    for node in draft.calls(aten.relu.default):
        inner = node.args[0]
        assert isinstance(inner, torch.fx.Node)
        draft.replace(node, inner, "a relu")


def growing(draft: Draft) -> None:
    """Right numbers, and something to do for ever: another relu around the outer one."""
    skipping(draft)
    for node in doubled(draft)[-1:]:
        new = draft.call(aten.relu.default, node.args[0], at=node)
        draft.replace(node, draft.call(aten.relu.default, new, at=node), "one more")


def writing(draft: Draft) -> None:
    """Writes into the weights that it shares."""
    Drop().apply(draft)
    with torch.no_grad():
        draft.state["linear.bias"].add_(1)


def failing(draft: Draft) -> None:
    raise KeyError("no such thing")


def resized(draft: Draft) -> None:
    for node in doubled(draft):
        draft.replace(node, draft.call(aten.unsqueeze.default, node.args[0], 0, at=node), "larger")


@pytest.mark.parametrize(
    ("apply", "test", "message"),
    [
        (blind, "fires", "nothing changed .and no candidate was seen"),
        (skipping, "fires", "nothing changed .relu: what it reads is no relu"),
        (nearly, "fires", r"the program after is another one .*\n.*- +add = aten.add\(relu, 1\)|the program after"),
        (writing, "fires", "the weight linear.bias was written into"),
        (failing, "fires", "the rewrite failed: .*KeyError: 'no such thing'"),
        (resized, "fires", "the rewrite failed: .*float32"),
    ],
    ids=lambda value: getattr(value, "__name__", "")[:20],
)
def test_what_does_not_fire_as_said(apply: Callable[[Draft], None], test: str, message: str) -> None:
    with pytest.raises(CheckFailed, match=message) as failed:
        check(wrong("wrong", apply))
    assert failed.value.test == test


def test_another_program_before() -> None:
    with pytest.raises(CheckFailed, match=r"fires: the program before is another one(?s:.*)- relu_2(?s:.*)\+ relu_1"):
        check(Drop(), before=BEFORE.replace("relu_1", "relu_2"))


def test_what_fires_on_a_near_miss() -> None:
    after = AFTER.replace("    relu = aten.relu(linear)\n", "").replace("relu", "linear")
    with pytest.raises(
        CheckFailed, match=r"near-miss one relu: it was rewritten: a relu .expected that it stays: no relu"
    ):
        check(wrong("wrong", too_eager), after=after)


def test_what_stays_for_another_reason_or_for_none() -> None:
    with pytest.raises(CheckFailed, match=r"near-miss one relu: .*expected 'a mask', the rewrite says: what it reads"):
        check(Drop(), near_misses=[near("a mask")])
    with pytest.raises(CheckFailed, match=r"the rewrite says: nothing"):
        check(Drop(), near_misses=[near(module=nn.Linear(4, 4))])


def test_numbers_that_are_nearly_the_same() -> None:
    after = AFTER.replace("(relu, 1)", "(mul_tensor, 1)").replace(
        "    add", "    mul_tensor = aten.mul(relu, 1.0001)\n    add"
    )
    with pytest.raises(
        CheckFailed, match=r"same numbers: at float32 \(3, 4\): result 0 differs by up to .*, allowed 0"
    ):
        check(wrong("wrong", nearly), after=after)
    with pytest.raises(CheckFailed, match=r"same numbers: with drawn weights: .*wrong broke relu_1"):
        check(wrong("wrong", nearly), after=after, tolerance=0.1)  # drawn weights are compared all the same


def test_a_second_run_that_goes_on() -> None:
    after = AFTER.replace(
        "    add", "    relu_default = aten.relu(relu)\n    relu_default_1 = aten.relu(relu_default)\n    add"
    )
    with pytest.raises(CheckFailed, match=r"second run: it changes its own result: one more"):
        check(wrong("wrong", growing), after=after.replace("(relu, 1)", "(relu_default_1, 1)"))


def unbiased(draft: Draft) -> None:
    """Means to change values: takes the bias away, once."""
    skipping(draft)
    (node,) = (n for n in draft.graph.find_nodes(op="placeholder") if draft.weight_key(n) == "linear.bias")
    weight = draft.weight(node)
    assert weight is not None
    if doubled(draft) and bool(weight.any()):
        draft.set_weights(["linear.bias"], lambda tensors: torch.zeros_like(tensors["linear.bias"]), "no bias")


def test_a_rewrite_that_means_to_change_values_says_to_what() -> None:
    inexact = wrong("unbiased", unbiased, exact=False)
    module = Twice()
    with pytest.raises(CheckFailed, match=r"same numbers: the rewrite means to change values .say with expected="):
        check(inexact, module=module, after=BEFORE)

    def expected(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ module.linear.weight.T) + 1

    check(inexact, module=module, after=BEFORE, expected=expected, tolerance=1e-6)
    with pytest.raises(CheckFailed, match=r"same numbers: at float32 \(3, 4\): result 0 differs"):
        check(inexact, module=module, after=BEFORE, expected=module)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"near_misses": []}, "near-misses: there is none"),
        ({"near_misses": [near("")]}, "near-miss one relu: its reason is empty"),
        ({"args": (torch.randn(2, 5),)}, "the call: the module cannot be captured"),
    ],
    ids=["none", "empty", "shapes"],
)
def test_a_question_that_asks_nothing(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check(Drop(), **changed)


def test_what_is_no_rewrite() -> None:
    with pytest.raises(CheckFailed, match=r"a ABCMeta is no instance"):
        check(Drop)


def test_a_failure_is_an_assertion_and_an_error_of_graphlab() -> None:
    assert issubclass(CheckFailed, AssertionError)
    assert issubclass(CheckFailed, GraphlabError)
