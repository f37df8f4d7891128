"""Backends that break the contract while they compile and run, as the process of a candidate meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphlab.errors import GraphlabError
from graphlab.lowering.errors import BackendError
from graphlab.measuring.materialize import inputs
from graphlab.rewriting.bare import held_tensors, save_bare
from graphlab.timing.candidate_run import CandidateRun, load
from graphlab.timing.candidates import Candidate, candidates
from graphlab.timing.entrant import Entrant
from graphlab.timing.job import Job, ProgramFiles
from graphlab.timing.store import write_tensors
from tests.plugins.conftest import Add
from tests.timing.modules import tiny_program

CODE = """
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
import torch
from graphlab.hoisting.runner import eager_call
from graphlab.lowering.base import Backend, Lowered
from graphlab.rewriting.options import option

class Speed(Enum):
    FAST = "fast"
    SLOW = "slow"

@dataclass(frozen=True)
class Odd(Backend):
    '''Odd.'''
    name: ClassVar[str] = "odd"
    speed: Speed = option(Speed.FAST, "how fast")
    {extra}
    def unavailable(self):
        return None
    def lower(self, program, values):
        run = eager_call(program, values)
        {lower}
"""
CALL = "return Lowered(lambda given: {})"
POINT = "[graphlab.backends]\nodd = odd_backend\n"
WHO = r"backend odd of strange 0\.3"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ProgramFiles:
    """A small program with two results, float32 (2, 48, 16) and (2, 16, 6, 8)."""
    folder = tmp_path_factory.mktemp("files")
    program = tiny_program()
    save_bare(program, folder / "tiny.pt2")
    held, given = held_tensors(program), inputs(program.graph, {}, torch.device("cpu"))
    write_tensors(folder / "weights", held, held)
    write_tensors(folder / "inputs", given, given)
    return ProgramFiles("tiny", str(folder / "tiny.pt2"), (str(folder / "weights"),), str(folder / "inputs"))


def run_of(add: Add, files: ProgramFiles, lower: str, extra: str = "pass") -> CandidateRun:
    """What the process of a candidate has once its job is loaded."""
    add("strange", {"odd_backend.py": CODE.format(lower=lower, extra=extra)}, POINT, "0.3")
    return load(Job("odd", (files,), (1.0,), (0,)).to_dict())[0]


COMPILES = {
    "raises": ("raise RuntimeError('no chip')", "cannot compile tiny: RuntimeError: no chip"),
    "exits": ("raise SystemExit(3)", r"cannot compile tiny: it called sys.exit\(3\)"),
    "interrupts": ("raise KeyboardInterrupt", "cannot compile tiny: it raised KeyboardInterrupt"),
    "is out of memory": ("raise MemoryError", "cannot compile tiny: there is not enough memory"),
    "says so itself": (
        "from graphlab.errors import GraphlabError; raise GraphlabError('no head', hint='add one')",
        r": no head \(add one\)",
    ),
    "returns a function": ("return run", "made a function of tiny, expected a Lowered"),
    "nothing to call": ("return Lowered(3)", "made a int to call of tiny, expected a function"),
    "notes that are none": ("return Lowered(run, ['slow'])", r"on tiny are no tuple of texts"),
}


@pytest.mark.parametrize("case", COMPILES)
def test_compiling(case: str, add: Add, files: ProgramFiles) -> None:
    lower, message = COMPILES[case]
    with pytest.raises(BackendError, match=f"{WHO}.*{message}"):
        run_of(add, files, lower).compile()


RUNS = {
    "raises": (CALL.format("1 / 0"), "cannot run tiny: ZeroDivisionError"),
    "returns nothing": (CALL.format("None"), "returned a NoneType for tiny, expected a tuple of its results"),
    "returns one tensor": (CALL.format("run(given)[0]"), "returned a Tensor for tiny, expected a tuple"),
    "too many": (CALL.format("(*run(given), *run(given))"), "returned 4 tensors for tiny, expected 2"),
    "too few": (CALL.format("()"), "returned 0 tensors for tiny, expected 2"),
    "no tensors": (CALL.format("[v.numpy() for v in run(given)]"), "returned 0 tensors for tiny, expected 2"),
    "another shape": (
        CALL.format("[v[:1] for v in run(given)]"),
        r"returned float32 \(1, 48, 16\) for .* of tiny, expected float32 \(2, 48, 16\)",
    ),
    "another rank": (
        CALL.format("[v.flatten() for v in run(given)]"),
        r"returned float32 \(1536\) for .* of tiny, exp",
    ),
    "another dtype": (CALL.format("[v.half() for v in run(given)]"), r"returned float16 .*, expected float32 "),
}


@pytest.mark.parametrize("case", RUNS)
def test_running(case: str, add: Add, files: ProgramFiles, tmp_path: Path) -> None:
    lower, message = RUNS[case]
    run = run_of(add, files, lower)
    run.compile()
    with pytest.raises(BackendError, match=f"{WHO} {message}"):
        run.write_outputs(str(tmp_path / "out"))


def test_a_call_that_fails_while_it_is_timed(add: Add, files: ProgramFiles, tmp_path: Path) -> None:
    run = run_of(add, files, "left = [1]\n        return Lowered(lambda given: left.pop() and run(given))")
    run.compile()
    run.write_outputs(str(tmp_path / "out"))
    with pytest.raises(BackendError, match=rf"{WHO} cannot run: IndexError"):
        run.sample(1, whole=False)


ASKED = {
    "a place that is a text": ("place = 'cpu'", r"has a str for its place, expected a torch\.device"),
    "a place that raises": ("place = property(lambda self: 1 / 0)", "cannot be asked where it runs: ZeroDivisionError"),
    "a dtype that is none": ("computes = torch.float16", "computes in a dtype, expected the name of a dtype or None"),
    "passes in a list": ("leaves_out = ['fuse-gelu']", "leaves out a list, expected a tuple of names of passes"),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_it_is_asked_before_anything_runs(case: str, add: Add) -> None:
    extra, message = ASKED[case]
    add("strange", {"odd_backend.py": CODE.format(lower="return Lowered(run)", extra=extra)}, POINT, "0.3")
    with pytest.raises(GraphlabError, match=f"{WHO} {message}"):
        candidates(["odd"])
    from graphlab.catalogue.backends import listing

    assert [(item.name, str(item.owner)) for item in listing().broken] == [("odd", "strange 0.3")]


def test_the_death_of_its_process_names_it(add: Add) -> None:
    add("strange", {"odd_backend.py": CODE.format(lower="return Lowered(run)", extra="pass")}, POINT, "0.3")
    (odd, eager) = (Entrant(item, "float32", lambda: Job("odd", ())) for item in candidates(["odd", "eager"]))
    for entrant in (odd, eager):
        entrant.fail("failed", "its process ended by signal SIGSEGV")
    assert odd.error == "backend odd of strange 0.3: its process ended by signal SIGSEGV"
    assert eager.error == "its process ended by signal SIGSEGV"


def test_an_option_that_is_an_enum_reaches_its_process(add: Add) -> None:
    add("strange", {"odd_backend.py": CODE.format(lower="return Lowered(run)", extra="pass")}, POINT, "0.3")
    (found,) = candidates(["odd,speed=slow"])
    assert isinstance(found, Candidate)
    assert found.label == "odd,speed=slow"
    assert load(Job(found.label, ()).to_dict())[0].backend == found.backend
    with pytest.raises(GraphlabError, match=rf"{WHO}: speed=slowly is not one of fast, slow"):
        candidates(["odd,speed=slowly"])
