"""fuse-rotary-embedding: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphlab.passes.rewrite.fuse_rotary_embedding import FuseRotaryEmbedding
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.verification.verify import verify
from tests.fused.cases import Function, captured, ops, stays
from tests.passes.rewrites import text

FUSED = "graphlab.rotary_embedding.default"
Call = Callable[..., torch.Tensor]
D = 8
X = (2, 3, 5, D)
"""b, h, t, d."""


def proven(module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> Program:
    """`module` after the pass, which verification finds equal and a second run leaves alone."""
    program = captured(module, *args, dynamic=dynamic)
    result = FuseRotaryEmbedding().run(program)
    assert result.modified, [skip.why for skip in result.skips]
    verify(program, result.program, result.changes, new_tensors=result.new_tensors).raise_for_error()
    assert not FuseRotaryEmbedding().run(result.program).modified
    return result.program


def call_of(program: Program) -> Any:
    """The only call of the operator."""
    (found,) = (call for call in program.graph.calls if call.target == FUSED)
    return found


def projected(call: Call) -> Function:
    """`call` behind a projection of x, which fixes its width: that of a head is no size of an input."""
    return Function(lambda m, x, *tables: call(m, m.proj(x), *tables), proj=nn.Linear(D, D))


def angles(tokens: int = 5, half: int = D // 2) -> torch.Tensor:
    return torch.randn(tokens, half)


def halves(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]], -1)


def neighbours(x: torch.Tensor) -> torch.Tensor:
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([-second, first], -1).flatten(-2)


def twice(f: torch.Tensor) -> torch.Tensor:
    return torch.cat([f, f], -1)


def llama(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    f = twice(f)
    return x * f.cos() + halves(x) * f.sin()


def chunked(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1) * twice(f.sin()) + twice(f.cos()) * x


def repeated(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    return x * f.cos().repeat_interleave(2, -1) + neighbours(x) * f.sin().repeat_interleave(2, -1)


def by_steps(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    cos, sin = (torch.stack([t, t], -1).flatten(-2) for t in (f.cos(), f.sin()))
    crossed = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * cos + crossed * sin


def rows(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Halves as rows of a matrix: diffusers with unbind_dim -2."""
    f = twice(f)
    first, second = x.unflatten(-1, (2, -1)).unbind(-2)
    return x * f.cos() + torch.cat([-second, first], -1) * f.sin()


def pairwise(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([first * f.cos() - second * f.sin(), first * f.sin() + second * f.cos()], -1)


def wan(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    out = torch.empty_like(x)
    out[..., 0::2] = first * f.cos() - second * f.sin()
    out[..., 1::2] = first * f.sin() + second * f.cos()
    return out


def as_complex(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    turned = torch.view_as_complex(x.float().unflatten(-1, (-1, 2))) * torch.polar(torch.ones_like(f), f)
    return torch.view_as_real(turned).flatten(-2).type_as(x)


FIRES: dict[str, tuple[Call, bool]] = {
    "llama": (llama, False),
    "chunked": (chunked, False),
    "rows": (rows, False),
    "pairwise": (pairwise, False),
    "repeated": (repeated, True),
    "by_steps": (by_steps, True),
    "wan": (wan, True),
    "complex": (as_complex, True),
}


@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str) -> None:
    call, interleaved = FIRES[name]
    program = proven(projected(call), torch.randn(X), angles(), dynamic=name in ("llama", "repeated"))
    assert call_of(program).args[3:] == (interleaved, True)
    assert not {"aten.mul.Tensor", "aten.neg.default", "aten.sub.Tensor"} & set(ops(program))


@pytest.mark.parametrize("name", ["llama", "repeated", "wan"])
def test_tokens_before_heads(name: str) -> None:
    call, interleaved = FIRES[name]
    program = proven(
        projected(lambda m, x, f: call(m, x, f[None, :, None])), torch.randn(2, 5, 3, D), angles(), dynamic=False
    )
    assert call_of(program).args[3:] == (interleaved, False)


def test_one_head_and_tables_of_a_batch() -> None:
    program = proven(projected(repeated), torch.randn(2, 5, D), torch.randn(2, 5, D // 2))
    assert call_of(program).args[3:] == (True, True)


def test_before_and_after() -> None:
    program = captured(Function(llama), torch.randn(X), angles(), dynamic=False)
    assert [line.partition(" = ")[2] for line in text(program)] == [
        "cat([args_1, args_1], -1)",
        "cos(cat)",
        "mul.Tensor(args_0, cos)",
        "slice.Tensor(args_0, 3, 4, 9223372036854775807)",
        "neg(slice_1)",
        "slice.Tensor(args_0, 3, 0, 4)",
        "cat([neg, slice_2], -1)",
        "sin(cat)",
        "mul.Tensor(cat_1, sin)",
        "add.Tensor(mul, mul_1)",
    ]
    result = FuseRotaryEmbedding().run(program)
    assert [line.partition(" = ")[2] for line in text(result.program)] == [
        "cat([args_1, args_1], -1)",
        "cos(cat)",
        "sin(cat)",
        "unsqueeze(cos, 0)",
        "slice.Tensor(unsqueeze_default, 2, 0, 4, 1)",
        "unsqueeze(sin, 0)",
        "slice.Tensor(unsqueeze_default_1, 2, 0, 4, 1)",
        "rotary_embedding(args_0, slice_tensor, slice_tensor_1, False, True)",
    ]
    (change,) = result.changes
    assert (change.pass_name, change.values) == ("fuse-rotary-embedding", (("add", "rotary_embedding_default"),))
    assert find_pass("fuse-rotary-embedding") is FuseRotaryEmbedding


@pytest.mark.parametrize("call", [llama, repeated, wan])
def test_half_precision_with_tables_of_float32(call: Call) -> None:
    def cast(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        return call(m, x.float(), f).to(x.dtype)

    program = proven(projected(cast).bfloat16(), torch.randn(X, dtype=torch.bfloat16), angles(), dynamic=False)
    assert "aten.to.dtype" not in ops(program)
    assert call_of(program).out.dtype == "bfloat16"


def test_result_wider_than_the_input_keeps_the_cast() -> None:
    program = proven(projected(llama).bfloat16(), torch.randn(X, dtype=torch.bfloat16), angles())
    assert call_of(program).out.dtype == "float32"


@pytest.mark.parametrize("call", [llama, repeated])
def test_partial_rotation(call: Call) -> None:
    def partial(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        turned, passed = x[..., :4], x[..., 4:]
        return torch.cat([call(m, turned, f), passed], -1)

    program = proven(projected(partial), torch.randn(X), angles(half=2))
    assert call_of(program).args[0].name == "linear"
    assert "aten.cat.default" not in ops(program)[ops(program).index(FUSED) :]


def test_tables_equal_by_value() -> None:
    module = projected(lambda m, x: x * m.cos + halves(x) * m.sin)
    for name in ("cos", "sin"):
        module.register_buffer(name, twice(getattr(angles(), name)()))
    assert call_of(proven(module, torch.randn(X), dynamic=False)).args[3:] == (False, True)
    module.sin[0, 0] += 1
    assert stays(FuseRotaryEmbedding(), module, torch.randn(X)) == [
        "b_sin is not shown to hold the same numbers for both halves"
    ]


def test_tables_of_three_axes_side_by_side() -> None:
    def flux(m: Any, x: torch.Tensor, f: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        cos, sin = (
            torch.cat([trig(f).repeat_interleave(2, 1), trig(g).repeat_interleave(2, 1)], -1)
            for trig in (torch.cos, torch.sin)
        )
        return x * cos + neighbours(x) * sin

    proven(projected(flux), torch.randn(X), angles(half=1), angles(half=3))


@pytest.mark.parametrize("name", ["gptj", "llama", "phi"])
def test_models_of_transformers(name: str) -> None:
    import transformers

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    own = {"gptj": {"rotary_dim": 4}, "phi": {"partial_rotary_factor": 0.5}, "llama": {"num_key_value_heads": 4}}
    tokens = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(name, **tokens, **sizes, **own[name])
    model = transformers.AutoModel.from_config(config)
    module = Function(lambda m, ids: m.model(input_ids=ids, use_cache=False)[0], model=model)
    assert ops(proven(module, torch.randint(3, 50, (2, 5)))).count(FUSED) == 2


def other(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    f = twice(f)
    return x.exp() * f.cos() + halves(x) * f.sin()


def product_read(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    f = twice(f)
    crossed = halves(x) * f.sin()
    return x * f.cos() + crossed + crossed.exp()


def wide(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    f = torch.cat([f, f * 2], -1)
    return x * f.cos() + halves(x) * f.sin()


def mixed(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    f = f.repeat_interleave(2, -1)
    return x * f.cos() + halves(x) * f.sin()


def written(m: Any, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """A table that held twins until one half of it was written."""
    cos, sin = twice(f).cos(), twice(f).sin()
    return x * cos.slice_scatter(f[:, :2], -1, 0, 2) + halves(x) * sin


STAYS: dict[str, tuple[Call, tuple[int, ...], tuple[int, ...], str]] = {
    "other_value": (other, X, (5, 4), "cat_1 turns linear, which mul is not of"),
    "product_read": (product_read, X, (5, 4), "mul is read elsewhere"),
    "tables_not_twins": (wide, X, (5, 4), "cos is not shown to hold the same numbers for both halves"),
    "other_pairs": (mixed, X, (5, 4), "cos is not shown to hold the same numbers for both halves"),
    "table_written": (written, X, (5, 4), "slice_scatter is not shown to hold the same numbers for both halves"),
    "by_head": (llama, X, (3, 5, 4), "cos differs by head"),
    "same_for_all_tokens": (llama, X, (2, 1, 1, 4), "cos is the same for all tokens"),
    "two_axes": (llama, (5, D), (5, 4), "it turns a tensor of 2 axes, not batch, heads, tokens and channels"),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, x, f, reason = STAYS[name]
    (found,) = stays(FuseRotaryEmbedding(), projected(call), torch.randn(x), torch.randn(f))
    assert found == reason


def test_tables_of_the_caller_are_not_known() -> None:
    module = projected(lambda m, x, cos, sin: x * cos + halves(x) * sin)
    (found,) = stays(FuseRotaryEmbedding(), module, torch.randn(X), torch.randn(5, D), torch.randn(5, D))
    assert found == "args_1 is not shown to hold the same numbers for both halves"


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x, f: x * twice(f).cos() + x * twice(f).sin(),
        lambda m, x, f: torch.cat([f.sin(), f.cos()], -1) * x,
        lambda m, x, f: halves(x),
        lambda m, x, f: x * twice(f) - halves(x) * twice(f),
    ):
        assert stays(FuseRotaryEmbedding(), projected(call), torch.randn(X), angles()) == []


@settings(max_examples=6, deadline=None)
@given(
    name=st.sampled_from(sorted(FIRES)),
    batch=st.integers(1, 3),
    heads=st.integers(2, 3),
    tokens=st.integers(2, 4),
    half=st.integers(1, 4),
    first=st.booleans(),
)
def test_any_shape(name: str, batch: int, heads: int, tokens: int, half: int, first: bool) -> None:
    call, interleaved = FIRES[name]
    shape = (batch, heads, tokens, 2 * half) if first else (batch, tokens, heads, 2 * half)
    table = torch.randn(tokens, half) if first else torch.randn(tokens, 1, half)
    program = proven(Function(call), torch.randn(shape), table, dynamic=False)
    assert call_of(program).args[3] == interleaved or half == 1
    assert call_of(program).args[4] == first
