"""A stage made ready for other processes: captured in every dtype asked for, rewritten, weights and inputs on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from graphlab.errors import GraphlabError
from graphlab.graph import Graph
from graphlab.measuring.casting import in_dtype
from graphlab.measuring.materialize import inputs
from graphlab.measuring.memory import needed_bytes, refuse_too_large
from graphlab.measuring.stage import refuse_foreign
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.rewriting.bare import held_tensors, save_bare
from graphlab.sources.stage import axis_sizes, program_for, tensor_inputs
from graphlab.timing.candidates import Candidate
from graphlab.timing.job import ProgramFiles
from graphlab.timing.store import StoredTensors, write_tensors
from graphlab.weights.errors import WeightsError
from graphlab.weights.overlaid import OverlaidWeights
from graphlab.weights.source import WeightSource, weight_source
from graphlab.weights.values import Values
from graphlab.workload import Stage, Workload

FULL = "float32"
RANDOM = "random:0"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to capture and what to fill in: symbolic or not, the spec of the weights.

    `trusted` says whether a captured program may call operators of other libraries, `trust_pickle` whether a file of
    weights may run code.
    """

    dynamic: bool = False
    weights: str | None = None
    trusted: bool = False
    trust_pickle: bool = False


@dataclass
class StageFiles:
    """The files of one stage at one step, in `folder`; each is made when it is first asked for.

    `values` are the variables in force. Weights are made once in the dtype of the reference; those of every other
    dtype are casts of them, and those of a rewritten program are made of these.
    """

    workload: Workload
    stage: Stage
    values: Mapping[str, int | float]
    folder: Path
    wanted: Wanted
    lender: StageFiles | None = None

    reference_backend: ClassVar[str] = "eager"
    _programs: dict[str, Program] = field(default_factory=dict)
    _weights: dict[str, Path] = field(default_factory=dict)
    _made: dict[tuple[str, int, tuple[str, ...]], ProgramFiles] = field(default_factory=dict)
    _why_random: tuple[str, ...] = ()

    @property
    def reference_dtype(self) -> str:
        """float32 where the stage can be captured in it: what is captured already stays as it is."""
        return FULL if self.stage.build is not None else self.stage.dtype

    @property
    def reference(self) -> str:
        """What outputs are compared with, in words."""
        return f"eager, unrewritten, in {self.reference_dtype}"

    @property
    def weights(self) -> str:
        """How the source of the weights is spelled."""
        return self.source.spec

    @property
    def weight_notes(self) -> tuple[str, ...]:
        """What there is to know about the weights."""
        drawn = f"weights are random ({self.source.spec}): times are real, results mean nothing"
        return ((drawn,) if self.source.is_random else ()) + self._why_random + self.source.notes

    def require_room(self) -> None:
        """GraphlabError when the reference does not fit into memory."""
        refuse_too_large(self.stage.name, needed_bytes(self.facts), torch.device("cpu"))

    @cached_property
    def source(self) -> WeightSource:
        """Where weights come from: the source itself where it has some, random ones otherwise."""
        name, pickle = self.stage.name, self.wanted.trust_pickle
        try:
            return weight_source(self.workload, name, self.wanted.weights, trust_pickle=pickle)
        except WeightsError as error:
            if self.wanted.weights is not None:
                raise
            self._why_random = (error.message,)
            return weight_source(self.workload, name, RANDOM)

    def program(self, dtype: str) -> Program:
        """The stage captured in `dtype`; GraphlabError where that is impossible, or a file's program is not trusted."""
        if dtype not in self._programs:
            stage = in_dtype(self.stage, dtype)
            found = program_for(stage, self.values, dynamic=self.wanted.dynamic, disk=False)
            if found.exported is None:
                raise GraphlabError(
                    f"{self.stage.name} is only known by its graph, which cannot be run",
                    hint="bench the model's folder, a .pt2, or file.py:function",
                )
            if self.stage.program is not None and not self.wanted.trusted:
                refuse_foreign(found)
            self._programs[dtype] = found
        return self._programs[dtype]

    def files(self, dtype: str, rewrite: int, without: tuple[str, ...] = ()) -> ProgramFiles:
        """The stage in `dtype` after -O`rewrite`, the passes `without` left out of it."""
        key = (dtype, rewrite, without if rewrite else ())
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, dtype: str, rewrite: int, without: tuple[str, ...]) -> ProgramFiles:
        base, name = self.program(dtype), "-".join((dtype, f"O{rewrite}", *without))
        stored = [self._base_weights(dtype)]
        program = base
        if rewrite:
            chosen = chosen_passes(rewrite)
            kept = tuple(item for item in chosen.rewrites if item.name not in without)
            result = rewrite_program(base, replace(chosen, rewrites=kept))
            program = result.program
            held = held_tensors(program)
            new = {item.key: held[item.key] for item in result.held}
            if new:
                stored.append(self.folder / f"weights-{name}.safetensors")
                made = Values(program, self._cast_source(dtype), result.new_tensors, base)
                write_tensors(stored[-1], new, made)
        path = self.folder / f"{name}.pt2"
        save_bare(program, path)
        return ProgramFiles(self.stage.name, str(path), tuple(map(str, stored)), str(self.inputs))

    def _base_weights(self, dtype: str) -> Path:
        """The file of the weights of the unrewritten program in `dtype`."""
        if self.lender is not None:
            return self.lender._base_weights(dtype)
        if dtype not in self._weights:
            program = self.program(dtype)
            path = self.folder / f"weights-{dtype}.safetensors"
            write_tensors(path, held_tensors(program), Values(program, self._cast_source(dtype)))
            self._weights[dtype] = path
        return self._weights[dtype]

    def _cast_source(self, dtype: str) -> WeightSource:
        """The source itself for the dtype of the reference, its rounded values for any other."""
        if dtype == self.reference_dtype:
            return self.source
        return OverlaidWeights(self.source, StoredTensors([self._base_weights(self.reference_dtype)]))

    @cached_property
    def facts(self) -> Facts:
        """Facts about the reference's program, at the sizes in force."""
        stage, program = in_dtype(self.stage, self.reference_dtype), self.program(self.reference_dtype)
        sizes = axis_sizes(stage, self.values)
        return Facts(program.graph, {symbol: sizes[symbol] for symbol in program.graph.symbols})

    @cached_property
    def inputs(self) -> Path:
        """The file of the inputs, in the dtype of the reference: random, the same for every candidate."""
        roles = {name: spec.role for name, spec in tensor_inputs(self.stage).items()}
        made = drawn(self.facts.graph, roles)
        path = self.folder / "inputs.safetensors"
        write_tensors(path, made, made)
        return path


def drawn(graph: Graph, roles: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """{input: CPU tensor}, as for any measurement; those of truth values are true: masks that hide all give NaN."""
    made = inputs(graph, roles, torch.device("cpu"))
    return {name: torch.ones_like(value) if value.dtype is torch.bool else value for name, value in made.items()}


def default_dtype(stage: Stage, chosen: Sequence[Candidate]) -> str:
    """The dtype of the stage; float32 in the place of half precision where nothing but the CPU is used."""
    half = stage.dtype in ("float16", "bfloat16") and stage.build is not None
    on_cpu = all(item.backend.place.type == "cpu" for item in chosen)
    return FULL if half and on_cpu else stage.dtype
