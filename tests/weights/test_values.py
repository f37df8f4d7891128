"""`Values`: own values first, ties, recipes as the rewrite runs them, nothing kept."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.rewriting.result import RewriteResult
from graphlab.sources.module import capture
from graphlab.weights import Values, WeightsError, weight_source
from tests.weights.toys import Block, Given, held, on_meta, real, stage, stripped, with_values, workload

FOLDED = ("conv.weight_folded", "conv.bias_folded")
QKV = ("to_q_to_k_to_v.weight", "to_q_to_k_to_v.bias")


@pytest.fixture(scope="module")
def optimised() -> tuple[Program, RewriteResult]:
    """(program with values, its -O2 rewrite)."""
    program = with_values()
    return program, rewrite_program(program, chosen_passes(2))


def test_recipes_give_what_the_rewrite_computed(optimised: tuple[Program, RewriteResult]) -> None:
    program, result = optimised
    made = {new.key for new in result.held}
    assert made == {"folded_index", *FOLDED, *QKV}
    source = Given(held(program))
    values = Values(stripped(result.program), source, result.new_tensors, stripped(program))
    own = held(result.program)
    assert set(values) == set(own)
    for key in values:
        assert torch.equal(values[key], own[key]), key
        assert values[key].dtype == own[key].dtype
    assert source.reads, "the stripped program has no values of its own"


def test_programs_with_values_keep_them(optimised: tuple[Program, RewriteResult]) -> None:
    _, result = optimised
    source = Given({})
    values = Values(result.program, source, result.new_tensors)
    for key, own in held(result.program).items():
        assert values[key].data_ptr() == own.data_ptr(), key
    assert source.reads == []


def test_ties_are_read_under_the_first_key_the_source_has() -> None:
    program = on_meta()
    table = torch.randn(11, 8)
    for there in ("embed.weight", "head.weight"):
        values = Values(program, Given({there: table}))
        assert torch.equal(values["embed.weight"], table)
        assert torch.equal(values["head.weight"], table)
    both = Values(program, Given({"embed.weight": table, "head.weight": table + 1}))
    assert torch.equal(both["embed.weight"], both["head.weight"])
    with pytest.raises(WeightsError, match=r"no embed\.weight|no head\.weight"):
        Values(program, Given({}))["head.weight"]


def test_a_mapping_of_everything_held_and_nothing_else() -> None:
    program = on_meta()
    values = Values(program, weight_source(workload(), "block", "random:0"))
    assert set(values) == set(held(program))
    assert len(values) == len(held(program))
    assert "nothing" not in values
    with pytest.raises(KeyError):
        values["nothing"]


def test_weights_with_new_values_are_made_of_the_source_s() -> None:
    program = on_meta()
    draft = Draft(program)
    draft.pass_name = "double"
    draft.set_weights(["norm.weight"], lambda tensors: tensors["norm.weight"] * 2, "doubled")
    draft.set_weights(["norm.weight"], lambda tensors: tensors["norm.weight"] + 1, "raised")
    result = draft.finish()
    values = Values(result.program, Given({"norm.weight": torch.full((8,), 3.0)}), result.new_tensors, program)
    assert values["norm.weight"].tolist() == [7.0] * 8


def test_recipes_of_recipes_and_of_changed_weights() -> None:
    program = on_meta()
    made = (
        NewTensor("norm.weight", 32, ("norm.weight",), lambda t: t["norm.weight"] * 2),
        NewTensor("between", 32, ("norm.weight",), lambda t: t["norm.weight"] + 1, intermediate=True),
        NewTensor("norm.bias", 32, ("between", "conv.bias"), lambda t: t["between"] * t["conv.bias"]),
    )
    source = Given({"norm.weight": torch.full((8,), 3.0), "conv.bias": torch.full((8,), 10.0)})
    assert Values(program, source, made)["norm.bias"].tolist() == [70.0] * 8


def test_a_recipe_of_an_unknown_origin_asks_for_the_base() -> None:
    made = (NewTensor("norm.bias", 32, ("gone",), lambda t: t["gone"]),)
    with pytest.raises(WeightsError, match=r"norm\.bias is made of gone.*base"):
        Values(on_meta(), Given({}), made)["norm.bias"]


def test_a_recipe_of_another_shape_is_refused() -> None:
    made = (NewTensor("norm.bias", 32, ("norm.weight",), lambda t: t["norm.weight"][:4]),)
    with pytest.raises(WeightsError, match=r"norm\.bias was made float32 \(4,\), the program has float32 \(8,\)"):
        Values(on_meta(), Given({"norm.weight": torch.ones(8)}), made)["norm.bias"]


def test_a_program_cast_after_the_rewrite_gets_its_own_dtype() -> None:
    half = on_meta(stage("float16"))
    values = Values(half, Given({"norm.weight": torch.full((8,), 0.1)}), (), on_meta())
    assert values["norm.weight"].dtype is torch.float16
    assert torch.equal(values["norm.weight"], torch.full((8,), 0.1).half())


def test_nothing_is_kept_after_it_was_handed_out(optimised: tuple[Program, RewriteResult]) -> None:
    program, result = optimised
    handed: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    given = Given(held(program))

    class Counting(Given):
        def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
            tensor = given.read(key, like)
            handed.append(weakref.ref(tensor))
            return tensor

    values = Values(stripped(result.program), Counting({}), result.new_tensors, stripped(program))
    for key in values:
        value = values[key]
        del value
        alive.append(sum(ref() is not None for ref in handed))
    assert len(handed) > 5
    assert max(alive) == 0


def test_what_has_no_elements_needs_no_values() -> None:
    program = on_meta()
    assert program.exported is not None
    program.exported.constants["empty"] = torch.empty(0, 3, device="meta", dtype=torch.float16)
    value = Values(program, Given({}))["empty"]
    assert value.shape == (0, 3)
    assert value.dtype is torch.float16


def test_programs_from_the_cache_have_nothing_to_fill() -> None:
    with pytest.raises(GraphlabError, match="cache of captures"):
        Values(replace(on_meta(), exported=None), Given({}))


def test_a_real_module_s_own_values_come_back() -> None:
    module = real()
    program = with_values(module)
    values = Values(program, weight_source(workload(replace(stage(), program=program, build=None)), "block"))
    for key, tensor in module.state_dict().items():
        if key in values:
            assert torch.equal(values[key], tensor)


def test_a_program_of_fake_tensors_is_filled() -> None:
    with FakeTensorMode():
        module, tokens = Block().eval().requires_grad_(False), torch.zeros(2, 5, dtype=torch.int64)
    program = capture(module, (tokens,), dynamic=False, name="block")
    fake, meta = (Values(item, weight_source(workload(), "block", "random:0")) for item in (program, on_meta()))
    assert set(fake) == set(meta)
    for key, value in fake.items():
        assert type(value) is torch.Tensor
        assert torch.equal(value, meta[key]), key
