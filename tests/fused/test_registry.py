"""What holds for every fused operator: op table, ONNX, saved files."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import graphlab.fused as fused
from graphlab.errors import UnsafeSourceError
from graphlab.fused.registry import define
from graphlab.ops import TABLE
from graphlab.sources.archive import load_exported_program
from graphlab.sources.program_json import check_program
from tests.fused.cases import Function
from tests.ops import test_schema

graphlab = torch.ops.graphlab
OPERATORS = (
    "geglu", "group_norm_silu", "multi_head_attention", "quick_gelu", "rotary_embedding", "skip_layer_norm",
    "skip_rms_norm",
)  # fmt: skip
NAMES = [f"graphlab.{name}.default" for name in OPERATORS]


def test_these_are_the_operators() -> None:
    assert sorted(map(str, fused.FUSED)) == NAMES
    assert sorted(target for target in TABLE if target.startswith("graphlab.")) == NAMES
    assert set(fused.onnx_translations()) == set(fused.FUSED)


@pytest.mark.parametrize("target", NAMES)
def test_rules_are_the_schemas(target: str) -> None:
    test_schema.test_parameters_are_the_schema(target)
    test_schema.test_moves_agree_with_alias_marks(target)
    test_schema.test_in_place_is_a_write_mark(target)


def test_defining_twice_raises() -> None:
    with pytest.raises(ValueError, match="graphlab::geglu is defined twice"):
        define("geglu(Tensor x) -> Tensor", lambda emit, x: x, lambda x: x)


def everything() -> Function:
    """Every operator, with and without weights."""

    def call(m: torch.nn.Module, tokens: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        layer, group = m.layer, m.group
        heads, table = tokens.view(-1, 3, 2, 4), m.table
        normed, total = graphlab.skip_layer_norm(tokens, tokens * 2, [8], layer.weight, layer.bias, 1e-3)
        plain, _ = graphlab.skip_layer_norm(tokens, total, [8])
        return (
            normed,
            total,
            plain,
            graphlab.skip_layer_norm(tokens, total, [3, 8])[0],
            *graphlab.skip_rms_norm(tokens, total, [8], layer.weight, 1e-3),
            graphlab.skip_rms_norm(tokens, total, [3, 8])[0],
            graphlab.quick_gelu(tokens, 1.5),
            graphlab.rotary_embedding(heads, table.cos(), table.sin(), False, False),
            graphlab.rotary_embedding(heads.transpose(1, 2), table.cos(), table.sin(), True, True),
            graphlab.rotary_embedding(tokens, table.cos(), table.sin(), True),
            graphlab.multi_head_attention(tokens, total, tokens, 2),
            graphlab.geglu(tokens),
            graphlab.geglu(tokens, "tanh", True),
            graphlab.group_norm_silu(image, 4, group.weight, group.bias, 1e-3),
            graphlab.group_norm_silu(image[..., 0], 2),
        )

    module = Function(call, layer=torch.nn.LayerNorm(8), group=torch.nn.GroupNorm(4, 8))
    module.register_buffer("table", torch.linspace(0.1, 2.0, 6).view(1, 3, 2))
    return module


def exported() -> torch.export.ExportedProgram:
    auto, static = torch.export.Dim.AUTO, torch.export.Dim.STATIC
    example = (torch.randn(2, 3, 8), torch.randn(2, 8, 4, 6))
    shapes = (({0: auto, 1: static, 2: static}, {0: auto, 1: static, 2: auto, 3: auto}),)
    return torch.export.export(everything().eval(), example, dynamic_shapes=shapes)


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_onnx_gives_the_same_numbers(opset: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        made = torch.onnx.export(
            exported(),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            custom_translation_table=dict(fused.onnx_translations()),
        )
    assert made is not None
    made.save(path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import if entry.domain == ""] == [("", opset)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = (torch.randn(5, 3, 8), torch.randn(3, 8, 7, 2))
    given = {entry.name: value.numpy() for entry, value in zip(session.get_inputs(), inputs, strict=True)}
    for out, wanted in zip(session.run(None, given), everything()(*inputs), strict=True):
        np.testing.assert_allclose(out, wanted.detach().numpy(), rtol=2e-5, atol=2e-6)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "fused.pt2"
    torch.export.save(exported(), path)
    return path


def test_saved_file_loads_with_torch(saved: Path) -> None:
    inputs = (torch.randn(5, 3, 8), torch.randn(3, 8, 7, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        program = torch.export.load(saved)
    for out, wanted in zip(program.module()(*inputs), everything()(*inputs), strict=True):
        assert torch.equal(out, wanted)


def test_graphlabs_loader_needs_no_import(saved: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from graphlab.sources.archive import load_exported_program
        assert "graphlab.fused" not in sys.modules
        program = load_exported_program(Path({str(saved)!r}))
        print(sorted({{str(n.target) for n in program.graph.nodes if str(n.target).startswith("graphlab.")}}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(NAMES), done.stderr


def test_loader_takes_no_other_operator_of_that_name(saved: Path) -> None:
    assert load_exported_program(saved).graph.find_nodes(op="call_function", target=graphlab.geglu.default)
    document = {"graph_module": {"graph": {"nodes": [{"target": "torch.ops.graphlab.geglu.default"}]}}}
    check_program(document, "x.pt2")
    document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.graphlab.run_anything.default"
    with pytest.raises(UnsafeSourceError, match=r"run_anything.default', which is no operator of graphlab's"):
        check_program(document, "x.pt2")
