"""fuse-attention over the corpus of spellings: fires on every one, on nothing that only looks like one, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import ExportedProgram

import graphlab
from graphlab.program import Program
from graphlab.rewriting.result import RewriteResult
from tests.attention_corpus import Spelling, corpus
from tests.attention_corpus.generate import random_near_miss, random_spelling

CORPUS = corpus()
FUSED = torch.ops.aten.scaled_dot_product_attention.default
SYMBOLIC = [entry for entry in CORPUS if entry.dynamic]
SOME = SYMBOLIC[::6]
"""Every sixth also runs with symbolic sizes by default, the others under `-m slow`."""


def fuse(program: Program) -> RewriteResult:
    return graphlab.run_pass("fuse-attention", program)


def fused_calls(program: Program) -> int:
    return sum(node.target is FUSED for node in exported(program).graph.nodes)


def exported(program: Program) -> ExportedProgram:
    assert program.exported is not None
    return program.exported


def results(program: Program, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    torch.manual_seed(0)
    with torch.no_grad():
        found = torch.utils._pytree.tree_leaves(exported(program).module()(*inputs))
    return [value for value in found if isinstance(value, Tensor)]


def check(entry: Spelling, *, dynamic: bool = False) -> None:
    """The entry's count, reason and numbers, and that a second run changes nothing."""
    inputs = entry.inputs()
    program = graphlab.capture(entry.module(), inputs, dynamic="auto" if dynamic else False)
    assert fused_calls(program) == 0, "fused before anything fused it"
    text = str(exported(program).graph)
    result = fuse(program)
    reasons = "; ".join(skip.why for skip in result.skips)
    if not entry.either:
        assert fused_calls(result.program) == entry.attentions, reasons or "fused what must stay"
        assert entry.attentions or reasons or not _has_softmax(program), "refused without a reason"
        assert entry.reason is None or entry.reason in reasons
    assert str(exported(program).graph) == text, "the program given was changed"
    for got, want in zip(results(result.program, inputs), results(program, inputs), strict=True):
        half = want.dtype in (torch.float16, torch.bfloat16)
        near = 2e-2 * float(want.nan_to_num().abs().max()) if half else 1e-5
        torch.testing.assert_close(got, want, rtol=3e-2 if half else 1e-5, atol=near, equal_nan=True)
    assert not fuse(result.program).modified


def _has_softmax(program: Program) -> bool:
    return any("softmax" in str(node.target) for node in exported(program).graph.nodes)


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)
def test_corpus(entry: Spelling) -> None:
    check(entry)


@pytest.mark.parametrize("entry", SOME, ids=lambda entry: entry.name)
def test_corpus_with_symbolic_sizes(entry: Spelling) -> None:
    check(entry, dynamic=True)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [entry for entry in SYMBOLIC if entry not in SOME], ids=lambda entry: entry.name)
def test_rest_of_corpus_with_symbolic_sizes(entry: Spelling) -> None:
    check(entry, dynamic=True)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_generated_spellings(seed: int) -> None:
    check(random_spelling(seed))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_generated_spellings_with_symbolic_sizes(seed: int) -> None:
    """A view that splits a moving axis by numbers of the module's own may be a reason to stay."""
    entry = random_spelling(seed)
    check(replace(entry, either=True), dynamic=True)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_generated_near_misses(seed: int) -> None:
    check(random_near_miss(seed))


class Attend(nn.Module):
    """Attention of (batch 2, heads 3, tokens 5, width 8) with `change` between scores and softmax."""

    def __init__(self, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return self.change(query @ key.mT * 8**-0.5, mask).softmax(-1) @ value


class Self(Attend):
    """Attention of a tensor over itself."""

    def forward(self, states: Tensor) -> Tensor:  # type: ignore[override]  # one tensor for all four
        return super().forward(states, states, states, states)


def operands(width: int = 8, tokens: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 3, tokens, width, generator=generator) for _ in range(3)]


DEAD = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(4)) > 0.4
DEAD[0, 0, 1] = False
DEAD[:, :, :, 0] |= ~DEAD.any(-1)
DEAD[0, 0, 1] = False
"""Which keys stay; the second query of the first sample keeps none."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("fill", [-math.inf, -1e4, -3e4], ids=str)
def test_rows_masked_throughout_keep_their_meaning(fill: float, dtype: torch.dtype) -> None:
    """-inf gives NaN, a finite fill the mean of the values; the fused call alone would give 0 for both."""
    inputs = (*(value.to(dtype) for value in operands()), DEAD)
    module = Attend(lambda scores, keep: scores.masked_fill(~keep, fill))
    program = graphlab.capture(module, inputs, dynamic=False)
    result = fuse(program)
    assert fused_calls(result.program) == 1
    (got,), (want,) = results(result.program, inputs), results(program, inputs)
    row = want[0, :, 1]
    assert row.isnan().all() if fill == -math.inf else row.isfinite().all()
    loose = dtype in (torch.bfloat16, torch.float16)
    torch.testing.assert_close(got, want, equal_nan=True, rtol=2e-2 if loose else 1e-5, atol=2e-2 if loose else 1e-6)


def test_rows_masked_throughout_by_an_additive_input() -> None:
    inputs = (*operands(), torch.zeros(2, 1, 5, 5).masked_fill(~DEAD, -math.inf))
    program = graphlab.capture(Attend(torch.add), inputs, dynamic=False)
    (got,), (want,) = results(fuse(program).program, inputs), results(program, inputs)
    assert want[0, :, 1].isnan().all()
    torch.testing.assert_close(got, want, equal_nan=True)
    trusting = graphlab.run_pass("fuse-attention,masked_rows=trust", program)
    assert not results(trusting.program, inputs)[0].isnan().any()


def test_causal_flag_only_where_it_holds_at_every_size() -> None:
    def causal(scores: Tensor, _: Tensor) -> Tensor:
        return scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)

    def window(scores: Tensor, _: Tensor) -> Tensor:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool)
        return scores.masked_fill(hidden.triu(1) | hidden.tril(-8), -math.inf)  # 8 keys back: all of them at 5 tokens

    for change, flag in ((causal, True), (window, False)):
        inputs = (operands()[0],)
        result = fuse(graphlab.capture(Self(change), inputs, dynamic="auto"))
        call = next(node for node in exported(result.program).graph.nodes if node.target is FUSED)
        assert (call.args[5] is True) is flag, result.changes
        long = (operands(tokens=20)[0],)
        program = graphlab.capture(Self(change), inputs, dynamic="auto")
        torch.testing.assert_close(results(result.program, long), results(program, long))


class Kept(nn.Module):
    """Attention whose scale and mask are buffers that every call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("seen", torch.ones(5, 5, dtype=torch.bool).tril())

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        assert isinstance(self.scale, Tensor)
        assert isinstance(self.seen, Tensor)
        out = (query @ key.mT * self.scale).masked_fill(~self.seen, -math.inf).softmax(-1) @ value
        self.scale.mul_(1.5)
        self.seen.copy_(self.seen.roll(1, 0))
        return out


def test_buffers_the_program_writes_are_no_constants() -> None:
    inputs = tuple(operands())
    result = fuse(graphlab.capture(Kept(), inputs, dynamic=False))
    assert fused_calls(result.program) == 1
    runs = exported(result.program).module()
    plain = Kept()
    for _ in range(3):
        torch.testing.assert_close(runs(*inputs), plain(*inputs), equal_nan=True)


def test_nothing_is_said_of_what_nobody_reads() -> None:
    class Dead(nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            scores = query @ key.mT
            out = scores.softmax(-1) @ value
            (scores * 2).softmax(-1)
            return out

    result = fuse(graphlab.capture(Dead(), tuple(operands()), dynamic=False))
    assert (fused_calls(result.program), result.skips) == (1, ())


def test_what_it_says_and_leaves() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(8, 24)

        def forward(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            query, key, value = self.project(states).chunk(3, -1)
            first = (query @ key.mT).softmax(-1) @ value
            weights = (key @ query.mT).softmax(-1)
            return first, weights @ value, weights

    program = graphlab.capture(Two(), (torch.randn(2, 5, 8),), dynamic=False)
    result = fuse(program)
    assert fused_calls(result.program) == 1
    assert [change.values[0][0] for change in result.changes] == ["matmul_1"]
    assert [skip.node for skip in result.skips] == ["softmax_1"]
    assert "used elsewhere" in result.skips[0].why
    assert result.changes[0].source.startswith("test_fuse_attention.py:")
    assert result.program.history == ("fuse-attention",)
    assert exported(result.program).state_dict["project.weight"] is exported(program).state_dict["project.weight"]
    assert result.program.graph.calls[-1].target != "aten.softmax.int"


def test_before_and_after() -> None:
    class Folded(nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return torch.bmm((torch.bmm(query, key.mT) * 0.25).softmax(-1), value)

    inputs = tuple(torch.randn(6, length, 8) for length in (5, 7, 7))
    result = fuse(graphlab.capture(Folded(), inputs, dynamic=False))
    calls = [(node.target, node.args[1] if len(node.args) == 2 else None) for node in result.program.graph.calls]
    assert calls == [
        ("aten.unsqueeze.default", 1),
        ("aten.unsqueeze.default", 1),
        ("aten.unsqueeze.default", 1),
        ("aten.scaled_dot_product_attention.default", None),
        ("aten.squeeze.dim", 1),
    ]


def test_fused_and_written_out_again() -> None:
    class Fused(nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    inputs = (*operands(), DEAD)
    program = graphlab.capture(Fused(), inputs, dynamic=False)
    apart = graphlab.run_pass("decompose-attention", program).program
    again = fuse(apart).program
    assert (fused_calls(program), fused_calls(apart), fused_calls(again)) == (1, 0, 1)
    torch.testing.assert_close(results(apart, inputs), results(program, inputs))
    torch.testing.assert_close(results(again, inputs), results(program, inputs), rtol=0, atol=0)
