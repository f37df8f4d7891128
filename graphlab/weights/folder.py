"""Which file of a diffusers or transformers folder holds the weights of a stage."""

from __future__ import annotations

from pathlib import Path

from graphlab.weights.errors import WeightsError

_AUTOENCODERS = ("vae", "vqvae", "movq", "vqmodel")
"""Folders of a pipeline that the stages vae_decoder and vae_encoder are halves of."""
_STANDARD = (
    "diffusion_pytorch_model.safetensors.index.json", "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors", "model.safetensors",
    "diffusion_pytorch_model.bin.index.json", "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin", "pytorch_model.bin",
)  # fmt: skip
"""Names the libraries save under, in the order they look for them."""
_ENDINGS = (".safetensors.index.json", ".bin.index.json", ".safetensors", ".bin", ".pth", ".pt", ".ckpt")


def weight_file(path: Path, stage: str) -> tuple[Path, tuple[str, ...]]:
    """(file with the weights of `stage`, notes on the choice) at `path`, a file or a folder.

    A pipeline's folder has one a component: `stage` is its name, "vae_decoder" and "vae_encoder" are halves of the
    autoencoder. WeightsError for a folder without weights, without the component, and with several files none of
    which has a standard name.
    """
    if not path.is_dir():
        return path, ()
    folder = _component(path, stage) if (path / "model_index.json").is_file() else path
    names = {item.name for item in folder.iterdir() if item.is_file()}
    standard = [name for name in _STANDARD if name in names]
    weights = sorted(name for name in names if name.endswith(_ENDINGS))
    if standard:
        # Shards and variants (.fp16.) are named after the file that was chosen: only other whole files are a choice.
        others = standard[1:] if not standard[0].endswith(".json") else []
        notes = (f"weights read from {standard[0]}, beside {', '.join(others)}",) if others else ()
        return folder / standard[0], notes
    for ending in _ENDINGS:
        found = [name for name in weights if name.endswith(ending)]
        if len(found) == 1:
            return folder / found[0], ()
        if found:
            raise WeightsError(f"{folder} holds several weights: {', '.join(found)}", hint="name one of them")
    raise WeightsError(f"{folder} holds no weights", hint=f"it needs one of {', '.join(_STANDARD[2:4])}, *.bin")


def holds_weights(path: Path, stage: str) -> bool:
    """Whether the folder `path` has a file with the weights of `stage`."""
    try:
        weight_file(path, stage)
    except WeightsError:
        return False
    return True


def _component(path: Path, stage: str) -> Path:
    names = _AUTOENCODERS if stage in ("vae_decoder", "vae_encoder") else (stage,)
    found = [path / name for name in names if (path / name).is_dir()]
    if len(found) == 1:
        return found[0]
    there = sorted(item.name for item in path.iterdir() if item.is_dir())
    raise WeightsError(
        f"{path} has no folder for the stage {stage}",
        hint=f"it has {', '.join(there) or 'none'}; name the folder or file of the stage",
    )
