"""README and the pages it links: links lead somewhere, commands parse and run, blocks of Python run, in order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from graphlab.cli.main import main
from graphlab.errors import GraphlabError

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/sources.md", "docs/python.md", "docs/viewers.md")
REWRITES = ("docs/rewrites.md", "docs/hoisting.md")
"""Their blocks run in tests/test_rewriter.py, or are an outline (docs/python.md has the one of hoisting that runs)."""
INSTALL = "pip install -e . && graphlab analyze stable-diffusion-v1-5"
TEST = "pip install -e '.[test]' && pytest"


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), flags=re.M | re.S)


def commands(page: str) -> list[str]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("graphlab ")]


def runnable() -> list[str]:
    """Commands whose source is built in or in examples/; those on files are tested where such files are made."""
    found = [command for page in PAGES for command in commands(page)]
    return [command for command in dict.fromkeys(found) if not {"script.pt", "unet.onnx"} & set(command.split())]


def test_the_two_lines() -> None:
    shell = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    assert shell[0] == INSTALL
    assert shell[1] == TEST
    assert "test" in tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("page", [*PAGES, *REWRITES])
def test_links_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", text(page))
    assert links
    missing = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_every_page_of_docs_is_linked() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", text("README.md")))
    names = [
        "cli",
        "sources",
        "python",
        "writing_a_pass",
        "cost_model",
        "json_schema",
        "models",
        "findings",
        "gpu_times",
        "gpu_measured",
        "rewrites",
        "hoisting",
        "masks",
        "diff",
        "erase",
        "viewers",
    ]
    assert linked >= {f"docs/{name}.md" for name in names}


@pytest.mark.parametrize("command", runnable())
def test_command_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    written = command.replace("report.html", str(tmp_path / "report.html"))
    for name in ("decoder.onnx", "model.json", "unet.json", "generation.trace.json", "text.dot", "unet.graphml"):
        written = written.replace(name, str(tmp_path / name))
    assert main(shlex.split(written)[1:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_command_of_the_install_line_parses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(INSTALL.partition("&& ")[2])[1:], "--help"]) == 0
    assert "--device" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "docs/python.md", "docs/viewers.md"])
def test_python_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # files of the examples
    code = blocks(page, "python")
    assert code
    exec(compile("\n".join(code), page, "exec", dont_inherit=True), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_excerpt_is_what_the_counter_says() -> None:
    """The U-Net's FLOP in the excerpt are those of the golden file, which torch's counter wrote."""
    assert '"flops": 803273441280,' in text("tests/golden/image_flops.json")
    assert "803.3 G" in text("README.md")


SHOWN = {
    "text.pt": b"hello this is not a model\n",
    "page.pt": b"<!DOCTYPE html><html></html>",
    "empty.pt": b"",
    "lfs.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n",
    "m.onnx": b"\x08\x08\x12\x07pytorch\x1a\x051.0.0",
}


@pytest.mark.parametrize("name", [*SHOWN, "missing.pt"])
def test_error_line_is_the_one_shown(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import graphlab

    monkeypatch.chdir(tmp_path)
    if name in SHOWN:
        Path(name).write_bytes(SHOWN[name])
    with pytest.raises(GraphlabError) as error:
        graphlab.load(name)
    shown = next(
        line for line in text("docs/sources.md").splitlines() if line.startswith(f"error: {name} ") or name in line
    )
    assert f"error: {error.value}".startswith(shown.removesuffix(" ..."))


def test_the_installed_command_answers() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("graphlab")), "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
