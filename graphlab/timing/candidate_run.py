"""What a candidate's process does: loads its programs, compiles them, writes their outputs, runs samples."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import graphlab.fused  # noqa: F401  # programs in files may call its operators
from graphlab.graph import Graph
from graphlab.lowering.base import Backend, Compiled, Lowered, measured
from graphlab.lowering.contract import called, named, results_of
from graphlab.lowering.errors import BackendError
from graphlab.lowering.registry import own_backend_from
from graphlab.lowering.resident import peak_bytes, release, reset_peak, resident_bytes
from graphlab.program import Program
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.timing.job import Job, ProgramFiles, job_from
from graphlab.timing.sampling import Sampler
from graphlab.timing.store import StoredTensors, write_tensors

SETTLE_SECONDS = 0.05
"""Samples shorter than this are made after a call that is not timed: caches and threads of an idle process are cold."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Given:
    """A program of the job: its name, its inputs where the backend wants them, and its graph; none of an ONNX file."""

    name: str
    inputs: Tensors
    graph: Graph | None = None


@dataclass
class CandidateRun:
    """A job being done."""

    job: Job
    backend: Backend
    before_bytes: int | None
    programs: list[Given] = field(default_factory=list)
    calls: list[Callable[[Tensors], Any]] = field(default_factory=list)
    sampler: Sampler | None = None
    _short: bool = False
    _peaks: bool = True

    def compile(self) -> dict[str, Any]:
        """Compiles every program; the sums over them, and what the backend has to say."""
        made = [self._compiled(files) for files in self.job.programs]
        self.calls = [item.call for item in made]
        if self.job.sampling is not None:
            self.sampler = Sampler(self.job.sampling, self.programs[0].inputs)
        release()
        self._peaks = reset_peak()
        device = [item.device_bytes for item in made if item.device_bytes is not None]
        return {
            "seconds": sum(item.compile_seconds for item in made),
            "peak_bytes": max((item.peak_bytes for item in made if item.peak_bytes is not None), default=None),
            "device_bytes": sum(device) if device else None,
            "notes": list(dict.fromkeys(note for item in made for note in item.notes)),
        }

    def _compiled(self, files: ProgramFiles) -> Compiled:
        if files.is_onnx:
            stored = StoredTensors([Path(files.inputs)])
            names = list(stored)
            inputs = {name: stored[name].to(self.backend.place).clone() for name in names}
            self.programs.append(Given(files.name, inputs))
            return measured(self.backend, files.name, lambda: _open(self.backend, Path(files.path), names))
        exported = load_exported_program(Path(files.path))
        program = Program(files.name, extract(exported), exported)
        self.programs.append(Given(files.name, self._inputs(program, Path(files.inputs)), program.graph))
        made = self.backend.compile(program, StoredTensors([Path(path) for path in files.values]))
        return self._specialised(made) if program.graph.symbols else made

    def _specialised(self, made: Compiled) -> Compiled:
        """`made` after its first call, with what that takes longer than the second in its time, and in its peak.

        A program of symbolic sizes is compiled once more by some, at the first call, for a size of 1.
        """
        with named(self.backend, "cannot run"):
            first, second = (self._timed(partial(made.call, self.programs[-1].inputs), 1, warm=False) for _ in range(2))
        return replace(made, compile_seconds=made.compile_seconds + max(first - second, 0.0), peak_bytes=peak_bytes())

    def _inputs(self, program: Program, path: Path) -> dict[str, torch.Tensor]:
        """The inputs in the dtypes of the program, where the backend wants them; copies, nothing maps the file."""
        stored = StoredTensors([path])
        return {
            node.name: stored[node.name].to(self.backend.place, getattr(torch, node.out.dtype)).clone()
            for node in program.graph.inputs
        }

    def write_outputs(self, path: str) -> dict[str, Any]:
        """Runs every program once; the tensors among the results go to a file as "PROGRAM.RESULT"."""
        outputs: dict[str, torch.Tensor] = {}
        for number, (call, given) in enumerate(zip(self.calls, self.programs, strict=True)):
            with named(self.backend, f"cannot run {given.name}"):
                results: object = call(given.inputs)
            for index, value in enumerate(results_of(self.backend, given.name, results, given.graph)):
                outputs[f"{number}.{index}"] = value.detach().cpu().contiguous()
        write_tensors(Path(path), outputs, outputs)
        return {"outputs": len(outputs)}

    def sample(self, calls: int, *, whole: bool) -> dict[str, Any]:
        """Mean seconds of `calls` runs: of the sequence where `whole`, else of every program, times what it counts.

        A run before them is not timed where they are short.
        """
        with named(self.backend, "cannot run"):
            if whole:
                return {"seconds": self._timed(self._generation, calls, warm=False)}
            each = [self._timed(partial(call, inputs), calls, warm=True) for call, inputs in self._pairs()]
        return {"seconds": sum(w * seconds for w, seconds in zip(self.job.weights, each, strict=True))}

    def _pairs(self) -> list[tuple[Callable[[Tensors], Any], Tensors]]:
        return [(call, given.inputs) for call, given in zip(self.calls, self.programs, strict=True)]

    def _timed(self, run: Callable[[], Any], calls: int, *, warm: bool) -> float:
        """Mean seconds of `calls` runs in a row, garbage collection off."""
        gc.collect()  # before the run that warms up: it walks through all that Python holds
        gc.disable()
        try:
            if warm and self._short:
                run()
            self.backend.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            self.backend.synchronize()
            seconds = (time.perf_counter() - start) / calls
        finally:
            gc.enable()
        self._short = seconds < SETTLE_SECONDS
        return seconds

    def _generation(self) -> None:
        """Every call of the stage in a whole generation."""
        if self.sampler is not None:
            self.sampler.run(self.calls[0])
            return
        for index in self.job.sequence:
            self.calls[index](self.programs[index].inputs)

    def memory(self) -> dict[str, Any]:
        """Bytes resident before compiling, now, and at most since compiling ended; CPU seconds of the process.

        The peak is None where the system does not forget that of compiling.
        """
        peak = peak_bytes() if self._peaks else None
        spent = time.process_time()
        return {"before": self.before_bytes, "now": resident_bytes(), "peak": peak, "cpu_seconds": spent}


def load(document: Mapping[str, Any]) -> tuple[CandidateRun, dict[str, Any]]:
    """The run of a job, nothing compiled yet; BackendError where its backend cannot run here."""
    job = job_from(document)
    backend = own_backend_from(job.backend)
    backend.require()
    release()
    before = resident_bytes()
    return CandidateRun(job, backend, before), {"before_bytes": before}


def _open(backend: Backend, path: Path, names: list[str]) -> Lowered:
    opener = getattr(backend, "open_file", None)
    if opener is None:
        raise BackendError(f"{called(backend)} does not run .onnx files", hint="onnxruntime and openvino do")
    made: Lowered = opener(path, names)  # `measured` looks at what it is
    return made
