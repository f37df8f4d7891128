"""`.pt2` files: good ones load and compute the same, every way to hide code in one is refused."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import graphlab
from graphlab.errors import GraphlabError, SourceError
from graphlab.program import Program
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.sources.pickles import check_archive_pickles

from . import payloads

_SAMPLES = "data/sample_inputs/model.pt"
_CONSTANTS = "data/constants/model_constants_config.json"
_WEIGHTS = "data/weights/model_weights_config.json"


def test_loads_and_computes_the_same(program: Path) -> None:
    loaded = load_exported_program(program)
    twin = torch.export.load(program)
    x = torch.randn(6, 4)
    torch.testing.assert_close(loaded.module()(x, 3)["y"], twin.module()(x, 3)["y"])
    assert {str(s) for s in loaded.range_constraints} == {str(s) for s in twin.range_constraints}
    check_archive_pickles(program)


def test_payload_would_run_without_the_scan(program: Path, tmp_path: Path) -> None:
    """The attack is real: torch runs it. Else the tests below would prove nothing."""
    trap = tmp_path / "trap"
    bad = payloads.rewrite(
        program, tmp_path / "b.pt2", lambda n, d: payloads.saved(trap) if n.endswith(_SAMPLES) else d
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.load(bad)
    assert trap.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_payload_in_sample_inputs(program: Path, tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "trap"
    data = payloads.saved(trap, protocol=protocol)
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: data if n.endswith(_SAMPLES) else d)
    payloads.refused(bad, trap, r"sample_inputs/model.pt.*data.pkl.*imports (builtins|__builtin__).eval")


@pytest.mark.parametrize("protocol", range(6))
def test_payload_in_old_style_sample_inputs(program: Path, tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "trap"
    for data in (payloads.saved(trap, protocol=protocol, legacy=True), payloads.pickled(trap, protocol)):
        bad = payloads.rewrite(
            program,
            tmp_path / "b.pt2",
            lambda n, d, data=data: data if n.endswith(_SAMPLES) else d,  # type: ignore[misc]
        )
        payloads.refused(bad, trap, "imports (builtins|__builtin__).eval")


@pytest.mark.parametrize(("config", "folder"), [(_CONSTANTS, "data/constants"), (_WEIGHTS, "data/weights")])
@pytest.mark.parametrize("nested", [True, False])
def test_payload_in_pickled_tensor(program: Path, tmp_path: Path, config: str, folder: str, nested: bool) -> None:
    trap = tmp_path / "trap"

    def mark(document: Any) -> None:
        entry = next(iter(document["config"].values()))
        entry["use_pickle"], entry["path_name"] = True, "tensor_99"

    data = payloads.saved(trap) if nested else payloads.pickled(trap, 2)
    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit(config, mark), {f"{folder}/tensor_99": data})
    payloads.refused(bad, trap, f"{folder}/tensor_99.*eval")


@pytest.mark.parametrize("name", ["opaque_obj_0", "custom_obj_0", "tensor_7", "model.pt"])
def test_payload_in_other_constants(program: Path, tmp_path: Path, name: str) -> None:
    trap = tmp_path / "trap"
    for protocol in (0, 4):
        extra = {f"data/constants/{name}": payloads.pickled(trap, protocol)}
        bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: d, extra)
        payloads.refused(bad, trap, name)


def test_unfinished_pickle_is_refused_where_torch_would_unpickle(program: Path, tmp_path: Path) -> None:
    """A pickle that breaks off after its payload has already run when the unpickler notices."""
    trap = tmp_path / "trap"
    for data in (payloads.pickled(trap, 2)[:-1], payloads.pickled(trap, 2)[:-1] + b"\xff"):
        bad = payloads.rewrite(
            program,
            tmp_path / "b.pt2",
            lambda n, d, data=data: data if n.endswith(_SAMPLES) else d,  # type: ignore[misc]
        )
        payloads.refused(bad, trap, "cannot be read to the end")


def test_payload_behind_torch_magic(program: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    parts = [pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    data = b"".join(parts) + payloads.pickled(trap, 2)
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: data if n.endswith(_SAMPLES) else d)
    payloads.refused(bad, trap, "eval")


def test_payload_two_archives_deep(program: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
        file.writestr("archive/extra", payloads.saved(trap))
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: outer.getvalue() if n.endswith(_SAMPLES) else d)
    payloads.refused(bad, trap, "eval")


def test_hidden_torchscript(program: Path, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("a/constants.pkl", pickle.dumps(()))
        file.writestr("a/data.pkl", pickle.dumps(()))
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: inner.getvalue() if n.endswith(_SAMPLES) else d)
    payloads.refused(bad, tmp_path / "trap", "TorchScript")


def test_members_in_other_case_and_with_other_endings(program: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    cut = payloads.pickled(trap, 2)[:-1]  # would run, and is no complete pickle

    def renamed(old: str, new: str, data: Callable[[bytes], bytes]) -> Path:
        bad = tmp_path / "b.pt2"
        with zipfile.ZipFile(program) as source, zipfile.ZipFile(bad, "w") as target:
            for info in source.infolist():
                content = source.read(info)
                hit = info.filename.endswith(old)
                target.writestr(info.filename.replace(old, new), data(content) if hit else content)
        return bad

    payloads.refused(renamed(_SAMPLES, "Data/Sample_Inputs/MODEL.pt", lambda _: cut), trap, "cannot be read to the end")
    evil = f"open({str(trap)!r}, 'w')"
    code = lambda data: re.sub(rb'"expr_str": "[^"]*"', b'"expr_str": ' + json.dumps(evil).encode(), data)  # noqa: E731
    with zipfile.ZipFile(renamed("models/model.json", "models/model.txt", code), "a") as file:
        file.writestr("serialized_exported_program.json", b"{}")
    payloads.refused(tmp_path / "b.pt2", trap, "no place in the layout")


def test_newer_schema_names_both_versions(program: Path, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        document["schema_version"] = {"major": 99, "minor": 1}
        document["torch_version"] = "9.9.0"

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(
        bad, tmp_path / "t", rf"99.1 \(written by torch 9.9.0\); torch {re.escape(torch.__version__)}", SourceError
    )


def test_newer_archive_version(program: Path, tmp_path: Path) -> None:
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: b"7" if n.endswith("archive_version") else d)
    payloads.refused(bad, tmp_path / "t", "archive version 7", SourceError)


def test_weights_that_lie_about_their_size(program: Path, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        next(iter(document["config"].values()))["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}, {"as_int": 4}]

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit(_WEIGHTS, change))
    payloads.refused(bad, tmp_path / "t", "bytes", SourceError)


def test_unknown_operator(program: Path, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.nobodys_library.op.default"

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit("models/model.json", change))
    payloads.refused(bad, tmp_path / "t", "import that library first", SourceError)


@pytest.mark.skipif(torch.cuda.is_available(), reason="weights on a GPU can be put back")
def test_weights_on_an_accelerator_that_is_not_here(program: Path, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        next(iter(document["config"].values()))["tensor_meta"]["device"]["type"] = "cuda"

    bad = payloads.rewrite(program, tmp_path / "b.pt2", payloads.edit(_WEIGHTS, change))
    payloads.refused(bad, tmp_path / "t", "weights on cuda", SourceError)


def test_random_changes_never_raise_anything_else(program: Path, tmp_path: Path) -> None:
    """Two hundred files with bytes changed in the graph, the lists of weights and the inputs."""
    import random

    chance = random.Random(0)

    def change(member: str, data: bytes) -> bytes:
        if not data or not member.endswith((".json", ".pt")):
            return data
        content = bytearray(data)
        for _ in range(chance.randint(0, 2)):
            content[chance.randrange(len(content))] = chance.choice(b'0x"{}[],:19aA_.\x00\xff')
        return bytes(content)

    for _ in range(200):
        bad = payloads.rewrite(program, tmp_path / "b.pt2", change)
        with contextlib.suppress(GraphlabError):
            load_exported_program(bad)


def test_zip_bomb(program: Path, tmp_path: Path) -> None:
    bad = tmp_path / "b.pt2"
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
        with new.open("small/extra/bomb", "w", force_zip64=True) as stream:
            for _ in range(300):
                stream.write(bytes(1 << 20))
    payloads.refused(bad, tmp_path / "t", "zip bomb", SourceError)


@pytest.mark.parametrize("where", ["front", "back"])
def test_two_readings_of_one_zip(program: Path, tmp_path: Path, where: str) -> None:
    data = program.read_bytes()
    bad = tmp_path / "b.pt2"
    bad.write_bytes(data + data if where == "front" else data + b"\0")
    payloads.refused(bad, tmp_path / "t", "zip archive")


def test_two_names_that_differ_in_case(program: Path, tmp_path: Path) -> None:
    bad = payloads.rewrite(program, tmp_path / "b.pt2", lambda n, d: d, {"DATA/sample_inputs/MODEL.pt": b"x"})
    payloads.refused(bad, tmp_path / "t", "two members")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_layout_before_torch_2_8(program: Path, tmp_path: Path) -> None:
    from torch._export.serde.schema import SCHEMA_VERSION
    from torch._export.serde.serialize import serialize

    artifact = serialize(torch.export.load(program))
    trap, old = tmp_path / "trap", tmp_path / "old.pt2"

    def write(inputs: bytes) -> Path:
        with zipfile.ZipFile(old, "w") as file:
            file.writestr("serialized_exported_program.json", artifact.exported_program)
            file.writestr("serialized_state_dict.pt", artifact.state_dict)
            file.writestr("serialized_constants.pt", artifact.constants)
            file.writestr("serialized_example_inputs.pt", inputs)
            file.writestr("version", ".".join(map(str, SCHEMA_VERSION)))
        return old

    assert "linear.weight" in load_exported_program(write(artifact.example_inputs)).state_dict
    payloads.refused(write(payloads.saved(trap)), trap, "serialized_example_inputs.pt.*eval")


def test_fake_tensor_inputs(tmp_path: Path) -> None:
    """Programs exported without weights keep their inputs as fake tensors, rebuilt from JSON: checked, then loaded."""

    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    with FakeTensorMode():
        exported = torch.export.export(Double(), (torch.empty(3, 4),))
    path = tmp_path / "fake.pt2"
    torch.export.save(exported, path)
    assert load_exported_program(path).example_inputs is not None
    trap = tmp_path / "trap"
    with zipfile.ZipFile(path) as file:
        inner = file.read(next(n for n in file.namelist() if n.endswith(_SAMPLES)))
    assert b'"as_int": 3' in inner
    code = f'"as_expr": {{"expr_str": "open({str(trap)!r}, 1)"}}'.encode()
    with zipfile.ZipFile(io.BytesIO(inner)) as old:
        pkl = old.read("archive/data.pkl")
        assert b'"as_int": 3' in pkl
    doctored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(inner)) as old, zipfile.ZipFile(doctored, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("data.pkl"):
                data = _grown(data, b'"as_int": 3', code)
            new.writestr(info.filename, data)
    bad = payloads.rewrite(path, tmp_path / "b.pt2", lambda n, d: doctored.getvalue() if n.endswith(_SAMPLES) else d)
    payloads.refused(bad, trap, "not arithmetic")


def _grown(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with `old` replaced in a BINUNICODE string, whose length is put right."""
    at = data.index(old)
    start = data.rindex(b"X", 0, data.rindex(b'{"dtype"', 0, at))
    length = int.from_bytes(data[start + 1 : start + 5], "little") + len(new) - len(old)
    return data[: start + 1] + length.to_bytes(4, "little") + data[start + 5 : at] + new + data[at + len(old) :]


class Tied(torch.nn.Module):
    """An embedding whose table is the weight of the last layer, and weights of one shape that are not tied."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 10, bias=False)
        self.one, self.two, self.unused = (torch.nn.Linear(10, 10) for _ in range(3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(self.head(self.table(tokens))))


class Attention(torch.nn.Module):
    """The root of a symbolic width is in the sizes that a decomposition writes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)


def _tied(device: str) -> Program:
    module = Tied().to(device)
    module.head.weight = module.table.weight
    return graphlab.capture(module, (torch.ones(2, 4, dtype=torch.long, device=device),))


def _fake() -> Program:
    with FakeTensorMode():
        return graphlab.capture(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)), (torch.empty(6, 4),))


def _decomposed(module: torch.nn.Module, x: torch.Tensor) -> Program:
    program = graphlab.capture(module, (x,))
    assert program.exported is not None
    exported = program.exported.run_decompositions()
    return Program(program.name, extract(exported), exported, program.notes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: _tied("cpu"),
        lambda: _tied("meta"),
        _fake,
        lambda: _decomposed(Attention(), torch.ones(2, 3, 6, 4)),
        lambda: _decomposed(torch.nn.Sequential(torch.nn.BatchNorm2d(3)), torch.ones(2, 3, 6, 4)),  # unused results
    ],
    ids=["tied", "tied-meta", "fake", "attention", "unused-results"],
)
def test_saved_and_live_programs_report_the_same(make: Callable[[], Program], tmp_path: Path) -> None:
    program, path = make(), tmp_path / "model.pt2"
    torch.export.save(program.exported, path)
    live, saved = graphlab.analyze(program).to_dict(), graphlab.analyze(path).to_dict()
    del live["source"], saved["source"]
    assert json.dumps(saved) == json.dumps(live)
