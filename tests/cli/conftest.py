"""Runs the command line in this process on the sample report, so that no model is captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import graphlab.api
import graphlab.loading
from graphlab.cli.main import main
from graphlab.errors import UnknownNameError
from graphlab.report.data import AnalysisReport
from graphlab.workload import Stage, Variable, Workload
from tests.report.sample import DECODER, UNET, report

Run = Callable[..., "Result"]


@dataclass(frozen=True)
class Result:
    """What a run printed and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Makes `load` and `analyze` answer with the sample; collects the arguments they got."""
    seen: list[dict[str, Any]] = []
    variables = (Variable("height", 64, "pixels", multiple_of=8), Variable("config", 1, "a hostile name"))

    def load(source: str, **options: Any) -> Workload:
        seen.append({"source": source, **options})
        stages = tuple(Stage(name, "float16", {}) for name in ("unet", "decoder"))
        if source == "nope":
            raise UnknownNameError("no built-in model is called 'nope'")
        return Workload("toy", source, stages, variables)

    def analyze(workload: Workload, device: Any, *, stage: str | None, **options: Any) -> AnalysisReport:
        seen.append({"workload": workload, "device": device, "stage": stage, **options})
        options["progress"]("unet")
        picked = tuple(item for item in (UNET, DECODER) if stage in (None, item.name))
        return report(device=device is not None, stages=picked)

    monkeypatch.setattr(graphlab.loading, "load", load)
    monkeypatch.setattr(graphlab.api, "analyze", analyze)
    return seen


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], calls: list[dict[str, Any]]) -> Run:
    """`run("analyze", "toy")` as from a shell."""

    def go(*args: str) -> Result:
        code = main(args)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return go
