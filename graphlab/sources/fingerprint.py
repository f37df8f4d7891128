"""State dicts to model classes and configurations, by keys and shapes alone; never a guess.

A recogniser reads a configuration off the shapes. The class is then built from it without memory, and
every key and shape of the file must agree with it, in the file's own spelling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.families_text import recognise_clip, recognise_llama, recognise_t5
from graphlab.sources.families_transformer import (
    recognise_dit,
    recognise_flux,
    recognise_pixart,
    recognise_sd3,
    recognise_uvit,
)
from graphlab.sources.families_unet import recognise_unet, recognise_vae
from graphlab.sources.guess import CONFIG_HINT, Guess, Keys, class_shapes
from graphlab.sources.named_config import guess_of_config
from graphlab.sources.quantized import compute_dtype, separate
from graphlab.sources.spellings import Shape
from graphlab.sources.tensors import StateDictIndex, TensorMeta, common_prefix


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One recognised component: class and configuration that reproduce every key and shape of the file.

    `stage` is its place in a pipeline (unet, transformer, vae, text_encoder, ...); `name` the shipped model
    it agrees with; `parameters` counts values, `nbytes` what the file stores for them; `facts` say what was
    compared, `assumptions` what shapes cannot tell.
    """

    stage: str
    class_name: str
    config: Mapping[str, Any]
    dtype: str
    spelling: str
    name: str
    parameters: int
    nbytes: int
    facts: tuple[str, ...]
    assumptions: tuple[str, ...]


_RECOGNISERS: Sequence[Callable[[Keys], Guess | None]] = (
    recognise_unet, recognise_vae, recognise_dit, recognise_sd3, recognise_flux, recognise_pixart, recognise_uvit,
    recognise_clip, recognise_t5, recognise_llama,
)  # fmt: skip
# Prefixes of the components in one-file checkpoints, and the stage each is.
_BUNDLE = (
    ("model.diffusion_model.", "denoiser"),
    ("first_stage_model.", "vae"),
    ("cond_stage_model.transformer.", "text_encoder"),
    ("cond_stage_model.model.", "text_encoder"),
    ("conditioner.embedders.0.transformer.", "text_encoder"),
    ("conditioner.embedders.0.model.", "text_encoder_2"),
    ("conditioner.embedders.1.model.", "text_encoder_2"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("text_encoders.t5xxl.transformer.", "text_encoder_3"),
    ("vae.", "vae"),
)
_BESIDE = re.compile(
    r"model_ema\..*|betas|alphas_cumprod(_prev)?|sqrt_.*|log_one_minus_.*|posterior_.*|denoiser\.sigmas|"
    r"text_encoders\.\w+\.logit_scale|model_sampling\..*|cond_stage_model\.logit_scale"
)
_LONE_PREFIXES = ("", "model.diffusion_model.", "diffusion_model.", "model.", "transformer.", "unet.", "net.")
_STAGES = {
    "UNet2DConditionModel": "unet", "AutoencoderKL": "vae", "CLIPTextModel": "text_encoder",
    "CLIPTextModelWithProjection": "text_encoder", "T5EncoderModel": "text_encoder", "LlamaForCausalLM": "model",
}  # fmt: skip
_SUSPECTS = (
    (r"lora_(up|down|A|B)|\.lora\.|lora_unet", "a LoRA: changes to a model, not a model"),
    (r"^control_model\.|controlnet_cond_embedding|^zero_convs|^input_hint_block", "a ControlNet"),
    (r"^exp_avg|^optimizer|\.exp_avg", "an optimizer's state"),
    (r"^layer1\.0\.conv1\.weight", "a ResNet"),
    (r"^vision_model\.|^visual\.", "a vision or vision-language model"),
    (r"ip_adapter|^image_proj\.", "an IP-Adapter"),
    (r"motion_modules?\.", "a model with motion modules"),
)


def identify(index: StateDictIndex, config: Mapping[str, Any] | None = None) -> tuple[Fingerprint, ...]:
    """Every component recognised in `index`, in the order text encoders, denoiser, autoencoder of the file.

    With `config`, its `_class_name` or `architectures` decides, and the file is compared with that class.
    UnknownArchitectureError when no family fits, when a key or shape disagrees (saying which), or when
    shapes leave open what the family's shipped configurations do not settle.
    """
    parts = separate(index)
    if config is not None:
        return (_with_config(index, parts.tensors, config, parts.notes),)
    bundled, beside, left = _split(parts.tensors)
    if not bundled or (left and len(left) > sum(len(part) for _, _, part in bundled)):
        return (_lone(index, parts.tensors, parts.notes),)
    found, unknown = [], []
    for prefix, stage, tensors in bundled:
        keys = Keys(tensors, f"{index.source} ({prefix}*)")
        guess = _recognise(keys)
        if guess is None:
            unknown.append(f"{prefix}* ({len(tensors)} tensors)")
        else:
            found.append(_confirm(keys, guess, stage, (*index.assumptions, *parts.notes)))
    if left:
        raise _differs(
            index.source, found[0].class_name if found else "?", f"{len(left)} foreign keys ({min(left)}, ...)"
        )
    if not found:
        raise _unknown(index, parts.tensors)
    notes = [f"components not recognised and left out: {', '.join(unknown)}"] if unknown else []
    notes += [f"{len(beside)} tensors beside the components left out ({min(beside)}, ...)"] if beside else []
    return tuple(_noted(item, notes) for item in found)


def _noted(item: Fingerprint, notes: Sequence[str]) -> Fingerprint:
    return replace(item, assumptions=(*item.assumptions, *notes))


def _split(
    tensors: Mapping[str, TensorMeta],
) -> tuple[list[tuple[str, str, dict[str, TensorMeta]]], list[str], list[str]]:
    """(components as (prefix, stage, tensors without prefix), keys beside them, keys of no component)."""
    found: dict[str, dict[str, TensorMeta]] = {}
    beside, left = [], []
    stages = dict(_BUNDLE)
    for key, meta in tensors.items():
        prefix = next((prefix for prefix, _ in _BUNDLE if key.startswith(prefix)), None)
        if prefix is not None:
            found.setdefault(prefix, {})[key.removeprefix(prefix)] = meta
        elif _BESIDE.fullmatch(key):
            beside.append(key)
        else:
            left.append(key)
    return [(prefix, stages[prefix], part) for prefix, part in found.items()], beside, left


def _lone(index: StateDictIndex, tensors: Mapping[str, TensorMeta], notes: tuple[str, ...]) -> Fingerprint:
    for prefix in _LONE_PREFIXES:
        if prefix and not common_prefix(tensors, prefix):
            continue
        keys = Keys({key.removeprefix(prefix): meta for key, meta in tensors.items()}, index.source)
        guess = _recognise(keys)
        if guess is not None:
            stripped = (f"prefix {prefix!r} taken off every key",) if prefix else ()
            return _confirm(keys, guess, "", (*index.assumptions, *stripped, *notes))
    raise _unknown(index, tensors)


def _recognise(keys: Keys) -> Guess | None:
    return next((guess for recogniser in _RECOGNISERS if (guess := recogniser(keys)) is not None), None)


def _with_config(
    index: StateDictIndex, tensors: Mapping[str, TensorMeta], config: Mapping[str, Any], notes: tuple[str, ...]
) -> Fingerprint:
    """The component that `config` names, in whichever spelling and under whichever prefix most keys agree."""
    prefixes = [prefix for prefix, _ in _BUNDLE] + list(_LONE_PREFIXES)
    best: tuple[int, Keys, Guess] | None = None
    for prefix in dict.fromkeys(prefixes):
        inner = {key.removeprefix(prefix): meta for key, meta in tensors.items() if key.startswith(prefix)}
        if not inner:
            continue
        keys = Keys(inner, index.source)
        for guess in guess_of_config(config):
            expected = guess.spell(class_shapes(guess.class_name, guess.config))
            # Keys in common, less those of other components that the prefix lets in.
            score = 2 * sum(key in expected for key in inner) - len(inner)
            if best is None or score > best[0]:
                best = (score, keys, guess)
    assert best is not None, "the empty prefix holds every key"
    return _confirm(best[1], best[2], "", (*index.assumptions, *notes))


def _confirm(keys: Keys, guess: Guess, stage: str, notes: tuple[str, ...]) -> Fingerprint:
    """The fingerprint of `guess` after comparing every key and shape; UnknownArchitectureError on a difference."""
    expected = guess.spell(class_shapes(guess.class_name, guess.config))
    optional = re.compile(guess.optional)
    missing = [key for key in expected if key not in keys.tensors and not optional.fullmatch(key)]
    extra = [key for key in keys.tensors if key not in expected and not optional.fullmatch(key)]
    wrong = [key for key in expected if key in keys.tensors and not _fits(keys.tensors[key], expected[key])]
    if missing or extra or wrong:
        raise _differs(
            keys.what, f"{guess.class_name} ({guess.name})", _difference(keys, expected, missing, extra, wrong)
        )
    dtype, dtype_notes = compute_dtype(keys.tensors)
    of_class = sum(math.prod(shape) for shape in class_shapes(guess.class_name, guess.config).values())
    in_file = sum(math.prod(shape) for shape in expected.values())
    copies = (
        (f"{guess.class_name} holds {of_class:,} values, this spelling {in_file:,}",) if of_class != in_file else ()
    )
    counted = [meta for key, meta in keys.tensors.items() if key in expected]
    assumptions = (*notes, *guess.assumptions, *copies, *dtype_notes)
    return Fingerprint(
        stage=_STAGES.get(guess.class_name, "transformer") if stage in ("", "denoiser") else stage,
        class_name=guess.class_name,
        config=guess.config,
        dtype=dtype,
        spelling=guess.spelling,
        name=guess.name,
        parameters=sum(meta.values for meta in counted),
        nbytes=sum(meta.nbytes for meta in counted),
        facts=(f"{len(counted)} keys and shapes agree with {guess.class_name} ({guess.spelling} spelling)",),
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def _fits(meta: TensorMeta, shape: Shape) -> bool:
    if meta.packed:
        return 0 <= meta.values - math.prod(shape) <= 1  # an odd count leaves half a byte
    return meta.shape == tuple(shape)


def _difference(
    keys: Keys, expected: Mapping[str, Shape], missing: list[str], extra: list[str], wrong: list[str]
) -> str:
    said = []
    if missing:
        said.append(f"{len(missing)} keys are missing ({missing[0]}{', ...' * (len(missing) > 1)})")
    if extra:
        said.append(f"{len(extra)} keys are foreign ({extra[0]}{', ...' * (len(extra) > 1)})")
    if wrong:
        got, want = list(keys.tensors[wrong[0]].shape), list(expected[wrong[0]])
        said.append(f"{len(wrong)} shapes differ ({wrong[0]}: expected {want}, got {got})")
    return ", ".join(said)


def _differs(what: str, model: str, difference: str) -> UnknownArchitectureError:
    return UnknownArchitectureError(f"{what} looks like {model}, but {difference}", hint=CONFIG_HINT)


def _unknown(index: StateDictIndex, tensors: Mapping[str, TensorMeta]) -> UnknownArchitectureError:
    keys = Keys(tensors, index.source)
    suspect = next((name for pattern, name in _SUSPECTS if keys.any(pattern)), None)
    shown = ", ".join(list(tensors)[:3])
    if suspect is not None:
        return UnknownArchitectureError(
            f"{index.source} looks like {suspect}, which graphlab does not know by its keys", hint=CONFIG_HINT
        )
    return UnknownArchitectureError(
        f"{index.source} fits no architecture that graphlab knows by its {len(tensors)} keys ({shown}, ...)",
        hint=CONFIG_HINT,
    )
