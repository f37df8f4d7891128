"""apply-weight-mask: fires, refuses, gives the merged model's numbers, stays the second time, leaks nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import graphlab
from graphlab.errors import GraphlabError
from graphlab.masks import MaskRow, read_mask, write_mask
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import OptionError
from graphlab.rewriting.pipeline import rewrite_from, run_passes
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.module import capture
from tests.passes.weight_masks import (
    Case,
    X,
    case_of,
    contents,
    edit_of,
    masks_of,
    refused,
    reloaded,
    rows_of,
    weights_of,
)


class Net(nn.Module):
    """Two layers and a norm, so that there are parameters, buffers and a tensor that is no weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4, bias=False)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x)))) * self.scale


@pytest.fixture
def case(tmp_path: Path) -> Case:
    torch.manual_seed(0)
    return case_of(tmp_path, Net())


# It fires


def test_masked_entries_are_the_edited_ones_and_all_others_stay(case: Case) -> None:
    before = {key: value.clone() for key, value in case.state.items()}
    masks, edited = masks_of(case.state), edit_of(case.state)
    result = case.run(case.write(masks, edited))
    for key, value in weights_of(result).items():
        assert torch.equal(value, torch.where(masks[key], edited[key], before[key])), key
        assert torch.equal(case.state[key], before[key]), key
    assert result.modified
    assert result.dropped == ()


def test_the_graph_stays_and_the_numbers_are_those_of_the_merged_model(case: Case) -> None:
    masks, edited = masks_of(case.state), edit_of(case.state)
    result = case.run(case.write(masks, edited))
    assert [node.name for node in result.program.graph.nodes] == [node.name for node in case.program.graph.nodes]
    merged = Net().eval()
    merged.load_state_dict({k: torch.where(masks[k], edited[k], v) for k, v in case.state.items()})
    assert result.program.exported is not None
    assert torch.equal(result.program.exported.module()(X), merged(X))
    assert not torch.equal(merged(X), case.module(X))


def test_only_weights_with_set_entries_are_new(case: Case) -> None:
    masks = {"first.weight": torch.zeros(16, 8).bool(), "first.bias": torch.zeros(16).bool()}
    masks["first.weight"][2, 3] = True
    result = case.run(case.write(masks, edit_of(case.state)))
    assert [(new.key, new.nbytes, new.origins) for new in result.new_tensors] == [
        ("first.weight", 16 * 8 * 4, ("first.weight",))
    ]
    before = case.program.exported
    assert before is not None
    for key, value in weights_of(result).items():
        assert (value is before.state_dict[key]) == (key != "first.weight"), key
    assert isinstance(weights_of(result)["first.weight"], nn.Parameter)
    (change,) = result.changes
    assert (change.values, change.module) == ((("p_first_weight", "p_first_weight"),), "first")
    assert change.why == "1 of 128 entries from edited.safetensors"


def test_rows_by_hand(case: Case) -> None:
    masks = {"first.weight": torch.zeros(16, 8).bool(), "first.bias": torch.zeros(16).bool()}
    masks["first.weight"][0, :3] = True
    edited = {"first.weight": case.state["first.weight"].clone()}
    edited["first.weight"][0, 0] = 5.0
    edited["first.weight"][0, 1] = 3.0
    edited["first.weight"][9, 0] = 7.0  # not masked: without effect, and said
    rows = rows_of(case.run(case.write(masks, edited)))
    largest = max(abs(float(case.state["first.weight"][0, i]) - value) for i, value in ((0, 5.0), (1, 3.0)))
    assert rows["first.weight"] == MaskRow("first.weight", (16, 8), 3, 128, 3 / 128, 2, largest, 1)
    assert rows["first.bias"] == MaskRow("first.bias", (16,), 0, 16, 0.0, 0, 0.0, None)


def test_names_behind_a_prefix_and_folders(case: Case) -> None:
    masks, edited = masks_of(case.state), edit_of(case.state)
    plain = weights_of(case.run(case.write(masks, edited)))
    case.write(masks, edited, "p", prefix="unet.")
    folder = case.folder / "unet"
    folder.mkdir()
    (case.folder / "editedp.safetensors").rename(folder / "model.safetensors")
    spec = f"apply-weight-mask,mask={case.folder / 'maskp.safetensors'},weights={folder}"
    assert all(torch.equal(plain[key], value) for key, value in weights_of(case.run(spec)).items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_other_dtypes(tmp_path: Path, dtype: torch.dtype) -> None:
    module = nn.Linear(8, 4).to(dtype)
    case = Case(tmp_path, module, capture(module, (X.to(dtype),)))
    masks, edited = masks_of(case.state), edit_of(case.state)
    found = weights_of(case.run(case.write(masks, edited)))
    assert all(torch.equal(found[k], torch.where(masks[k], edited[k], v)) for k, v in case.state.items())
    assert found["weight"].dtype is dtype


def test_strides_stay(tmp_path: Path) -> None:
    module = nn.Conv2d(8, 4, 3).to(memory_format=torch.channels_last).eval()
    case = Case(tmp_path, module, capture(module, (torch.randn(2, 8, 6, 6),)))
    result = case.run(case.write(masks_of(case.state), edit_of(case.state)))
    assert weights_of(result)["weight"].stride() == module.weight.stride() != (72, 9, 3, 1)


# It does not fire


def test_an_edit_that_changed_nothing_changes_nothing(case: Case) -> None:
    result = case.run(case.write(masks_of(case.state), case.state))
    assert not result.modified
    assert result.new_tensors == ()
    assert result.program.history == ()
    assert all(row.changed_entries == 0 for row in rows_of(result).values())


def test_a_second_run_changes_nothing(case: Case) -> None:
    spec = case.write(masks_of(case.state), edit_of(case.state))
    first = case.run(spec)
    again = graphlab.run_pass(spec, first.program)
    assert not again.modified
    assert again.program.history == first.program.history
    saved = graphlab.run_pass(spec, reloaded(first.program, case.folder / "p.pt2"))
    assert not saved.modified


def test_a_pipeline_comes_to_rest(case: Case) -> None:
    spec = case.write(masks_of(case.state), edit_of(case.state))
    result = run_passes(case.program, [rewrite_from("eliminate-dead"), rewrite_from(spec)])
    assert all(torch.equal(weights_of(result)[k], v) for k, v in weights_of(case.run(spec)).items())
    assert len(result.program.history) == 1


def test_a_second_mask_made_for_the_result_of_the_first(case: Case) -> None:
    state = case.state
    first = case.write(masks_of(state), edit_of(state), "1")
    between = {key: value.detach().clone() for key, value in weights_of(case.run(first)).items()}
    second = Case(case.folder, loaded(between), case.program).write(masks_of(state, 0.6), edit_of(state, 7), "2")
    one = graphlab.run_pass(second, case.run(first).program)
    both = run_passes(case.program, [rewrite_from(first), rewrite_from(second)])
    masks, edited = masks_of(state, 0.6), edit_of(state, 7)
    for key, value in between.items():
        expected = torch.where(masks[key], edited[key], value)
        assert torch.equal(weights_of(one)[key], expected)
        assert torch.equal(weights_of(both)[key], expected)
    made = {new.key: new.make for new in both.new_tensors}
    assert torch.equal(made["last.weight"]({"last.weight": state["last.weight"]}), weights_of(both)["last.weight"])
    with pytest.raises(GraphlabError, match="for another base"):
        case.run(second)


def loaded(state: Mapping[str, torch.Tensor]) -> nn.Module:
    module = Net().eval()
    module.load_state_dict(state)
    return module


# Before any rewrite that changes weights


@dataclass(frozen=True)
class Doubled(Rewrite):
    """Reads a new weight, twice the old one halved: stands for every pass that folds or fuses weights."""

    name: ClassVar[str] = "doubled"

    def apply(self, draft: Draft) -> None:
        for node in draft.calls(torch.ops.aten.linear.default):
            weight = node.args[1]
            if draft.weight_key(weight) == "last.weight":
                new = draft.add_weight("doubled", ["last.weight"], lambda made: made["last.weight"] * 2)
                half = draft.call(torch.ops.aten.linear.default, node.args[0], new, at=node)
                draft.replace(node, draft.call(torch.ops.aten.mul.Tensor, half, 0.5, at=node), "doubled")


def test_after_a_pass_that_changed_weights(case: Case) -> None:
    masks = {"first.weight": torch.ones(16, 8).bool()}  # a weight the other pass left alone
    spec = case.write(masks, edit_of(case.state))
    words = "must come before every rewrite that changes weights, and doubled has run"
    changed = Doubled().run(case.program).program
    refused(spec, changed, words)
    refused(spec, reloaded(changed, case.folder / "changed.pt2"), words)
    cleaned = graphlab.run_pass("eliminate-dead", changed).program
    refused(spec, cleaned, words)
    in_order = run_passes(case.program, [Doubled(), rewrite_from(spec)])  # a pipeline runs masks first by itself
    assert [change.pass_name for change in in_order.changes] == ["apply-weight-mask", "doubled"]


def test_before_a_pass_that_changes_weights(case: Case) -> None:
    masks, edited = masks_of(case.state), edit_of(case.state)
    result = run_passes(case.program, [rewrite_from(case.write(masks, edited)), Doubled()])
    merged = torch.where(masks["last.weight"], edited["last.weight"], case.state["last.weight"])
    assert torch.equal(weights_of(result)["doubled"], 2 * merged)
    assert result.dropped == ("last.weight",)
    assert [entry.partition(",")[0].partition(";")[0] for entry in result.program.history] == [
        "apply-weight-mask",
        "doubled",
    ]


def test_after_a_pass_that_only_cleans(case: Case) -> None:
    class Unread(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.sin(x)
            return super().forward(x)

    module = Unread().eval()
    module.load_state_dict(case.state)
    cleaned = graphlab.run_pass("eliminate-dead", capture(module, (X,)))
    assert cleaned.modified
    assert graphlab.run_pass(case.write(masks_of(case.state), edit_of(case.state)), cleaned.program).modified


# Another base


def test_a_mask_for_another_base(case: Case) -> None:
    spec = case.write(masks_of(case.state), edit_of(case.state))
    other = loaded(case.state)
    with torch.no_grad():
        other.last.weight[0, 0] += 1e-3
    refused(spec, capture(other, (X,)), "for another base: last.weight has other values (1 of 8 weights differ)")
    half = capture(loaded(case.state).half(), (X.half(),))
    refused(spec, half, "for another base: first.bias is float16 (16,), expected float32 (16,)")


def test_a_key_the_program_does_not_have(case: Case) -> None:
    state = {"first.wieght": torch.ones(3)}
    write_mask(case.folder / "mask.safetensors", {"first.wieght": torch.ones(3).bool()}, state)
    save_file(state, str(case.folder / "e.safetensors"))
    spec = f"apply-weight-mask,mask={case.folder / 'mask.safetensors'},weights={case.folder / 'e.safetensors'}"
    refused(spec, case.program, "'first.wieght' that is no weight of Net (did you mean 'first.weight'?")


def test_a_program_without_weights(case: Case) -> None:
    spec = case.write(masks_of(case.state), edit_of(case.state))
    program = capture(Net().eval().to("meta"), (X.to("meta"),))
    refused(spec, program, "Net has no weights: first.bias is on the meta device")
    refused(spec, reloaded(program, case.folder / "meta.pt2"), "loaded has no weights: first.bias")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update({"first.bias": e["first.bias"].double()}), "first.bias is float64 (16,), expected float32"),
        (lambda e: e.update({"first.bias": torch.ones(15)}), "first.bias is float32 (15,), expected float32 (16,)"),
        (lambda e: e.pop("first.bias"), "has no weight 'first.bias', which is masked"),
    ],
    ids=["dtype", "shape", "missing"],
)
def test_an_edited_checkpoint_that_does_not_fit(case: Case, change: Any, words: str) -> None:
    edited = edit_of(case.state)
    change(edited)
    refused(case.write(masks_of(case.state), edited), case.program, words)


def test_options(case: Case) -> None:
    with pytest.raises(OptionError, match="needs mask="):
        graphlab.run_pass("apply-weight-mask", case.program)
    with pytest.raises(OptionError, match="needs weights="):
        graphlab.run_pass("apply-weight-mask,mask=x", case.program)
    refused("apply-weight-mask,mask=none.safetensors,weights=x", case.program, "none.safetensors does not exist")


def test_a_buffer_that_is_not_saved_is_no_weight(case: Case) -> None:
    write_mask(case.folder / "mask.safetensors", {"scale": torch.tensor(True)}, {"scale": torch.tensor(2.0)})
    save_file({"scale": torch.tensor(3.0)}, str(case.folder / "e.safetensors"))
    spec = f"apply-weight-mask,mask={case.folder / 'mask.safetensors'},weights={case.folder / 'e.safetensors'}"
    refused(spec, case.program, "has a key 'scale' that is no weight of Net")


# Nothing of the old model is left in a saved program


def test_a_saved_program_holds_neither_old_values_nor_mask(case: Case) -> None:
    masks, edited = masks_of(case.state, 0.5), edit_of(case.state)
    result = case.run(case.write(masks, edited))
    before = contents(case.program, case.folder / "before.pt2")
    after = contents(result.program, case.folder / "after.pt2")
    for key in ("first.weight", "last.weight"):
        old, new = case.state[key][masks[key]], edited[key][masks[key]]
        assert all(before.count(value.numpy().tobytes()) for value in old)
        assert all(after.count(value.numpy().tobytes()) for value in new)
        assert [value for value in old if value.numpy().tobytes() in after] == []
        packed = read_mask(case.folder / "mask.safetensors").packed(key)
        assert len(packed) >= 8
        assert packed not in after
    assert str(case.folder).encode() not in after


def test_nans_are_values(case: Case) -> None:
    edited = edit_of(case.state)
    edited["first.bias"][:] = torch.tensor([0x7FC0BEEF] * 16, dtype=torch.int32).view(torch.float32)
    masks = {"first.bias": torch.arange(16) < 4}
    found = weights_of(case.run(case.write(masks, edited)))["first.bias"].detach().view(torch.int32)
    assert found[:4].tolist() == [0x7FC0BEEF] * 4
    assert torch.equal(found[4:], case.state["first.bias"][4:].view(torch.int32))


# What it asks of a draft


@pytest.mark.parametrize(
    ("key", "make", "words"),
    [
        ("frist.weight", lambda w: w["frist.weight"] + 1, "no weight frist.weight to change"),
        ("first.weight", lambda w: w["first.weight"].double(), "is float32 (16, 8), its new value float64 (16, 8)"),
        ("first.weight", lambda w: w["first.weight"][:, :4].clone(), "its new value float32 (16, 4)"),
        ("first.weight", lambda w: w["first.weight"], "the new value of first.weight is written into the old one"),
    ],
    ids=["unknown", "dtype", "shape", "in place"],
)
def test_weights_are_set_only_to_what_fits(case: Case, key: str, make: Any, words: str) -> None:
    with pytest.raises(GraphlabError, match=re.escape(words)):
        Draft(case.program).set_weights([key], make, "for the test")


def test_a_weight_made_anew_twice_says_how(case: Case) -> None:
    draft = Draft(case.program)
    for factor in (2, 3):
        draft.set_weights(["last.weight"], lambda w, by=factor: w["last.weight"] * by, "for the test")
    result = draft.finish()
    (new,) = result.new_tensors
    assert torch.equal(new.make({"last.weight": torch.ones(2)}), torch.full((2,), 6.0))
    assert torch.equal(weights_of(result)["last.weight"], case.state["last.weight"] * 6)


def test_an_input_called_like_a_builtin_keeps_its_name(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(8, 4)).eval()
    case = Case(tmp_path, module, capture(module, (X,)))
    result = case.run(case.write(masks_of(case.state), edit_of(case.state)))
    assert [node.name for node in result.program.graph.inputs] == ["input"]


# torch says so of every program with weights that are slices of one storage.
