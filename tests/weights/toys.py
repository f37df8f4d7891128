"""Small modules with ties, statistics and tables, on the meta device and with values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from graphlab.components.base import build_on_meta
from graphlab.program import Program
from graphlab.sources.module import capture
from graphlab.sources.stage import program_for
from graphlab.weights import MissingWeight
from graphlab.workload import Stage, TensorInput, Workload

WIDTH, WORDS = 8, 11


class Block(nn.Module):
    """tokens (batch, length) to (batch, length, words): tied tables, attention, a convolution with statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        for name in ("to_q", "to_k", "to_v"):
            setattr(self, name, nn.Linear(WIDTH, WIDTH))
        self.conv = nn.Conv1d(WIDTH, WIDTH, 1)
        self.batch_norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS)
        self.head.weight = self.embed.weight
        self.register_buffer("position_ids", torch.arange(16).expand(1, -1), persistent=False)
        self.register_buffer("wave", torch.sin(torch.arange(16.0)[:, None] * torch.ones(WIDTH)), persistent=False)
        self.register_buffer("scale", torch.full((1,), 0.5))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = self.position_ids[0, : tokens.shape[1]]
        hidden = self.norm(self.embed(tokens) * self.scale + self.wave[places])
        hidden = nn.functional.scaled_dot_product_attention(self.to_q(hidden), self.to_k(hidden), self.to_v(hidden))
        hidden = self.batch_norm(self.conv(hidden.transpose(1, 2))).transpose(1, 2)
        logits: torch.Tensor = self.head(hidden)
        return logits


def real(make: Callable[[], nn.Module] = Block) -> nn.Module:
    """The module with values, statistics among them that show."""
    torch.manual_seed(0)
    module = make().eval().requires_grad_(False)
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 2.0)
    return module


TOKENS = torch.arange(10).reshape(2, 5)


def stage(dtype: str = "float32", name: str = "block") -> Stage:
    """The block as built-in models are: built on the meta device."""
    inputs = {"tokens": TensorInput((2, 5), "int64", role="tokens")}
    return Stage(name, dtype, inputs, build=partial(build_on_meta, Block, dtype), identity=f"Block {dtype}")


def workload(of: Stage | None = None, source: str = "toy") -> Workload:
    return Workload("toy", source, (of or stage(),))


def on_meta(of: Stage | None = None) -> Program:
    """The captured stage, without values."""
    return program_for(of or stage(), {}, disk=False)


def with_values(module: nn.Module | None = None) -> Program:
    return capture(module or real(), (TOKENS,), dynamic=False, name="block")


def stripped(program: Program) -> Program:
    """`program` with every weight on the meta device, what is one memory still one; constants keep their values."""
    assert program.exported is not None
    made: dict[int, torch.Tensor] = {}

    def bare(tensor: torch.Tensor) -> torch.Tensor:
        meta = made.setdefault(tensor.data_ptr(), tensor.detach().to("meta"))
        return nn.Parameter(meta, requires_grad=False) if isinstance(tensor, nn.Parameter) else meta

    exported = program.exported
    state = {key: bare(tensor) for key, tensor in exported.state_dict.items()}
    copied = type(exported)(
        exported.graph_module,
        exported.graph,
        exported.graph_signature,
        state,
        exported.range_constraints,
        exported.module_call_graph,
        exported.example_inputs,
        exported.constants,
        verifiers=exported.verifiers,
    )
    return replace(program, exported=copied)


def held(program: Program) -> dict[str, torch.Tensor]:
    """{key: tensor} of all the program holds."""
    assert program.exported is not None
    return {**program.exported.state_dict, **program.exported.constants}


class Given:
    """A source of given tensors that counts what was read, for tests."""

    spec, is_random, notes = "given", False, ()

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors
        self.reads: list[str] = []

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        self.reads.append(key)
        if key not in self.tensors:
            raise MissingWeight(f"no {key}")
        return self.tensors[key].detach().clone()
