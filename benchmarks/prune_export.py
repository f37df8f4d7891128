"""What a saved program holds of weights that were masked away: by torch.nn.utils.prune, and by apply-weight-mask.

python -m benchmarks.prune_export
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

import graphlab
from benchmarks.timing import header
from graphlab.masks import write_mask

X = (torch.ones(2, 8),)


def held(path: Path, erased: torch.Tensor) -> tuple[list[str], int, int]:
    """(tensors of the `.pt2` at `path`, calls of its graph, how many of the values `erased` are among its weights)."""
    program = torch.export.load(str(path))
    found = torch.cat([tensor.flatten().float() for tensor in program.state_dict.values()])
    calls = sum(node.op == "call_function" for node in program.graph.nodes)
    return sorted(program.state_dict), calls, int(torch.isin(erased, found).sum())


def pruned(folder: Path, module: nn.Module, keep: torch.Tensor) -> Path:
    """`module` with a pruning mask, exported and saved."""
    prune.custom_from_mask(module, "weight", keep)
    path = folder / "pruned.pt2"
    torch.export.save(torch.export.export(module.eval(), X), path)
    return path


def removed(folder: Path, module: nn.Module, keep: torch.Tensor) -> Path:
    """As `pruned`, the mask multiplied in by `prune.remove` before the export."""
    prune.custom_from_mask(module, "weight", keep)
    prune.remove(module, "weight")
    path = folder / "removed.pt2"
    torch.export.save(torch.export.export(module.eval(), X), path)
    return path


def masked(folder: Path, module: nn.Module, keep: torch.Tensor) -> Path:
    """The same entries set to 0 by `apply-weight-mask`, saved."""
    state = {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}
    write_mask(folder / "mask.safetensors", {"weight": ~keep}, state)
    save_file({**state, "weight": state["weight"] * keep}, folder / "edited.safetensors")
    result = graphlab.run_pass(
        "apply-weight-mask",
        graphlab.capture(module.eval(), X, dynamic=False),
        mask=str(folder / "mask.safetensors"),
        weights=str(folder / "edited.safetensors"),
    )
    assert result.program.exported is not None
    path = folder / "masked.pt2"
    torch.export.save(result.program.exported, path)
    return path


KINDS = {
    "torch.nn.utils.prune, then torch.export": pruned,
    "the same, with prune.remove before": removed,
    "apply-weight-mask": masked,
}


def rows() -> list[str]:
    """The lines of the table, one a way of erasing."""
    found = []
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that pruning assigns an attribute in forward
        for name, make in KINDS.items():
            torch.manual_seed(0)
            module = nn.Linear(8, 8)
            keep = torch.ones(8, 8, dtype=torch.bool)
            keep[:2] = False
            erased = module.weight.detach()[:2].flatten().clone()
            keys, calls, left = held(make(Path(place), module, keep), erased)
            found.append(f"| {name} | {', '.join(f'`{key}`' for key in keys)} | {calls} | {left} of {erased.numel()} |")
    return found


def main() -> None:
    """Prints the table."""
    header("What a saved program holds of 16 erased values of a linear layer")
    print("| made by | tensors | calls | erased values that are in the file |\n|---|---|---|---|")
    print("\n".join(rows()))


if __name__ == "__main__":
    main()
