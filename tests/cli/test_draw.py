"""`graphlab draw` and the trace of `graphlab profile`: files where they belong, and errors of one line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import networkx as nx
import pytest

import graphlab
from graphlab.cli.draw import Format, Runtime
from graphlab.cli.main import FAILURE, OK, USAGE, main
from graphlab.masks import write_mask
from graphlab.tracing import TRACED
from graphlab.viewers.formats import FORMATS
from tests.viewers.dot_grammar import Reader
from tests.viewers.trace_format import read, spans

MODEL = ("stable-diffusion-v1-5-tiny", "--stage", "text_encoder", "--static")
NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 4)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

def net():
    return Net().eval(), (torch.ones(2, 4),)
"""


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(args)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_options_hold_what_the_library_knows() -> None:
    assert tuple(Format) == FORMATS
    assert set(Runtime) == set(TRACED)


def test_model_explorer_writes_a_graph_and_its_overlays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    code, out, err = run(capsys, "draw", *MODEL, "-o", str(path), "--format", "model-explorer", "--device", "a100-80gb")
    assert (code, err) == (OK, "")
    assert {item.name for item in tmp_path.iterdir()} == {
        "text.json", "text.flops.json", "text.bytes.json", "text.category.json", "text.time.json",
    }  # fmt: skip
    assert [graph["id"] for graph in json.loads(path.read_text())["graphs"]] == ["text_encoder"]
    for text in ("critical path", "at best", "text.flops.json", "model-explorer ", "--node_data_paths"):
        assert text in out


def test_the_name_of_the_file_tells_the_format(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("a.dot", "a.gv"):
        assert run(capsys, "draw", *MODEL, "-o", str(tmp_path / name))[0] == OK
        assert Reader((tmp_path / name).read_text()).read().nodes
    assert run(capsys, "draw", *MODEL, "-o", str(tmp_path / "a.graphml"))[0] == OK
    assert nx.read_graphml(tmp_path / "a.graphml").number_of_nodes()
    for name in ("a.trace.json", "a.trace"):
        assert run(capsys, "draw", *MODEL, "-o", str(tmp_path / name), "--device", "l4")[0] == OK
        assert spans(read((tmp_path / name).read_text()))


def test_standard_output_holds_the_picture_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "draw", *MODEL, "-o", "-", "--format", "graphml", "--limit", "5")
    assert code == OK
    graph = nx.read_graphml(io.BytesIO(out.encode()))
    assert graph.number_of_nodes() <= 5
    assert "What is drawn" in err
    assert "collapsed by module" in err


def test_the_command_and_the_function_write_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = {"device": "l4", "stage": "text_encoder", "dynamic": False}
    for name, format in (("a.json", "model-explorer"), ("a.dot", None), ("a.graphml", None), ("a.trace", None)):
        made = graphlab.draw(MODEL[0], tmp_path / name, format=format, **options)
        kind = ["--format", format] if format else []
        assert run(capsys, "draw", *MODEL, "-o", str(tmp_path / f"b-{name}"), "--device", "l4", *kind)[0] == OK
        for path, text in made.files(tmp_path / name).items():
            other = Path(path).with_name(f"b-{Path(path).name}")
            assert Path(path).read_text() == text == other.read_text()


def test_a_mask_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import torch

    source, mask = tmp_path / "net.py", tmp_path / "mask.safetensors"
    source.write_text(NET)
    bits = torch.zeros(8, 4, dtype=torch.bool)
    bits[0] = True
    write_mask(mask, {"first.weight": bits}, {"first.weight": torch.ones(8, 4)})
    out = tmp_path / "net.json"
    code, _, err = run(
        capsys, "draw", f"{source}:net", "-o", str(out), "--format", "model-explorer", "--mask", str(mask)
    )
    assert (code, err) == (OK, "")
    data = next(iter(json.loads((tmp_path / "net.mask-density.json").read_text()).values()))
    assert [item["value"] for item in data["results"].values()] == [1 / 8]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "a.json"), "a.json may be meant for Model Explorer or for Perfetto"),
        (("-o", "a.png"), "a.png does not tell what to draw"),
        (("-o", "-"), "nothing tells what to draw"),
        (("-o", "missing/a.dot"), "cannot write missing/a.dot"),
        (("-o", "a.dot", "--device", "nope"), "no device"),
        (("-o", "a.dot", "--mask", "nope.safetensors"), "nope.safetensors"),
        (("-o", "a.dot", "--set", "height=7"), "height=7 is impossible"),
    ],
)
def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "draw", *MODEL, *args)
    assert (code, out) == (FAILURE, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("-o", "a.trace"),
        ("-o", "a.dot", "--expand", "2"),
        ("-o", "a.dot", "--runtime", "eager"),
        ("-o", "a.trace", "--device", "l4", "--limit", "9"),
        ("-o", "a.trace", "--device", "l4", "--mask", "m"),
        ("-o", "a.dot", "--limit", "2"),
        ("-o", "a.dot", "--format", "svg"),
        ("-o", "a.trace", "--device", "l4", "--runtime", "fast"),
    ],
)
def test_wrong_syntax_is_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "draw", *MODEL, *args)
    assert (code, out) == (USAGE, "")
    assert list(tmp_path.iterdir()) == []


def test_the_function_refuses_what_says_nothing(tmp_path: Path) -> None:
    for options in ({"runtime": "eager"}, {"expand": 2}):
        with pytest.raises(graphlab.GraphlabError, match="says nothing about dot"):
            graphlab.draw(MODEL[0], tmp_path / "a.dot", **options)  # type: ignore[arg-type]  # one of several options
    with pytest.raises(graphlab.GraphlabError, match="limit says nothing about perfetto"):
        graphlab.draw(MODEL[0], format="perfetto", device="l4", limit=5)
    with pytest.raises(graphlab.GraphlabError, match="needs a device"):
        graphlab.draw(MODEL[0], format="perfetto")
    with pytest.raises(graphlab.GraphlabError, match="did you mean 'graphml'"):
        graphlab.draw(MODEL[0], format="graphlm")
    with pytest.raises(graphlab.GraphlabError, match="cannot write"):
        graphlab.draw(MODEL[0], tmp_path / "missing" / "a.dot", stage="text_encoder", dynamic=False)
    with pytest.raises(graphlab.GraphlabError, match="pick one with --stage"):
        graphlab.draw("llama-2-7b-tiny", format="dot", masks=["m"], dynamic=False)


def test_a_measured_trace_has_the_predicted_one_beside_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.trace.json"
    sizes = ("--set", "tokens=8", "--stage", "prefill", "--rounds", "1", "--threads", "1")
    code, out, _ = run(capsys, "profile", "llama-2-7b-tiny", *sizes, "--trace", str(path), "--predicted", "h100-sxm")
    assert code == OK
    trace = read(path.read_text())
    assert "Predicted timeline" in out
    nodes = [[e["args"]["node"] for e in spans(trace, pid) if "node" in e["args"]] for pid in (1, 2)]
    assert nodes[0]
    assert set(nodes[1]) <= set(nodes[0])


def test_estimates_beside_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "profile", "llama-2-7b-tiny", "--predicted", "l4")[0] == USAGE
