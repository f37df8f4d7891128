"""Captures made by the tests are shared between them and kept out of the user's cache; so is one browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import Browser, find_chromium

# The same examples every time, and no verdict from how busy the machine is.
settings.register_profile("graphlab", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graphlab")


def pytest_configure(config: pytest.Config) -> None:
    """One cache folder for the run; worker processes inherit it from the one that starts them."""
    if "GRAPHLAB_TEST_CACHE" not in os.environ:
        os.environ["GRAPHLAB_TEST_CACHE"] = tempfile.mkdtemp(prefix="graphlab-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop("GRAPHLAB_TEST_CACHE"), ignore_errors=True))
    os.environ["GRAPHLAB_CACHE"] = os.environ["GRAPHLAB_TEST_CACHE"]
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Nothing here is large enough for two threads, and where cores are few they wait for one another, many times
    # longer than they work. Processes that tests start inherit it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless Chromium for all tests of a process; without one they are skipped."""
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, without the tabs of other modules."""
    yield chromium
    chromium.close_tabs()
