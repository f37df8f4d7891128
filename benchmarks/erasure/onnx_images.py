"""Images of an exported base beside PyTorch's: the largest difference of a pixel, and whether a judge sees the same.

    python -m benchmarks.erasure.onnx_images base.safetensors [--mask mask.safetensors --weights edited.safetensors]

With a mask the ONNX model is exported by `apply-weight-mask` from the base and the edited weights, and PyTorch's is
the base with the masked entries of the edited weights. Ends with 1 where a pixel differs by more than 1e-3 or a label
differs at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.images import Sampling, draw
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.template_judge import template_judge
from graphlab.exporter import export
from graphlab.masks import read_mask
from graphlab.report.export_data import ModelReport

TOLERANCE = 1e-3
TOGETHER = 16
"""Images drawn at a time: guided, a call has twice as many, and the exported model holds for fewer than 64."""


class OnnxNetwork:
    """An exported U-Net in ONNX Runtime on the CPU, called as a denoiser calls its network; all are at one time."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (self._time,) = (item for item in self._session.get_inputs() if item.name == "timestep")

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """The prediction (batch, channels, height, width) float32."""
        dtype = np.int64 if self._time.type == "tensor(int64)" else np.float32
        given = {
            "sample": x.numpy(),
            "timestep": np.asarray(float(time[0]), dtype=dtype),
            "encoder_hidden_states": np.ascontiguousarray(text.numpy()),
        }
        (made,) = self._session.run(None, given)
        return torch.from_numpy(made)


@dataclass(frozen=True, slots=True)
class Compared:
    """`error` is the largest difference of a pixel over `images`, `same` how many have the same labels."""

    images: int
    error: float
    same: int
    torch_seconds: float
    onnx_seconds: float
    model: ModelReport

    @property
    def passed(self) -> bool:
        """Whether both are the same for the eye of the judge, and to TOLERANCE."""
        return self.error <= TOLERANCE and self.same == self.images


def merged(base: Base, mask: Path, weights: Path) -> Base:
    """`base` with the masked entries of the U-Net's `weights`, made without graphs: what the pass is held against."""
    made, bits, edited = base.copy(), read_mask(mask), load_file(weights)
    state = made.unet.state_dict()
    for key in bits.weights:
        state[key] = torch.where(bits.bits(key), edited[key], state[key])
    made.unet.load_state_dict(state)
    return Base(made.config, made.unet.eval(), made.encoder.eval(), made.log)


def prompts_of(base: Base, count: int) -> list[str]:
    """`count` prompts that name every attribute: all combinations in turn, in every form in turn."""
    language, named = base.language, []
    combinations = base.world.combinations("train").tolist()
    for index, labels in enumerate(islice(cycle(combinations), count)):
        forms = {item.name: index // len(combinations) % language.forms[item.name] for item in base.world.attributes}
        pairs = zip(base.world.attributes, labels, strict=True)
        named.append(language.prompt({item.name: (label, forms[item.name]) for item, label in pairs}))
    return named


def judge_of(base: Base) -> Judge:
    """The judge that results of the base's world are reported with."""
    return template_judge() if base.world.name == "layout" else pixel_judge()


def compare(
    source: Path,
    prompts: Sequence[str],
    judge: Judge,
    *,
    mask: Path | None = None,
    weights: Path | None = None,
    steps: int = 25,
    guidance: float = 2.0,
) -> Compared:
    """Images of `prompts` by the base file `source`, erased by `mask` and `weights` where they are given, both ways."""
    base, passes = load_base(source), []
    if mask is not None and weights is not None:
        base = merged(base, mask, weights)
        passes = [f"apply-weight-mask,mask={mask},weights={weights}"]
    sampling = Sampling(base.world.shape, steps, guidance, TOGETHER)
    text, seeds = base.encode(prompts), range(len(prompts))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unet.onnx"
        report = export(source, path, stage="unet", passes=passes)
        network = OnnxNetwork(path)
        started = time.perf_counter()
        with torch.no_grad():
            wanted = draw(base.denoiser(), text, base.empty, seeds, sampling)
        between = time.perf_counter()
        found = draw(Denoiser(network, base.schedule, base.config.kind), text, base.empty, seeds, sampling)
        ended = time.perf_counter()
    same = int((judge.labels(wanted) == judge.labels(found)).all(dim=1).sum())
    error = float((wanted - found).abs().max())
    return Compared(len(prompts), error, same, between - started, ended - between, report.models[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 0 where both draw the same images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="a base file")
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--weights", type=Path, help="edited weights of the U-Net, as training writes them")
    parser.add_argument("--prompts", type=int, default=64)
    given = parser.parse_args(arguments)
    if (given.mask is None) != (given.weights is None):
        parser.error("--mask and --weights go together")
    torch.set_num_threads(1)
    base = load_base(given.base)
    prompts = prompts_of(base, given.prompts)
    found = compare(given.base, prompts, judge_of(base), mask=given.mask, weights=given.weights)
    print("| images | largest error | same labels | attentions fused | PyTorch, s | ONNX Runtime, s |")
    print("|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {found.images} | {found.error:.2e} | {found.same} of {found.images} | {found.model.attention_fused} of "
        f"{found.model.attention_sites} | {found.torch_seconds:.1f} | {found.onnx_seconds:.1f} |"
    )
    return 0 if found.passed else 1


if __name__ == "__main__":
    sys.exit(main())
