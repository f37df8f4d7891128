"""Rivals in one interleaved contest, with a large product timed in the same rounds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import graphlab
from benchmarks.export_rivalry.cases import RANDOM, Case
from benchmarks.export_rivalry.makers import model_path
from graphlab.lowering.registry import backend_from
from graphlab.rewriting.options import spelled
from graphlab.timing.candidates import Candidate
from graphlab.timing.contest import Contest, Limits
from graphlab.timing.entrant import Entrant
from graphlab.timing.job import Job, ProgramFiles
from graphlab.timing.prepare import StageFiles, Wanted
from graphlab.timing.stage import outcome
from graphlab.timing.store import write_tensors
from graphlab.timing.surroundings import surroundings

GEMM = "GEMM"


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate: a `backend` on the model file `file`, or on the program captured in `dtype` after -O`rewrite`."""

    name: str
    backend: str
    file: str | None = None
    dtype: str = "float32"
    rewrite: int = 0


@dataclass
class Race:
    """Runs rivals on `case`; files of theirs lie in `folder`.

    `gemm` is the side of the product that is the limit, `threads` those of every call.
    """

    case: Case
    folder: Path
    limits: Limits
    threads: int
    gemm: int
    say: Callable[[str], None] = print

    def run(self, rivals: Sequence[Rival], base: str) -> dict[str, Any]:
        """The outcome as JSON values: a row a rival, ratios to the one called `base`, and FLOP/s of the products."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="race-") as place:
            limits = [self._gemm(item) for item in gemms({rival.dtype for rival in rivals})]
            entrants = [*limits, *(self._entrant(rival) for rival in rivals)]
            environment = surroundings(self.folder, self.threads)
            for entrant in entrants:
                entrant.environment = environment(entrant.candidate.label)
            contest = Contest(
                entrants,
                lambda: Job(f"eager,threads={self.threads}", (self.files.files("float32", 0),)),
                "float32",
                Path(place),
                self.limits,
                environment("reference"),
                self.say,
            )
            contest.run()
        first = next((item for item in entrants if item.candidate.label == base and item.times is not None), None)
        return {
            "case": self.case.name,
            "latent": self.case.latent,
            "flops": self.flops,
            "turns": contest.turns,
            "rounds": contest.heats.rounds if contest.heats is not None else 0,
            "load": os.getloadavg()[0],
            "gemm": {item.candidate.label: self._rate(item) for item in limits if item.times is not None},
            "gemm_errors": {item.candidate.label: item.error for item in limits if item.times is None},
            "rows": [asdict(outcome(item, first)) for item in entrants[len(limits) :]],
        }

    @cached_property
    def flops(self) -> int:
        """FLOP of one call of the unrewritten program."""
        costs = self.files.facts.result("cost")
        return sum(cost.flops or 0 for cost in costs.values())

    @cached_property
    def files(self) -> StageFiles:
        """The files of the programs, made when they are asked for and kept until `close`."""
        place = Path(self._scratch.name)
        return StageFiles(self.case.workload, self.case.found, self.case.values, place, Wanted(weights=RANDOM))

    @cached_property
    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self.folder, prefix="programs-")

    def close(self) -> None:
        """Deletes the programs."""
        self._scratch.cleanup()

    def _entrant(self, rival: Rival) -> Entrant:
        backend = backend_from(f"{rival.backend},threads={self.threads}")
        return Entrant(Candidate(rival.name, backend, rival.rewrite), rival.dtype, lambda: self._job(rival, backend))

    def _job(self, rival: Rival, backend: Any) -> Job:
        if rival.file is None:
            return Job(spelled(backend), (self.files.files(rival.dtype, rival.rewrite),))
        path = model_path(self.folder, rival.file)
        return Job(spelled(backend), (ProgramFiles(self.case.stage, str(path), (), str(self.files.inputs)),))

    def _gemm(self, rival: Rival) -> Entrant:
        backend = backend_from(f"{rival.backend},threads={self.threads}")
        place = Path(self._scratch.name) / rival.name.replace(" ", "-")
        product = Candidate(rival.name, backend)
        spelling = spelled(backend)
        return Entrant(product, rival.dtype, lambda: gemm_job(rival, spelling, self.gemm, place), compared=False)

    def _rate(self, entrant: Entrant) -> float:
        assert entrant.times is not None
        return 2 * self.gemm**3 / entrant.times.seconds


def gemms(dtypes: set[str]) -> list[Rival]:
    """The products timed beside rivals in `dtypes`: the larger one of a precision is the limit."""
    found = []
    if "float32" in dtypes:
        found += [Rival(f"{GEMM} torch", "eager"), Rival(f"{GEMM} MLAS", "onnxruntime", file="product")]
    if "bfloat16" in dtypes:
        found.append(Rival(f"{GEMM} torch bfloat16", "eager", dtype="bfloat16"))
        found.append(Rival(f"{GEMM} OpenVINO bfloat16", "openvino,precision=bf16", file="product"))
    return found


def gemm_job(rival: Rival, backend: str, side: int, place: Path) -> Job:
    """x @ W, both `side` x `side`, W a weight: as a program, or as a model file where `rival` runs files."""
    place.mkdir(exist_ok=True)
    dtype = getattr(torch, rival.dtype)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(side, side, generator=generator)
    inputs = {"x": torch.randn(side, side, generator=generator).to(dtype)}
    given = place / "inputs.safetensors"
    if not given.exists():
        write_tensors(given, inputs, inputs)
    path = place / ("model.onnx" if rival.file else "product.pt2")
    values: tuple[str, ...] = ()
    if rival.file:
        _save_product(weight, path)
    else:
        values = (_save_program(weight.to(dtype), path),)
    return Job(backend, (ProgramFiles("product", str(path), values, str(given)),))


def _save_product(weight: torch.Tensor, path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    shape = list(weight.shape)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    node = helper.make_node("Gemm", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", [x], [y], [numpy_helper.from_array(weight.numpy(), "w")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))


def _save_program(weight: torch.Tensor, path: Path) -> str:
    from graphlab.rewriting.bare import held_tensors, save_bare

    module = _Product(weight).eval()
    program = graphlab.capture(module, (torch.zeros_like(weight),), dynamic=False)
    save_bare(program, path)
    stored = path.with_suffix(".safetensors")
    held = held_tensors(program)
    if not stored.exists():
        write_tensors(stored, held, held)
    return str(stored)


class _Product(torch.nn.Module):
    """x (M, K) @ weight (K, N)."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        return x @ self.weight


def share_of_limit(flops: int, seconds: float, gemm: Mapping[str, float], bfloat16: bool) -> float | None:
    """FLOP/s of a call over those of the fastest product of its precision; None where none was timed."""
    rates = [rate for name, rate in gemm.items() if ("bfloat16" in name) == bfloat16]
    return flops / seconds / max(rates) if rates else None
