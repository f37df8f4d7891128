"""The files in the real Model Explorer, in headless Chromium: graphs, layers and overlays, and no error."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from graphlab.drawing import graph_picture
from graphlab.report.group import Group
from graphlab.viewers.data import Drawing
from graphlab.viewers.model_explorer import OVERVIEW
from graphlab.viewers.overlays import GRADIENT
from tests.browser import Browser, Page
from tests.viewers.sample import HOSTILE, chain, diffusion, drawn, hostile

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("model_explorer") is None, reason="ai-edge-model-explorer is missing"
)

# JSON needs none of its adapters, of which PyTorch's and its 500 MB library take seconds to load.
SERVE = (
    "import sys; sys.modules['torch'] = sys.modules['ai_edge_model_explorer_adapter'] = None; "
    "from model_explorer.cmdline import main; main()"
)
TEXT = "(document.body?.innerText ?? '')"
SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running Model Explorer."""
    chosen, home = free_port(), tmp_path_factory.mktemp("home")
    command = [sys.executable, "-c", SERVE, "--port", str(chosen), "--no_open_in_browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(home)}
    )
    limit = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://localhost:{chosen}/check_health", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "Model Explorer ended"
            assert time.monotonic() < limit, "Model Explorer did not start"
            time.sleep(0.1)
    yield chosen
    process.terminate()
    process.wait(timeout=30)


def opened(browser: Browser, port: int, drawing: Drawing, folder: Path, limit: int | None = None) -> Page:
    """The page of `drawing` with its overlays, as `model-explorer FILE --node_data_paths ...` opens it."""
    first, *data = graph_picture("model-explorer", drawing, limit).save(folder / "model.json")
    asked = {"models": [{"url": first}], "nodeData": data, "nodeDataTargets": [""] * len(data)}
    address = f"http://localhost:{port}/?data={urllib.parse.quote(json.dumps(asked))}"
    page = Page(browser, address, 1400, 1000, until=f"{TEXT}.includes('Node data') && {TEXT}.includes('op node count')")
    return page


def words(page: Page) -> str:
    """What the page says, in one line."""
    return " ".join(page.evaluate(TEXT).split())


def problems(page: Page) -> list[str]:
    """What went wrong, but for addresses outside of this machine that the page asks for."""
    return [problem for problem in page.problems() if "net::ERR_" not in problem]


@pytest.fixture(scope="module")
def page(browser: Browser, port: int, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return opened(browser, port, diffusion(), tmp_path_factory.mktemp("diffusion"))


def test_it_shows_the_largest_graph_with_its_layers(page: Page) -> None:
    text, (_, unet, _) = words(page), diffusion().stages
    assert "stable-diffusion-v1-5-tiny" in text
    assert f"op node count {len(unet.nodes)} " in text
    assert "UNet2DConditionModel" in text
    layers = int(text.partition("layer count ")[2].split()[0])
    stacks = {node.modules[: depth + 1] for node in unet.nodes for depth in range(len(node.modules))}
    assert 0 < layers <= len(stacks) + 1  # the viewer leaves out layers of one node
    assert problems(page) == []


def test_it_shows_the_overlays_and_adds_them_up(page: Page) -> None:
    total = sum((node.cost for node in diffusion().stages[1].nodes), Group())
    page.wait(f"{TEXT}.includes('{total.flops}')")
    text = page.evaluate(TEXT)
    for name in ("FLOP", "materialized bytes", "category", "ideal microseconds, toy"):
        assert name in text
    assert str(total.bytes) in text
    assert "movement" in text
    assert problems(page) == []


def test_the_graph_of_the_stages_leads_to_the_others(page: Page) -> None:
    page.evaluate("document.querySelector('.mat-mdc-select-trigger').click()")
    options = "[...document.querySelectorAll('mat-option')].filter((option) => option.textContent.trim())"
    page.wait(f"{options}.length === 4")
    names = page.evaluate(f"{options}.map((option) => option.textContent)")
    assert [name.split()[0] for name in names] == [OVERVIEW, "unet", "vae_decoder", "text_encoder"]
    page.evaluate(f"{options}[0].click()")
    page.wait(f"{TEXT}.includes('the order of the stages')")
    assert problems(page) == []


def test_layers_expand_and_nodes_take_the_colours_of_the_overlay(browser: Browser, port: int, tmp_path: Path) -> None:
    page = opened(browser, port, drawn(chain(("a", "b"))), tmp_path)
    most = ImageColor.getrgb(GRADIENT[-1]["bgColor"])
    assert share_of(most, page.screenshot()) < 0.001
    page.evaluate("document.querySelector('mat-icon.expand-all').click()")
    limit = time.monotonic() + SECONDS
    while share_of(most, page.screenshot()) < 0.001:
        assert time.monotonic() < limit, "no node is as dark as the one that costs most"
        time.sleep(0.2)
    assert problems(page) == []


def share_of(colour: tuple[int, ...], picture: bytes) -> float:
    """The share of `colour` in the part of the window in which the graph is drawn."""
    shown = Image.open(io.BytesIO(picture)).convert("RGB").crop((0, 120, 1000, 1000))
    counts = {value: count for count, value in shown.getcolors(shown.width * shown.height) or ()}
    return counts.get(colour, 0) / (shown.width * shown.height)


def test_hostile_names_break_nothing(browser: Browser, port: int, tmp_path: Path) -> None:
    page = opened(browser, port, hostile(), tmp_path)
    assert f"op node count {2 * len(HOSTILE) + 3} " in words(page)
    assert f"{2 * len(HOSTILE) + 2} output_0" in words(page)
    assert problems(page) == []


def test_a_collapsed_graph_is_shown(browser: Browser, port: int, tmp_path: Path) -> None:
    page = opened(browser, port, diffusion(), tmp_path, limit=50)
    assert f"{diffusion().stages[1].calls} calls are drawn as" in page.evaluate("document.body.textContent")
    assert problems(page) == []


def test_an_error_is_noticed(browser: Browser, port: int, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"label": "a"}', encoding="utf-8")
    asked = {"models": [{"url": str(path)}]}
    address = f"http://localhost:{port}/?data={urllib.parse.quote(json.dumps(asked))}"
    page = Page(browser, address, 1000, until=f"/broken.json\\s+Error/.test({TEXT})")
    assert "op node count" not in page.evaluate(TEXT)
