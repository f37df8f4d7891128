"""A folder on the path for distributions of a test; what is found there is forgotten afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import graphlab.hardware
import graphlab.lowering.registry
import graphlab.models.registry
import graphlab.plugins
from graphlab.discovery.points import all_points
from tests.plugins.install import distribution

Add = Callable[..., None]


def forget() -> None:
    """Lets every kind of plug-in be looked for again."""
    all_points.cache_clear()
    for module in (graphlab.plugins, graphlab.models.registry, graphlab.hardware, graphlab.lowering.registry):
        module.registry.cache_clear()


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """`add("name", {"module.py": text}, "[graphlab.passes]...")` installs a distribution for the test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    known = set(sys.modules)

    def install(name: str, files: dict[str, str], entry_points: str, version: str = "1.0") -> None:
        distribution(site, name, files, entry_points, version)
        forget()

    yield install
    forget()
    for name in set(sys.modules) - known:
        if str(site) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
