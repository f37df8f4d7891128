"""`graphlab export`: files whole or not at all, checked, with where they come from; reports, and errors in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

import graphlab
from graphlab.cli.main import main
from graphlab.exporting.translations import activations
from tests.cli.conftest import Result

Run = Callable[..., Result]

MODULE = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.up = nn.Linear(16, 24)

    def forward(self, x, text):
        split = lambda t: t.unflatten(-1, (2, 8)).transpose(1, 2)
        a = nn.functional.scaled_dot_product_attention(split(self.q(x)), split(self.k(text)), split(self.v(text)))
        x = x + self.o(a.transpose(1, 2).flatten(2))
        return nn.functional.silu(self.up(x))

def real():
    torch.manual_seed(0)
    return Block().eval(), (torch.randn(2, 6, 16), torch.randn(2, 5, 16)), {}

def bare():
    with torch.device("meta"):
        return Block().eval(), (torch.empty(2, 6, 16), torch.empty(2, 5, 16)), {}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("export", source, ...)` as from a shell."""
    monkeypatch.setenv("COLUMNS", "200")

    def go(*args: str) -> Result:
        code = main(args)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return go


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "block.py"
    path.write_text(MODULE)
    return path


def metadata(path: Path) -> dict[str, str]:
    return {item.key: item.value for item in onnx.load(os.fspath(path)).metadata_props}


def initializer(path: Path, name: str) -> bytes:
    held = {tensor.name: tensor.raw_data for tensor in onnx.load(os.fspath(path)).graph.initializer}
    found: bytes = held[name]
    return found


def test_a_model_with_its_own_weights_is_checked_and_says_where_it_comes_from(
    run: Run, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m.onnx"
    result = run("export", f"{source}:real", "-o", str(out), "--target", "ort-cpu", "--json", "-")
    assert result.code == 0, result.err
    (model,) = json.loads(result.out)["models"]
    assert model["check"]["ok"]
    assert model["check"]["checked"]
    assert len(model["check"]["bindings"]) == 2
    assert model["check"]["bindings"][0]["sizes"] != model["check"]["bindings"][1]["sizes"]
    assert model["attention_fused"] == model["attention_sites"] == 1
    assert model["operators"]["com.microsoft::MultiHeadAttention"] == 1
    assert not model["random_weights"]
    said = metadata(out)
    assert said["graphlab.target"] == "ort-cpu"
    assert float(said["graphlab.verification_error"]) == model["check"]["error"] < 1e-4
    assert "torch" in said["graphlab.versions"]
    proto = onnx.load(os.fspath(out))
    assert [dim.dim_param for dim in proto.graph.input[0].type.tensor_type.shape.dim] == ["x.b", "x.t", ""]


def test_a_source_without_weights_needs_some(run: Run, source: Path, tmp_path: Path) -> None:
    result = run("export", f"{source}:bare", "-o", str(tmp_path / "m.onnx"))
    assert result.code == 1
    assert "--weights random:SEED" in result.err
    assert not (tmp_path / "m.onnx").exists()


def test_random_weights_are_stamped_and_the_same_for_a_seed(run: Run, source: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = run(
            "export", f"{source}:bare", "-o", str(tmp_path / f"{name}.onnx"), "--weights", f"random:{seed}", "--static",
            "--no-check",
        )  # fmt: skip
        assert result.code == 0, result.err
    held = {name: initializer(tmp_path / f"{name}.onnx", "q.weight.T") for name in ("a", "b", "c")}
    assert held["a"] == held["b"] != held["c"]
    assert metadata(tmp_path / "a.onnx")["graphlab.weights"] == "random:1"
    assert metadata(tmp_path / "a.onnx")["graphlab.verification"] == "not compared: --no-check"


def test_a_wrong_translation_is_refused_with_its_node_unless_forced(
    run: Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "silu", lambda x: activations.quick_gelu(x, 1.5))
    out = tmp_path / "m.onnx"
    command = ("export", f"{source}:real", "-o", str(out), "--target", "ort-cpu", "--static")
    result = run(*command)
    assert result.code == 1
    assert "silu" in result.err
    assert "--force" in result.err
    assert not out.exists()
    result = run(*command, "--force", "--json", "-")
    assert result.code == 0
    (model,) = json.loads(result.out)["models"]
    assert not model["check"]["ok"]
    assert "silu" in model["check"]["diverges"]
    assert "ABOVE" in metadata(out)["graphlab.verification"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--target", "ort-gpu"], 1, "did you mean 'ort-cpu'"),
        (["--opset", "17"], 1, "opsets: 18 to 24"),
        (["--dtype", "int8"], 1, "dtypes: float32"),
        (["--rewrite", "-O7"], 2, "-O7"),
        (["--rewrite", "-O3"], 1, "name a folder"),
        (["--weights", "random"], 1, "random:0"),
        (["--weights", "nowhere.safetensors"], 1, "nowhere.safetensors"),
        (["--pass", "fuse-qvk"], 1, "fuse-qkv"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_one_line(
    options: list[str], code: int, words: str, run: Run, source: Path, tmp_path: Path
) -> None:
    if "-O3" in options:
        pytest.importorskip("diffusers")
        given = "dit-xl-2-256-tiny"
        options = [*options, "--stage", "transformer", "--weights", "random:0", "--static"]
    else:
        given = f"{source}:real"
    result = run("export", given, "-o", str(tmp_path / "m.onnx"), *options)
    assert result.code == code
    assert words in result.err.replace("\n", " ")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("output", ["m.pt2", "m.onnx/x.onnx", "-"])
def test_an_output_that_cannot_be_is_refused_before_the_work(
    output: str, run: Run, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_text("a file")
    place = output if output == "-" else str(tmp_path / output)
    result = run("export", f"{source}:real", "-o", place)
    assert result.code in (1, 2)
    assert (tmp_path / "m.onnx").read_text() == "a file"


def test_python_takes_what_the_command_takes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 8), nn.GELU()).eval()
    program = graphlab.capture(module, (torch.randn(3, 8),))
    report = graphlab.export(program, tmp_path / "m.onnx", check=False)
    assert report.models[0].operators["Gelu"] == 1
    assert report.to_dict()["schema"] == "graphlab.export/1"


def test_every_key_of_the_json_is_documented(tmp_path: Path) -> None:
    program = graphlab.capture(nn.Linear(8, 8).eval(), (torch.randn(3, 8),))
    report = graphlab.export(program, tmp_path / "m.onnx").to_dict()
    page = (Path(__file__).parents[2] / "docs" / "json_schema.md").read_text()
    section = page.partition("# The JSON of `graphlab export --json`")[2].partition("\n# ")[0]
    for key in keys(report, ""):
        assert f"- `{key}`" in section, key


def keys(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            free = at in ("bindings", "models[].operators", "models[].check.bindings[].sizes")
            name = f"{at}.{'*' if free else key}" if at else key
            yield name
            yield from keys(item, name)
    elif isinstance(value, list):
        for item in value[:1]:
            yield from keys(item, f"{at}[]")
