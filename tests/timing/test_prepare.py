"""A stage on disk for other processes: every dtype and level from the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.errors import GraphlabError
from graphlab.hoisting.runner import eager_call
from graphlab.program import Program
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.timing.candidates import candidates
from graphlab.timing.job import ProgramFiles
from graphlab.timing.prepare import StageFiles, Wanted, default_dtype
from graphlab.timing.store import StoredTensors
from graphlab.weights.errors import WeightsError
from graphlab.workload import Stage, TensorInput, Variable, Workload
from tests.sources.payloads import Touch


class Attention(torch.nn.Module):
    """Self-attention whose projections fuse-qkv makes one of."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (batch, tokens, 16) to the same."""
        heads = [part(x).unflatten(-1, (2, 8)).transpose(1, 2) for part in (self.q, self.k, self.v)]
        return torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


def build() -> torch.nn.Module:
    with torch.device("meta"):
        return Attention().eval().to(torch.float16)


STAGE = Stage("unet", "float16", {"x": TensorInput(("batch", 6, 16), "float16")}, build=build)
WORKLOAD = Workload("toy", "toy", (STAGE,), (Variable("batch", 2, "images"),))


def files(folder: Path, lender: StageFiles | None = None, **wanted: Any) -> StageFiles:
    folder.mkdir(exist_ok=True)
    return StageFiles(WORKLOAD, STAGE, WORKLOAD.values(), folder, Wanted(**wanted), lender)


def run(made: ProgramFiles) -> torch.Tensor:
    """The first result of the files, in float32."""
    exported = load_exported_program(Path(made.path))
    program = Program(made.name, extract(exported), exported)
    stored, given = StoredTensors([Path(path) for path in made.values]), StoredTensors([Path(made.inputs)])
    inputs = {node.name: given[node.name].to(getattr(torch, node.out.dtype)) for node in program.graph.inputs}
    (result,) = eager_call(program, stored)(inputs)
    return result.float()  # type: ignore[no-any-return]  # a tensor


def test_every_variant_computes_the_same(tmp_path: Path) -> None:
    made = files(tmp_path)
    assert made.reference_dtype == "float32"
    wanted = run(made.files("float32", 0))
    assert torch.isfinite(wanted).all()
    for dtype, rewrite, error in (("float32", 2, 1e-5), ("float16", 0, 1e-2), ("float16", 2, 1e-2)):
        found = run(made.files(dtype, rewrite))
        assert (found - wanted).abs().max() < error * wanted.abs().max(), (dtype, rewrite)


def test_what_a_rewrite_made_lies_beside_the_weights_it_was_made_of(tmp_path: Path) -> None:
    made = files(tmp_path)
    plain, rewritten = made.files("float32", 0), made.files("float32", 2)
    assert plain.values == rewritten.values[:1]
    base, new = (StoredTensors([Path(path)]) for path in rewritten.values)
    assert set(base) == {f"{part}.{kind}" for part in "qkv" for kind in ("weight", "bias")}
    (weight,) = (value for key, value in new.items() if value.dim() == 2)
    assert torch.equal(weight, torch.cat([base[f"{part}.weight"] for part in "qkv"]))


def test_files_are_made_once(tmp_path: Path) -> None:
    made = files(tmp_path)
    first = made.files("float32", 1)
    stamp = Path(first.path).stat().st_mtime_ns
    assert made.files("float32", 1) == first
    assert Path(first.path).stat().st_mtime_ns == stamp


def test_weights_of_other_dtypes_are_rounded_from_the_same(tmp_path: Path) -> None:
    made = files(tmp_path)
    full, half = (
        StoredTensors([Path(path) for path in made.files(dtype, 0).values]) for dtype in ("float32", "float16")
    )
    for key in full:
        assert torch.equal(full[key].half(), half[key])


def test_another_step_borrows_the_weights(tmp_path: Path) -> None:
    first = files(tmp_path / "a")
    second = files(tmp_path / "b", first)
    assert second.files("float32", 0).values == first.files("float32", 0).values


def test_weights_by_seed(tmp_path: Path) -> None:
    def of(name: str, spec: str | None) -> Mapping[str, torch.Tensor]:
        return StoredTensors([Path(path) for path in files(tmp_path / name, weights=spec).files("float32", 0).values])

    default, zero, one = of("default", None), of("zero", "random:0"), of("one", "random:1")
    assert torch.equal(default["q.weight"], zero["q.weight"])
    assert not torch.equal(zero["q.weight"], one["q.weight"])
    assert "random:0" in files(tmp_path / "default2").weight_notes[0]
    with pytest.raises(WeightsError, match="names no seed"):
        of("wrong", "random:x")


def test_half_precision_is_timed_in_full_on_the_cpu() -> None:
    on_cpu, on_gpu = candidates(["eager", "eager,device=cuda"])
    assert default_dtype(STAGE, [on_cpu]) == "float32"
    assert default_dtype(STAGE, [on_cpu, on_gpu]) == "float16"


def test_a_file_of_weights_runs_no_code_because_the_model_is_ones_own(tmp_path: Path) -> None:
    """`trusted` is about operators of a program; pickles stay what they are."""
    trap, weights = tmp_path / "trap", tmp_path / "weights.pt"
    torch.save({**dict(Attention().state_dict()), "extra": Touch(trap)}, weights)
    made = files(tmp_path / "a", weights=str(weights), trusted=True)
    with pytest.raises(GraphlabError):
        made.files("float32", 0)
    assert not trap.exists()


def test_passes_that_a_backend_leaves_out_are_not_run(tmp_path: Path) -> None:
    made = files(tmp_path)
    plain, packed = made.files("float32", 0), made.files("float32", 2)
    less = made.files("float32", 2, ("fuse-qkv", "fuse-kv"))
    assert (len(packed.values), less.values) == (2, plain.values)
    assert (run(less) - run(plain)).abs().max() < 1e-5
    assert made.files("float32", 0, ("fuse-qkv",)) == plain


def test_truth_values_are_true(tmp_path: Path) -> None:
    """A mask that hides everything gives NaN, which agrees with every NaN."""
    inputs = {"x": TensorInput((2, 3), "float32"), "mask": TensorInput((3, 3), "bool")}

    class Masked(torch.nn.Module):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return x @ mask.float()

    stage = Stage("unet", "float32", inputs, build=lambda: Masked().eval())
    made = StageFiles(Workload("toy", "toy", (stage,)), stage, {}, tmp_path, Wanted())
    assert StoredTensors([made.inputs])["mask"].all()
