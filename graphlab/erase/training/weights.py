"""The weights of a model as a safetensors file, as `apply-weight-mask` and diffusers read them."""

from __future__ import annotations

import secrets
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from graphlab.erase.errors import EraseError


def save_weights(path: Path, module: nn.Module) -> None:
    """Writes the state dict of `module` to `path`, its keys as they are; the file appears only when it is whole.

    Weights that share memory are written once each. EraseError for a path that cannot be written.
    """
    # safetensors refuses tensors that share memory: one that was tied is a copy in the file.
    held: set[int] = set()
    tensors = {}
    for key, tensor in module.state_dict().items():
        whole = tensor.detach().cpu().contiguous()
        tensors[key] = whole.clone() if whole.untyped_storage().data_ptr() in held else whole
        held.add(tensors[key].untyped_storage().data_ptr())
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        save_file(tensors, part, metadata={"format": "pt"})
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise EraseError(f"cannot write {path}: {error}", hint="check the folder and its permissions") from error
    finally:
        part.unlink(missing_ok=True)
