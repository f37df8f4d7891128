"""A model, an edit of it and the files of the edit, shared by the tests of apply-weight-mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import graphlab
from graphlab.errors import GraphlabError
from graphlab.masks import MaskRow, write_mask
from graphlab.program import Program
from graphlab.rewriting.result import RewriteResult
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.sources.module import capture

X = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))


@dataclass
class Case:
    """A model, its program, and the files of an edit of it."""

    folder: Path
    module: nn.Module
    program: Program

    @property
    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.module.state_dict())

    def write(
        self, masks: Mapping[str, torch.Tensor], edited: Mapping[str, torch.Tensor], name: str = "", prefix: str = ""
    ) -> str:
        """The files of an edit; how the pass is called with them."""
        mask, weights = self.folder / f"mask{name}.safetensors", self.folder / f"edited{name}.safetensors"
        write_mask(mask, masks, self.state)
        save_file(
            {prefix + key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in edited.items()},
            str(weights),
        )
        return f"apply-weight-mask,mask={mask},weights={weights}"

    def run(self, spec: str) -> RewriteResult:
        return graphlab.run_pass(spec, self.program)


def case_of(folder: Path, module: nn.Module) -> Case:
    torch.manual_seed(0)
    return Case(folder, module.eval(), capture(module, (X,)))


def edit_of(state: Mapping[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    """Every entry of every weight changed."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: value + (1 + torch.rand(value.shape, generator=generator)).to(value.dtype)
        if value.is_floating_point()
        else value + 1
        for key, value in state.items()
    }


def masks_of(state: Mapping[str, torch.Tensor], share: float = 0.3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {key: torch.rand(value.shape, generator=generator) < share for key, value in state.items()}


def weights_of(result: RewriteResult) -> dict[str, torch.Tensor]:
    assert result.program.exported is not None
    return result.program.exported.state_dict


def rows_of(result: RewriteResult) -> dict[str, MaskRow]:
    ((name, rows),) = result.details
    assert name == "apply-weight-mask"
    return {row.key: row for row in rows}


def reloaded(program: Program, path: Path) -> Program:
    assert program.exported is not None
    torch.export.save(program.exported, path)
    exported = load_exported_program(path)
    return Program("loaded", extract(exported), exported)


def refused(spec: str, program: Program, words: str) -> None:
    with pytest.raises(GraphlabError, match=re.escape(words)) as caught:
        graphlab.run_pass(spec, program)
    assert "\n" not in str(caught.value)


def contents(program: Program, path: Path) -> bytes:
    assert program.exported is not None
    torch.export.save(program.exported, path)
    return path.read_bytes()
