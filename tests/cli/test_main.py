"""How a run ends: exit codes, one line an error, tracebacks only when asked for."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import graphlab.loading
from graphlab.cli.main import main
from graphlab.cli.options import parse_input
from tests.cli.conftest import Run


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(graphlab.loading, "load", load)


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"graphlab {graphlab.__version__}\n"
    assert "Commands:" in run("--help").out
    assert run("analyze", "-h").code == 0


@pytest.mark.parametrize("args", [(), ("nothing",), ("analyze",), ("explain", "toy"), ("--nothing",)])
def test_no_such_command_line(run: Run, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert (result.code, result.out) == (2, "")
    assert result.err


def test_an_unexpected_error_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, RuntimeError("two\nlines \x1b[31m"))
    result = run("analyze", "toy")
    assert (result.code, result.out) == (1, "")
    assert result.err == "internal error: RuntimeError: two lines \\x1b[31m; rerun with --debug\n"


@pytest.mark.parametrize(
    "args", [("--debug", "analyze", "toy"), ("analyze", "toy", "--debug"), ("analyze", "--debug", "toy")]
)
def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]) -> None:
    fail_with(monkeypatch, RuntimeError("boom"))
    result = run(*args)
    assert result.code == 1
    assert "Traceback" in result.err
    assert "raise error" in result.err


def test_a_source_called_debug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, RuntimeError("boom"))
    result = run("analyze", "--", "--debug")
    assert "Traceback" not in result.err


def test_an_interrupt_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert run("analyze", "toy").code == 130


@pytest.mark.parametrize(
    "args", [("analyze", "toy"), ("bench", "toy", "--backend", "eager"), ("export", "toy", "-o", "m.onnx")]
)
def test_a_signal_ends_any_command_as_an_interrupt_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    def load(*_: object, **__: object) -> None:
        assert callable(signal.getsignal(signal.SIGTERM))
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError

    monkeypatch.setattr(graphlab.loading, "load", load)
    result = run(*args)
    assert (result.code, result.err) == (130, "interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_source_that_exits_is_an_error_of_the_source(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, SystemExit(0))
    result = run("analyze", "toy")
    assert (result.code, result.err) == (1, "error: the source's own code called sys.exit(0)\n")


def test_explain_wants_one_stage_and_lists_them(run: Run) -> None:
    result = run("explain", "toy", "only_here", "--stage", "decoder")
    assert result.code == 0
    assert "decoder" in result.out
    result = run("explain", "toy", "conv")
    assert (result.code, result.out) == (1, "")
    assert "--stage: unet, decoder" in result.err


def test_explain_says_what_is_known(run: Run) -> None:
    result = run("explain", "toy", "mix", "--stage", "unet", "--device", "l4")
    for text in ("aten.bmm.default", "model.py:12", "blocks.0.attn (Attention)", "matmul", "attention_core",
                 "self, spatial, not causal", "16 = height*width/64", "none have run", "an estimate"):  # fmt: skip
        assert text in result.out, text
    result = run("explain", "toy", "mystery", "--stage", "unet")
    assert "unknown: this op has no rule" in result.out


def test_an_explanation_is_saved_and_shown_again(run: Run, tmp_path: Path) -> None:
    page, saved = tmp_path / "page.html", tmp_path / "saved.json"
    result = run("explain", "toy", "mix", "--stage", "unet", "--html", str(page), "--json", str(saved))
    assert (result.code, result.err) == (0, "")
    assert json.loads(saved.read_text())["explanation"]["row"]["op"] == "aten.bmm.default"
    assert run("report", str(saved), "-o", "-").out == page.read_text(encoding="utf-8")
    result = run("explain", "toy", "mix", "--stage", "unet", "--json", "-")
    assert result.out == saved.read_text()
    assert "aten.bmm.default" in result.err


@pytest.mark.parametrize(
    ("command", "text"), [("models", "stable-diffusion-v1-5"), ("devices", "https://"), ("passes", "fused-bytes")]
)
def test_lists(run: Run, command: str, text: str) -> None:
    result = run(command)
    assert (result.code, result.err) == (0, "")
    assert text in result.out


def test_an_input_in_parts() -> None:
    assert parse_input("sample=2x4x64x64:float16") == ("sample", (2, 4, 64, 64), "float16")
    assert parse_input("t=:int64") == ("t", (), "int64")


def test_main_takes_no_arguments_from_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["graphlab", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("graphlab ")
