"""apply-weight-mask where weights are one memory: tied ones change together, neighbours are not saved along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from tests.passes.weight_masks import (
    X,
    case_of,
    contents,
    edit_of,
    refused,
    reloaded,
    rows_of,
    weights_of,
)

TABLE, AGAIN = "table.weight", "again.weight"


class Tied(nn.Module):
    """An embedding that is also the last layer, and two layers that are views of one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Linear(8, 8, bias=False)
        self.again = nn.Linear(8, 8, bias=False)
        self.again.weight = self.table.weight
        flat = torch.randn(2, 8, 8)
        self.left, self.right = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.left.weight, self.right.weight = nn.Parameter(flat[0]), nn.Parameter(flat[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.right(self.left(self.again(torch.sin(self.table(x)))))


@pytest.mark.parametrize("keys", [[TABLE], [AGAIN], [TABLE, AGAIN]], ids=["first", "second", "both"])
def test_tied_weights_change_together(tmp_path: Path, keys: list[str]) -> None:
    case = case_of(tmp_path, Tied())
    mask = torch.eye(8).bool()
    edited = edit_of({TABLE: case.state[TABLE]})[TABLE]
    result = case.run(case.write(dict.fromkeys(keys, mask), dict.fromkeys(keys, edited)))
    found = weights_of(result)
    expected = torch.where(mask, edited, case.state[TABLE])
    assert torch.equal(found[TABLE], expected)
    assert found[TABLE] is found[AGAIN]
    module = Tied().eval()
    module.load_state_dict({**case.state, TABLE: expected, AGAIN: expected})
    assert result.program.exported is not None
    assert torch.equal(result.program.exported.module()(X), module(X))
    assert set(rows_of(result)) == set(keys)


@pytest.mark.parametrize("what", ["mask", "values", "empty first", "empty second"])
def test_ties_do_not_break(tmp_path: Path, what: str) -> None:
    case = case_of(tmp_path, Tied())
    masks = {TABLE: torch.eye(8).bool(), AGAIN: torch.eye(8).bool()}
    edited = edit_of({TABLE: case.state[TABLE]})
    edited[AGAIN] = edited[TABLE] + (what == "values")
    if what != "values":
        masks[TABLE if what == "empty first" else AGAIN] = torch.zeros(8, 8).bool()
    masks[AGAIN][0, 1] = what == "mask"
    refused(case.write(masks, edited), case.program, "are one weight of the program, and their masks or edited values")


def test_another_view_of_the_same_memory(tmp_path: Path) -> None:
    module = Tied()
    module.again.weight = nn.Parameter(module.table.weight.detach().t())
    case = case_of(tmp_path, module)
    spec = case.write({TABLE: torch.eye(8).bool()}, edit_of(case.state))
    refused(spec, case.program, "again.weight is another view of the memory of table.weight")


class Cached(nn.Module):
    """A layer beside a constant that is the memory of its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False)
        self.kept = self.layer.weight.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + x @ self.kept


def test_a_constant_tied_to_a_weight_changes_with_it(tmp_path: Path) -> None:
    case = case_of(tmp_path, Cached())
    old = case.state["layer.weight"].clone()
    edited = edit_of(case.state)
    result = case.run(case.write({"layer.weight": torch.ones(8, 8).bool()}, edited))
    assert result.program.exported is not None
    new = edited["layer.weight"]
    torch.testing.assert_close(result.program.exported.module()(X), X @ new.t() + X @ new)
    after = contents(result.program, tmp_path / "after.pt2")
    assert [value for value in old.reshape(-1) if value.numpy().tobytes() in after] == []


def test_memory_beside_a_masked_weight_is_not_saved_with_it(tmp_path: Path) -> None:
    """torch saves the whole storage of a weight: the neighbour of a masked one must not bring the old values along."""
    case = case_of(tmp_path, Tied())
    key = "left.weight"
    old = case.state[key].clone()
    result = case.run(case.write({key: torch.ones(8, 8).bool()}, edit_of(case.state)))
    after = contents(result.program, tmp_path / "after.pt2")
    assert [value for value in old.reshape(-1) if value.numpy().tobytes() in after] == []
    assert torch.equal(weights_of(result)["right.weight"], case.state["right.weight"])
    assert {new.key for new in result.new_tensors} == {"left.weight", "right.weight"}
    again = reloaded(result.program, tmp_path / "again.pt2")
    assert again.exported is not None
    assert torch.equal(again.exported.state_dict["right.weight"], case.state["right.weight"])


@pytest.mark.filterwarnings("ignore:No complete tensor found in the group")
def test_ties_hold_after_a_program_was_saved(tmp_path: Path) -> None:
    case = case_of(tmp_path, Tied())
    spec = case.write({AGAIN: torch.ones(8, 8).bool()}, edit_of(case.state))
    result = graphlab.run_pass(spec, reloaded(case.program, tmp_path / "base.pt2"))
    after = contents(result.program, tmp_path / "after.pt2")
    assert [value for value in case.state[TABLE].reshape(-1) if value.numpy().tobytes() in after] == []
    assert torch.equal(weights_of(result)[TABLE], weights_of(result)[AGAIN])
