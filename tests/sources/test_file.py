"""Files end to end: exported programs, TorchScript, checkpoints and pickled modules, through `graphlab.load`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import BindingError, GraphlabError, SourceError, UnknownArchitectureError, UnsafeSourceError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 8)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        x = self.fc(self.conv(picture).flatten(2).transpose(1, 2))
        return nn.functional.scaled_dot_product_attention(x, x, x)


PICTURE = (torch.randn(2, 3, 6, 5),)


def report_text(report: graphlab.AnalysisReport) -> str:
    """The JSON of `report` without where it came from."""
    data = report.to_dict()
    del data["source"]
    return json.dumps(data)


@pytest.mark.parametrize("suffix", ["pt2", "pt"])
@pytest.mark.parametrize("dynamic", [True, False])
def test_live_and_saved_give_the_same_report_to_the_byte(tmp_path: Path, suffix: str, dynamic: bool) -> None:
    program = graphlab.capture(Net(), PICTURE, dynamic="auto" if dynamic else False)
    path = tmp_path / f"net.{suffix}"
    assert program.exported is not None
    torch.export.save(program.exported, path)
    assert report_text(graphlab.analyze(path)) == report_text(graphlab.analyze(program))


def test_why_a_capture_is_static_is_saved_with_it(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(4, 6).flatten() + x.sum()

    program = graphlab.capture(Fixed(), (torch.randn(24),))
    assert "captured statically" in program.notes[0]
    assert program.exported is not None
    torch.export.save(program.exported, tmp_path / "fixed.pt2")
    assert report_text(graphlab.analyze(tmp_path / "fixed.pt2")) == report_text(graphlab.analyze(program))


def test_options_without_a_use_are_refused(tmp_path: Path) -> None:
    exported = graphlab.capture(Net(), PICTURE).exported
    assert exported is not None
    torch.export.save(exported, tmp_path / "net.pt2")
    for source in (str(tmp_path / "net.pt2"), "llama-2-7b-tiny"):
        with pytest.raises(SourceError, match="--input"):
            graphlab.load(source, inputs={"picture": "2x3x6x5"})
        with pytest.raises(SourceError, match="--config"):
            graphlab.load(source, config=tmp_path / "config.json")
    own = tmp_path / "own.py"
    with pytest.raises(GraphlabError, match=r"no such file: .*own\.py"):
        graphlab.load(own)
    own.write_text("def first():\n    pass\n\n\ndef second():\n    pass\n")
    with pytest.raises(GraphlabError, match=r"own\.py names no function \(write .*own\.py:FUNCTION; .*first, second"):
        graphlab.load(own)


def test_a_saved_program_takes_other_sizes_by_the_names_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    exported = graphlab.capture(Net(), PICTURE).exported
    assert exported is not None
    torch.export.save(exported, path)
    report = graphlab.analyze(path, **{"picture.h": 12})
    assert report.bindings == {"picture.b": 2, "picture.h": 12, "picture.w": 5}
    n = 60
    assert report.stages[0].flops_per_step == 2 * (2 * 8 * n * 27 + 2 * n * 64 + 4 * n * n * 8)
    with pytest.raises(BindingError, match=r"picture\.h, picture\.w"):
        graphlab.load(path, **{"picture.height": 12})


def test_a_cached_and_a_live_capture_give_the_same_report_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    live = graphlab.analyze("llama-2-7b-tiny", new_tokens=3)
    assert list(tmp_path.glob("*.json.gz"))
    assert report_text(graphlab.analyze("llama-2-7b-tiny", new_tokens=3)) == report_text(live)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # what users still have on disk
def test_torchscript_needs_shapes_and_then_counts_the_same(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.jit.trace(Net(), PICTURE).save(str(path))
    with pytest.raises(SourceError, match=r"\(picture\).*--input"):
        graphlab.load(path)
    with pytest.raises(SourceError, match="did you mean 'picture'"):
        graphlab.load(path, inputs={"pictures": "2x3x6x5"})
    with pytest.raises(SourceError, match="is no tensor"):
        graphlab.load(path, inputs={"picture": "2x3:float99"})
    report = graphlab.analyze(path, inputs={"picture": "2x3x6x5:float32"})
    assert (
        report.stages[0].flops_per_step == graphlab.analyze(graphlab.capture(Net(), PICTURE)).stages[0].flops_per_step
    )
    assert report.stages[0].parameters == sum(p.numel() for p in Net().parameters())
    assert report.stages[0].name == "Net"
    assert [row.name for row in report.stages[0].inputs] == ["picture"]
    assert "captured statically" in report.stages[0].notes[0]


def test_a_pickled_module_is_refused_unless_trusted(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(Net(), path)
    with pytest.raises(UnsafeSourceError, match="--trust-pickle"):
        graphlab.load(path)
    report = graphlab.analyze(path, trust_pickle=True, inputs={"picture": "2x3x6x5:float32"})
    assert report.stages[0].name == "Net"


def test_an_unknown_state_dict_asks_for_a_config(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(Net().state_dict(), path)
    with pytest.raises(UnknownArchitectureError, match="--config"):
        graphlab.load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pt", b"", "is empty"),
        ("text.pt", b"these are my notes " * 9, "text file"),
        ("cut.pt2", b"PK\x03\x04" + b"\0" * 60, "zip"),
    ],
)
def test_what_is_no_model_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        graphlab.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_misspelled_model() -> None:
    with pytest.raises(SourceError, match="no such file"):
        graphlab.load("somewhere/unet.pt")
    with pytest.raises(graphlab.GraphlabError, match="did you mean 'stable-diffusion-v1-5'"):
        graphlab.load("stable-difusion-v1-5")
