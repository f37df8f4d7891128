"""`graphlab rewrite`: passes by level and name, files whole or not at all, reports, and errors in one line."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import graphlab
from graphlab.cli.main import main
from graphlab.discovery.owner import Owner
from graphlab.discovery.registry import Entry, Registry
from graphlab.errors import GraphlabError
from graphlab.masks import write_mask
from graphlab.plugins import passes as installed
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.record import saved_history
from graphlab.rewriting.rewrite import Rewrite
from tests.cli.conftest import Result

SOURCE = "stable-diffusion-v1-5-tiny"


class Block(nn.Module):
    """x (batch, tokens, 8) and text (batch, words, 8) to x: attention written out, a GEGLU, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.up, self.down = nn.Linear(8, 32), nn.Linear(16, 8)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        scores = self.q(x) @ self.k(text).transpose(1, 2) * 8**-0.5
        x = x + self.drop(scores.softmax(-1) @ self.v(text))
        hidden, gate = self.up(x).chunk(2, -1)
        return x + self.down(hidden * nn.functional.gelu(gate))


INPUTS = (torch.linspace(-1, 1, 96).reshape(2, 6, 8), torch.linspace(-2, 2, 48).reshape(2, 3, 8))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of two blocks with weights, as a file."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Block(), Block()])

        def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(x, text)
            return x

    torch.manual_seed(0)
    program = graphlab.capture(Two().eval().requires_grad_(False), INPUTS)
    path = tmp_path_factory.mktemp("programs") / "two.pt2"
    assert program.exported is not None
    torch.export.save(program.exported, path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run(path, "-O2")` as from a shell."""
    monkeypatch.setenv("COLUMNS", "200")

    def go(*args: object) -> Result:
        code = main(["rewrite", *map(str, args)])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return go


def report_of(run: Any, *args: object) -> dict[str, Any]:
    result = run(*args, "--json", "-")
    assert result.code == 0, result.err
    found: dict[str, Any] = json.loads(result.out)
    return found


def outputs(path: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = torch.export.load(path).module(check_guards=False)(*INPUTS)
    return found


def names(report: dict[str, Any]) -> list[str]:
    return [row["name"] for row in report["stages"][0]["passes"]]


def words(item: object) -> str:
    return " ".join(item) if isinstance(item, (tuple, list)) else ""


LEVEL_1 = ["drop-noops", "fold-constants", "eliminate-common", "eliminate-dead"]


@pytest.mark.parametrize(
    ("args", "level", "passes"),
    [
        (("-O0",), 0, []),
        (("-O1",), 1, LEVEL_1),
        (("-O", "1"), 1, LEVEL_1),
        (("--pass", "fuse-attention"), None, ["fuse-attention"]),
        (("-O0", "--pass", "fuse-geglu", "--pass", "fuse-kv"), 0, ["fuse-geglu", "fuse-kv"]),
        (("--pass", "fuse-kv", "-O1"), 1, [*LEVEL_1, "fuse-kv"]),
    ],
    ids=words,
)
def test_level_and_passes(run: Any, saved: Path, args: tuple[str, ...], level: int | None, passes: list[str]) -> None:
    report = report_of(run, saved, *args)
    assert (report["level"], report["passes"], names(report)) == (level, passes, passes)


def test_without_either_it_is_level_2(run: Any, saved: Path) -> None:
    report = report_of(run, saved)
    assert report["level"] == 2
    stage = report["stages"][0]
    assert (stage["before"]["attention_spelled"], stage["after"]["attention_spelled"]) == (2, 0)
    assert stage["after"]["attention_fused"] == 2
    assert stage["after"]["bytes"] < stage["before"]["bytes"]
    assert stage["after"]["nodes"] < stage["before"]["nodes"]
    assert stage["before"]["weight_bytes"] == stage["after"]["weight_bytes"]


def test_the_file_computes_the_same_loads_without_graphlab_and_is_a_source(
    run: Any, saved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.pt2"
    result = run(saved, "-O2", "--verify", "-o", out)
    assert (result.code, result.err) == (0, "")
    assert f"written to {out}" in result.out
    assert os.listdir(tmp_path) == ["out.pt2"]
    torch.testing.assert_close(outputs(out), outputs(saved), rtol=1e-4, atol=1e-5)
    program = torch.export.load(out)
    assert not [node for node in program.graph.nodes if "graphlab" in str(node.target)]
    assert [entry.split(";")[0] for entry in saved_history(program)][-1] == "decompose-fused"
    again = report_of(run, out, "-O1")["stages"][0]
    assert again["changes"] == []
    assert again["history"] == list(saved_history(program))
    written, read = (graphlab.analyze(path).stages[0] for path in (out, out))
    assert written.flops_per_step == read.flops_per_step == graphlab.analyze(saved).stages[0].flops_per_step


def test_keep_fused_keeps_the_operators(run: Any, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pt2"
    assert run(saved, "--keep-fused", "-o", out).code == 0
    assert "graphlab.geglu.default" in {str(node.target) for node in torch.export.load(out).graph.nodes}


def test_a_folder_gets_a_file_a_stage(run: Any, saved: Path, tmp_path: Path) -> None:
    assert run(saved, "-O1", "-o", f"{tmp_path}/new/").code == 0
    assert os.listdir(tmp_path / "new") == ["Two.pt2"]
    assert run(saved, "-O1", "-o", tmp_path).code == 0
    assert (tmp_path / "Two.pt2").read_bytes() == (tmp_path / "new" / "Two.pt2").read_bytes()


def test_a_stage_of_a_model(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "text.pt2"
    result = run(SOURCE, "--stage", "text_encoder", "--static", "--set", "tokens=16", "-O1", "-o", out)
    assert result.code == 0, result.err
    assert "the program holds shapes and dtypes of its weights, no values" in result.out
    (node,) = graphlab.load(out).stages[0].program.graph.inputs  # type: ignore[union-attr]  # a .pt2 has a program
    assert node.out.shape == (1, 16)


def test_several_stages_need_a_choice(run: Any, tmp_path: Path) -> None:
    result = run(SOURCE, "-o", tmp_path / "x.pt2")
    assert (result.code, result.out) == (1, "")
    assert "has several stages (pick one with --stage: text_encoder, unet, vae_decoder)" in result.err


def test_what_stayed_is_grouped_with_its_reason(run: Any, saved: Path) -> None:
    (group,) = report_of(run, saved, "--pass", "fuse-qkv")["stages"][0]["skips"]
    assert (group["pass"], group["module"], len(group["nodes"])) == ("fuse-qkv", "blocks.*.q", 2)
    text = run(saved, "--pass", "fuse-qkv").out
    line = next(line for line in text.splitlines() if "blocks.*.q" in line)
    assert line.split()[:3] == ["2", "x", "fuse-qkv"]
    assert group["why"] in line


def test_diff_shows_alike_changes_once(run: Any, saved: Path) -> None:
    result = run(saved, "--pass", "fuse-geglu", "--diff")
    lines = result.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("@@"))
    shown = [line for line in lines[start:] if line[:2] in ("@@", "# ", "- ", "+ ")]
    assert shown[0].startswith("@@ 2 x blocks.* test_rewrite.py:")
    assert shown[1:] == [
        "# fuse-geglu: hidden * gelu(gate) of the two halves of one axis",
        "# 5 calls -> 1",
        "- chunk = aten.chunk(linear_3, 2, -1)",
        "- getitem = getitem(chunk, 0)",
        "- getitem_1 = getitem(chunk, 1)",
        "- gelu = aten.gelu(getitem_1)",
        "- mul_1 = aten.mul(getitem, gelu)",
        "+ geglu_default = graphlab.geglu(linear_3, 'none', False)",
    ]
    assert report_of(run, saved, "--pass", "fuse-geglu")["stages"][0]["diff"] is None


def test_diff_of_nothing(run: Any, saved: Path) -> None:
    assert "what changed\nnothing\n" in run(saved, "-O0", "--diff").out


def test_verification_is_reported(run: Any, saved: Path) -> None:
    report = report_of(run, saved, "-O2", "--verify")["stages"][0]["verification"]
    assert (report["mode"], report["base"], report["complete"]) == ("whole", "the program given", True)
    assert len(report["bindings"]) == 2
    assert 0 <= report["worst_float64"] < 1e-10
    text = run(saved, "-O0", "--verify").out
    for part in ("equal to the program given, compared whole", "float64: largest relative error", "values compared"):
        assert part in text


class Wrong(Rewrite):
    """Halves what dropout returns."""

    name = "wrong"

    def apply(self, draft: Draft) -> None:
        for node in draft.calls(torch.ops.aten.dropout.default):
            half = draft.call(torch.ops.aten.div.Tensor, node.args[0], 2, at=node)
            draft.replace(node, half, "nearly")


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs `Wrong`."""
    known = Registry("pass", {**installed(), "wrong": Entry("wrong", Wrong, Owner("tests"))})
    monkeypatch.setattr("graphlab.rewriting.options.registry", lambda: known)


def test_a_broken_rewrite_is_named_and_writes_nothing(run: Any, saved: Path, tmp_path: Path, wrong: None) -> None:
    out, other = tmp_path / "out.pt2", tmp_path / "r.json"
    out.write_bytes(b"what was there")
    result = run(saved, "--pass", "wrong", "--verify", "-o", out, "--json", other)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: pass wrong broke dropout, now div_tensor: relative error ")
    assert result.err.count("\n") == 1
    assert out.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["out.pt2"]


def test_a_mask_runs_first_and_is_accounted_for(run: Any, saved: Path, tmp_path: Path) -> None:
    state = torch.export.load(saved).state_dict
    key = "blocks.0.up.weight"
    mask = torch.zeros(32, 8, dtype=torch.bool)
    mask[3] = True
    write_mask(tmp_path / "m.safetensors", {key: mask}, {name: value.detach() for name, value in state.items()})
    edited = state[key].detach().clone()
    edited[3] += 1
    save_file({key: edited}, tmp_path / "e.safetensors")
    spec = f"apply-weight-mask,mask={tmp_path}/m.safetensors,weights={tmp_path}/e.safetensors"
    report = report_of(run, saved, "-O2", "--pass", spec, "--verify", "-o", tmp_path / "out.pt2")["stages"][0]
    assert report["passes"][0]["name"] == "apply-weight-mask"
    (row,) = report["masks"]
    assert (row["key"], row["set_entries"], row["density"], row["changed_entries"]) == (key, 8, 1 / 32, 8)
    assert report["verification"]["base"] == "the program after apply-weight-mask"
    assert torch.equal(torch.export.load(tmp_path / "out.pt2").state_dict[key], edited)
    text = run(saved, "--pass", spec).out
    assert "masked weights" in text
    assert "3.1 %" in text
    (tmp_path / "m.safetensors").write_bytes(b"no mask")
    broken = run(saved, "--pass", spec, "-o", tmp_path / "b.pt2")
    assert (broken.code, broken.err.count("\n")) == (1, 1)
    assert broken.err.startswith("error: pass apply-weight-mask: ")
    assert not (tmp_path / "b.pt2").exists()


def test_splitting_over_the_loop(run: Any, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    report = report_of(run, saved, "-O3", "--invariant", "text", "-o", out)
    assert report["passes"][-1] == "hoist-loop-invariants,invariant=text"
    split = report["stages"][0]["split"]
    assert [row["part"] for row in split["parts"]] == ["before", "prologue", "step"]
    assert split["parameters_left"] == 2 * 2 * 64
    assert sorted(os.listdir(out)) == ["hoisted.json", "prologue.pt2", "step.pt2"]
    again = run(saved, "-O3", "--invariant", "text", "-o", out)
    assert (again.code, again.out) == (1, "")
    assert "a stage that is split goes into a new folder" in again.err
    text = run(saved, "--pass", "hoist-loop-invariants,invariant=text").out
    assert "over the loop" in text


def test_nothing_to_split_says_why(run: Any, saved: Path, tmp_path: Path) -> None:
    result = run(saved, "-O3", "-o", f"{tmp_path}/d")
    assert result.code == 0
    assert "not split over the loop: no input is named as invariant or as the schedule" in result.out
    assert os.listdir(tmp_path / "d") == ["Two.pt2"]


def test_markdown_holds_everything_shown(run: Any, saved: Path) -> None:
    text = run(saved, "-O2", "--verify", "--diff", "--markdown", "-").out
    for title in ("# Two", "before and after", "passes", "new tensors", "verification", "what changed"):
        assert title in text
    assert "    + " in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--pass", "fuse-atention"), "no pass is called 'fuse-atention' (did you mean 'fuse-attention'?"),
        (("--pass", "cost"), "pass 'cost' is no rewrite (analyses run under `graphlab analyze`)"),
        (("--pass", "fuse-attention,rows=x"), "pass fuse-attention has no option 'rows' (did you mean 'masked_rows'?"),
        (("--pass", "fold-constants,limit_mb=-1"), "pass fold-constants: limit_mb=-1 is not a number of at least 0.0"),
        (("--pass", "fuse-attention,masked_rows=no"), "pass fuse-attention: masked_rows=no is not one of exact, trust"),
        (("--pass", "apply-weight-mask"), "pass apply-weight-mask needs mask=... (the mask"),
        (
            ("--pass", "fuse-geglu", "--pass", "decompose-fused"),
            "passes undo each other: fuse-geglu and decompose-fused",
        ),
        (("--stage", "unet"), "Two has no stage 'unet'"),
        (("-o", "lost/out.pt2"), "cannot write lost/out.pt2: there is no folder"),
        (("--json", "lost/r.json"), "cannot write lost/r.json: there is no folder"),
        (("--invariant", "text"), "no level splits the stage"),
        (("-O3", "--invariant", "texts"), "pass hoist-loop-invariants: the program has no input 'texts' (did you mean"),
    ],
    ids=words,
)
def test_an_error_is_one_line(run: Any, saved: Path, args: tuple[str, ...], message: str) -> None:
    result = run(saved, *args)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        ("-O4",),
        ("-O", "fast"),
        ("--pass", "fold-constants,limit_mb"),
        ("--pass", ""),
        ("-o", "-"),
        ("-o", "out.onnx"),
        ("-O3", "-o", "out.pt2"),
        ("-o", "same.pt2", "--json", "same.pt2"),
        ("--set", "height"),
        ("--strict",),
    ],
    ids=words,
)
def test_wrong_syntax_is_2(run: Any, saved: Path, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("the long work began")

    monkeypatch.setattr("graphlab.loading.load", never)
    result = run(saved, *args)
    assert (result.code, result.out) == (2, "")


def test_a_path_that_cannot_be_written_is_found_before_the_work(run: Any, saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (tmp_path / "file").write_bytes(b"")
    for out in (f"{tmp_path}/file/", f"{tmp_path}/file/x.pt2"):
        result = run(saved, "-o", out)
        assert (result.code, result.out) == (1, "")
        assert "cannot write" in result.err


def test_a_full_disk_leaves_nothing(run: Any, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(program: object, path: Path) -> None:
        Path(path).write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.export, "save", full)
    result = run(saved, "-O1", "-o", f"{tmp_path}/new/")
    assert (result.code, result.out) == (1, "")
    assert "No space left on device" in result.err
    assert os.listdir(tmp_path) == []


def test_a_script_has_no_program_to_rewrite(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript
        torch.jit.save(torch.jit.script(nn.Linear(4, 4).eval()), path)
    result = run(path, "--input", "input=2x4:float32")
    assert (result.code, result.out) == (1, "")
    assert "has no exported program to rewrite" in result.err


def test_python_says_the_same(saved: Path) -> None:
    result = graphlab.rewrite(saved, level=2, verify=True)
    assert result.verification is not None
    assert result.verification.complete
    with pytest.raises(GraphlabError, match=r"there is no level 4 .levels: 0, 1, 2, 3"):
        graphlab.rewrite(saved, level=4)
