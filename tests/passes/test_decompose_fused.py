"""decompose-fused undoes the fuse passes: no graphlab:: operator is left, the numbers are the same to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from graphlab.passes.rewrite.fuse_geglu import FuseGeglu
from graphlab.passes.rewrite.fuse_groupnorm_silu import FuseGroupnormSilu
from graphlab.passes.rewrite.fuse_skip_layernorm import FuseSkipLayernorm
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.sources.extract import extract
from tests.fused.cases import DTYPES, Function, captured, ops, run, work

FUSES = (FuseGeglu(), FuseGroupnormSilu(), FuseSkipLayernorm())


def call(m: nn.Module, image: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    total = F.silu(m.group(image)).flatten(2).transpose(1, 2) + skip
    hidden, gate = m.wide(m.norm(total)).chunk(2, -1)
    return total + hidden * F.gelu(gate, approximate="tanh")


def block() -> Function:
    return Function(call, group=nn.GroupNorm(4, 8), norm=nn.LayerNorm(8), wide=nn.Linear(8, 16))


def inputs(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 8, 4, 6, dtype=dtype), torch.randn(2, 24, 8, dtype=dtype)


def fused(module: Function, dtype: torch.dtype = torch.float32) -> tuple[Program, Program]:
    """(captured, fused)"""
    program = captured(module.to(dtype), *inputs(dtype))
    result = program
    for rewrite in FUSES:
        result = rewrite.run(result).program
    return program, result


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_undoes_every_fusion(dtype: torch.dtype) -> None:
    module = block()
    program, made = fused(module, dtype)
    assert sum(op.startswith("graphlab.") for op in ops(made)) == 3
    result = DecomposeFused().run(made)
    assert sorted(ops(result.program)) == sorted(ops(program))
    assert not DecomposeFused().run(result.program).modified
    given = inputs(dtype)
    assert torch.equal(run(result.program, *given), run(made, *given))
    assert torch.equal(run(result.program, *given), module(*given))


def test_flops_stay_and_fused_moves_fewer_bytes() -> None:
    program, made = fused(block())
    again = DecomposeFused().run(made).program
    assert work(program.graph) == work(again.graph)
    assert work(made.graph)[:2] == work(program.graph)[:2]
    # Of 2 x 24 x 8 elements each: the norm before the silu and gelu are written and read, the sum is read once more.
    elements = 2 * 24 * 8
    assert work(program.graph)[2] - work(made.graph)[2] == 4 * (2 + 1 + 2) * elements


def test_account() -> None:
    _, made = fused(block())
    result = DecomposeFused().run(made)
    assert [change.why for change in result.changes] == [
        "graphlab::group_norm_silu is these ATen calls",
        "graphlab::skip_layer_norm is these ATen calls",
        "graphlab::geglu is these ATen calls",
    ]
    assert [len(change.values) for change in result.changes] == [1, 2, 1]
    assert find_pass("decompose-fused") is DecomposeFused


def test_what_nobody_reads_is_taken_out() -> None:
    def ignores(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return x + 1

    with torch.no_grad():
        exported = torch.export.export(Function(ignores), (torch.randn(2, 8),))
    graph = exported.graph
    (add,) = graph.find_nodes(op="call_function", target=torch.ops.aten.add.Tensor)
    with graph.inserting_before(add):  # torch.export leaves no dead call behind
        dead = graph.call_function(torch.ops.graphlab.geglu.default, (add.args[0],))
    dead.meta["val"] = add.meta["val"][:, :4]
    result = DecomposeFused().run(Program("dead", extract(exported), exported))
    assert ops(result.program) == ["aten.add.Tensor"]
    assert [change.why for change in result.changes] == ["nothing reads it"]


def test_saved_without_fused_operators_needs_no_graphlab(tmp_path: Path) -> None:
    _, made = fused(block())
    path = tmp_path / "plain.pt2"
    program = DecomposeFused().run(made).program
    assert program.exported is not None
    torch.export.save(program.exported, path)
    script = f"import sys, torch; torch.export.load({str(path)!r}); print('graphlab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
