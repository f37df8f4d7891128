"""Random weights: the same for the same key and seed whatever asks, sensible, and the constructor's own tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from graphlab.hoisting.hoist import hoist
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.weights import Values, WeightsError, WeightSource, weight_source
from graphlab.weights.built import built
from tests.hoisting.models import denoise, program
from tests.weights.toys import held, on_meta, real, stage, stripped, with_values, workload


def drawn(seed: int = 0) -> WeightSource:
    return weight_source(workload(), "block", f"random:{seed}")


def like(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"), requires_grad=False)


def test_the_same_whatever_was_asked_before() -> None:
    program = on_meta()
    forwards = {key: Values(program, drawn())[key] for key in held(program)}
    backwards = Values(program, drawn())
    for key in reversed(forwards):
        assert torch.equal(forwards[key], backwards[key]), key


def test_seeds_and_keys_make_a_difference() -> None:
    one = drawn().read("to_q.weight", like(8, 8))
    assert not torch.equal(one, drawn(1).read("to_q.weight", like(8, 8)))
    assert not torch.equal(one, drawn().read("to_k.weight", like(8, 8)))


def test_every_dtype_has_the_same_values_rounded() -> None:
    wide = drawn().read("to_q.weight", like(8, 8))
    for dtype in (torch.float16, torch.bfloat16, torch.float8_e4m3fn):
        assert torch.equal(drawn().read("to_q.weight", like(8, 8, dtype=dtype)), wide.to(dtype))
    assert torch.equal(drawn().read("to_q.weight", like(8, 8, dtype=torch.float64)), wide.double())


def test_large_weights_are_drawn_in_blocks_of_one_stream() -> None:
    table = drawn().read("embed.weight", like(2200, 2000))
    assert abs(float(table.std()) * 2000**0.5 - 1) < 0.01
    assert table.unique().numel() > 2_000_000, "blocks must not repeat each other"


@pytest.mark.parametrize(
    ("key", "shape", "low", "high"),
    [("norm.weight", (4096,), 0.8, 1.2), ("norm.bias", (4096,), -0.12, 0.12), ("to_q.weight", (64, 64), -0.7, 0.7)],
    ids=["norm", "bias", "linear"],
)
def test_scales(key: str, shape: tuple[int, ...], low: float, high: float) -> None:
    values = drawn().read(key, like(*shape))
    assert low <= float(values.min()) < float(values.max()) <= high
    assert float(values.std()) > 0.01


def test_statistics_are_drawn_and_tables_are_computed() -> None:
    values, module = Values(on_meta(), drawn()), real()
    variance = values["batch_norm.running_var"]
    assert 0.5 <= float(variance.min()) < float(variance.max()) <= 2.0
    assert float(values["batch_norm.running_mean"].abs().max()) > 0
    assert int(values["batch_norm.num_batches_tracked"]) == 0
    for key in ("position_ids", "wave", "scale"):
        assert torch.equal(values[key], module.get_buffer(key)), key


def test_ties_are_one_weight() -> None:
    values = Values(on_meta(), drawn())
    assert torch.equal(values["embed.weight"], values["head.weight"])


def test_a_rewritten_program_computes_the_same() -> None:
    before = on_meta()
    result = rewrite_program(before, chosen_passes(2))
    assert result.new_tensors
    tokens = torch.arange(10).reshape(2, 5)
    old = dict(Values(before, drawn()))
    new = dict(Values(result.program, drawn(), result.new_tensors, before))
    module = real()
    module.load_state_dict({key: value for key, value in old.items() if key in module.state_dict()}, strict=False)
    expected = module(tokens)
    rewritten = Filled(result.program, new)(tokens)
    assert torch.allclose(rewritten, expected, atol=1e-5)
    assert float(expected.abs().max()) > 0.01


def test_every_part_of_a_split_has_the_same_weights() -> None:
    whole = stripped(program(denoise, dynamic=False))
    parts = dict(hoist(whole, invariant=("text",), schedule=("timestep",)).programs)
    assert list(parts) == ["prologue", "table", "step"]
    source = weight_source(workload(replace(stage(), program=whole, build=None)), "block", "random:5")
    values = Values(whole, source)
    seen: set[str] = set()
    for part in parts.values():
        for key, value in Values(part, source, base=whole).items():
            assert torch.equal(value, values[key]), key
            seen.add(key)
    assert seen >= {"key.weight", "time.weight", "query.weight", "frequencies"}


class Filled(nn.Module):
    """Runs a program on given weights."""

    def __init__(self, program: Program, values: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.program, self.values = program, values

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        exported = self.program.exported
        assert exported is not None
        signature = exported.graph_signature
        targets = {spec.arg.name: spec.target for spec in signature.input_specs if spec.target is not None}
        nodes = exported.graph.find_nodes(op="placeholder")
        inputs = [self.values[targets[node.name]] if node.name in targets else tokens for node in nodes]
        (out,) = torch.fx.Interpreter(exported.graph_module).run(*inputs)
        assert isinstance(out, torch.Tensor)
        return out


def test_buffers_of_a_program_that_lost_them_are_drawn_and_said() -> None:
    bare = stripped(with_values())
    source = weight_source(workload(replace(stage(), program=bare, build=None)), "block", "random:0")
    scale = source.read("scale", torch.empty(1, device="meta"))
    assert 0.5 <= float(scale) <= 1.5
    places = source.read("position_ids", torch.empty(1, 16, dtype=torch.int64, device="meta"))
    assert places.tolist() == [list(range(16))]
    flags = source.read("flags", torch.empty(4, 9, dtype=torch.bool, device="meta"))
    assert flags.any(1).all()
    assert not flags.all(1).any()
    assert source.notes == ("values that nothing computes were drawn for scale, position_ids, flags",)


def test_a_table_of_another_size_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"buffer wave of shape \(16, 8\), the program has \(32, 8\)"):
        drawn().read("wave", torch.empty(32, 8, device="meta"))


def test_the_constructor_s_buffers_without_memory_for_parameters() -> None:
    found, module = built(stage("float16")), real().half()
    assert found.parameters == tuple(name for name, _ in module.named_parameters(remove_duplicate=False))
    assert found.unsaved == {"position_ids", "wave"}
    for key in ("position_ids", "wave", "scale"):
        assert torch.equal(found.computed[key], module.get_buffer(key)), key
        assert found.computed[key].dtype == module.get_buffer(key).dtype
    assert not set(found.parameters) & set(found.computed)
