"""Architectures by keys and shapes: every shipped model in every spelling, and no near-miss taken for one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.fingerprint import Fingerprint, identify
from graphlab.sources.guess import Shipped, class_shapes, shipped
from graphlab.sources.named_config import guess_of_config
from graphlab.sources.spellings import Shape
from graphlab.sources.tensors import StateDictIndex, TensorMeta


def _index(shapes: Mapping[str, Shape], dtype: str = "float16", itemsize: int = 2) -> StateDictIndex:
    metas = {key: TensorMeta(tuple(shape), dtype, 0) for key, shape in shapes.items()}
    sized = {key: TensorMeta(meta.shape, dtype, meta.values * itemsize) for key, meta in metas.items()}
    return StateDictIndex("model.safetensors", "safetensors", sized)


def _named(name: str, class_name: str = "") -> Shipped:
    return next(s for s in shipped() if s.name.startswith(name) and class_name in s.class_name)


def _spelled(entry: Shipped, spelling: str, class_name: str | None = None) -> dict[str, Shape]:
    class_name = class_name or entry.class_name
    guesses = guess_of_config({**entry.config, "_class_name": class_name})
    guess = next(g for g in guesses if g.spelling.startswith(spelling))
    return dict(guess.spell(class_shapes(class_name, entry.config)))


def _sd1(spelling: str = "the class") -> dict[str, Shape]:
    return _spelled(_named("stable-diffusion-v1", "UNet"), spelling)


def _one(shapes: Mapping[str, Shape]) -> Fingerprint:
    (found,) = identify(_index(shapes))
    return found


@pytest.mark.parametrize("entry", shipped(), ids=lambda s: f"{s.class_name} {s.name}")
def test_every_shipped_model_in_every_spelling(entry: Shipped) -> None:
    for guess in guess_of_config({**entry.config, "_class_name": entry.class_name}):
        found = _one(guess.spell(class_shapes(entry.class_name, entry.config)))
        assert found.class_name == entry.class_name
        twins = [s.config for s in shipped() if s.name == found.name and s.class_name == entry.class_name]
        assert dict(found.config) == twins[0]
        # Twins differ in what shapes cannot tell, and then the report says so.
        assert found.name == entry.name or any(entry.name in note for note in found.assumptions)


_PARAMETERS = {  # published or counted by diffusers on its own classes
    "stable-diffusion-v1/UNet": 859_520_964,
    "stable-diffusion-2-1 (768/UNet": 865_910_724,
    "stable-diffusion-xl-base/UNet": 2_567_463_684,
    "stable-diffusion-xl-refiner/UNet": 2_259_526_660,
    "stable-diffusion-v1/Autoencoder": 83_653_863,
    "FLUX.1-dev/Flux": 11_901_408_320,
    "CLIP ViT-L/CLIP": 123_060_480,
    "Llama-2-7b/Llama": 6_738_415_616,
}


@pytest.mark.parametrize("key", list(_PARAMETERS))
def test_parameters(key: str) -> None:
    name, _, class_name = key.rpartition("/")
    found = _one(_spelled(_named(name, class_name), "the class"))
    assert found.parameters == _PARAMETERS[key]
    assert found.nbytes == 2 * _PARAMETERS[key]


def _meta(shapes: Mapping[str, Shape]) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


def _converted(name: str, checkpoint: dict[str, torch.Tensor], *arguments: Any) -> dict[str, Shape]:
    """`checkpoint` through diffusers' own converter: the oracle of our spelling."""
    from diffusers.loaders import single_file_utils

    function = getattr(single_file_utils, name)
    assert inspect.isfunction(function)
    return {key: tuple(value.shape) for key, value in function(checkpoint, *arguments).items()}


@pytest.mark.parametrize(
    ("name", "class_name", "spelling", "converter", "configured"),
    [
        ("stable-diffusion-v1", "UNet", "CompVis", "convert_ldm_unet_checkpoint", True),
        ("stable-diffusion-2-1 (", "UNet", "CompVis", "convert_ldm_unet_checkpoint", True),
        ("stable-diffusion-xl-base", "UNet", "CompVis", "convert_ldm_unet_checkpoint", True),
        ("stable-diffusion-xl-refiner", "UNet", "CompVis", "convert_ldm_unet_checkpoint", True),
        ("stable-diffusion-v1", "Autoencoder", "CompVis", "convert_ldm_vae_checkpoint", True),
        ("stable-diffusion-3-medium and", "Autoencoder", "CompVis", "convert_ldm_vae_checkpoint", True),
        ("stable-diffusion-3-medium", "SD3", "Stability", "convert_sd3_transformer_checkpoint_to_diffusers", False),
        ("stable-diffusion-3.5-large", "SD3", "Stability", "convert_sd3_transformer_checkpoint_to_diffusers", False),
        ("stable-diffusion-3.5-medium", "SD3", "Stability", "convert_sd3_transformer_checkpoint_to_diffusers", False),
        ("FLUX.1-dev", "Flux", "Black", "convert_flux_transformer_checkpoint_to_diffusers", False),
        ("FLUX.1-schnell", "Flux", "Black", "convert_flux_transformer_checkpoint_to_diffusers", False),
    ],
)
def test_spelling_against_diffusers_converter(
    name: str, class_name: str, spelling: str, converter: str, configured: bool
) -> None:
    entry = _named(name, class_name)
    arguments: tuple[Any, ...] = (dict(entry.config),) if configured else ()
    if "transformer_layers_per_block" in entry.config:
        arguments = ({"class_embed_type": None, "addition_embed_type": None, **entry.config},)
    prefix = "model.diffusion_model." if class_name == "UNet" else ""
    spelled = {prefix + key: shape for key, shape in _spelled(entry, spelling).items()}
    found = _converted(converter, _meta(spelled), *arguments)
    assert found == dict(class_shapes(entry.class_name, entry.config))


@pytest.mark.parametrize("name", ["OpenCLIP ViT-H/14", "OpenCLIP ViT-bigG"])
def test_open_clip_spelling_against_diffusers_converter(name: str) -> None:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    entry = [s for s in shipped() if s.name.startswith(name)][-1]
    class_name = "CLIPTextModelWithProjection"
    with torch.device("meta"):
        model = CLIPTextModelWithProjection(CLIPTextConfig.from_dict(dict(entry.config)))
    spelled = _meta({f"x.{key}": shape for key, shape in _spelled(entry, "OpenCLIP", class_name).items()})
    found = {key: tuple(value.shape) for key, value in convert_open_clip_checkpoint(model, spelled, "x.").items()}
    assert found == dict(class_shapes(class_name, entry.config))


def test_old_names_of_the_autoencoders_attention() -> None:
    shapes = _spelled(_named("stable-diffusion-v1", "Auto"), "the class")
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        shapes = {key.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): shape for key, shape in shapes.items()}
    assert _one(shapes).spelling == "diffusers before 0.15"


def test_dit_has_the_published_number_of_parameters() -> None:
    """facebookresearch/DiT prints 675,129,632 for DiT-XL/2; diffusers' class repeats embedders in every block."""
    found = _one(_spelled(_named("DiT-XL/2"), "facebook"))
    assert found.parameters == 675_129_632
    assert any("749,826,464" in note for note in found.assumptions)


# Facts of the published CompVis layout, written down by hand.
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("time_embed.0.weight", (1280, 320)),
        ("input_blocks.0.0.weight", (320, 4, 3, 3)),
        ("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", (320, 768)),
        ("input_blocks.3.0.op.weight", (320, 320, 3, 3)),
        ("input_blocks.4.0.skip_connection.weight", (640, 320, 1, 1)),
        ("middle_block.1.proj_in.weight", (1280, 1280, 1, 1)),
        ("output_blocks.2.1.conv.weight", (1280, 1280, 3, 3)),
        ("output_blocks.5.2.conv.weight", (1280, 1280, 3, 3)),
        ("output_blocks.11.1.proj_out.weight", (320, 320, 1, 1)),
        ("out.2.weight", (4, 320, 3, 3)),
    ],
)
def test_known_keys_of_the_original_unet(key: str, shape: Shape) -> None:
    assert _sd1("CompVis")[key] == shape
    assert len(_sd1("CompVis")) == 686


def _checkpoint() -> dict[str, Shape]:
    """All that a one-file Stable Diffusion 1.x checkpoint holds, 1,131 tensors and some."""
    unet = {f"model.diffusion_model.{k}": s for k, s in _sd1("CompVis").items()}
    vae = {f"first_stage_model.{k}": s for k, s in _spelled(_named("stable-diffusion-v1", "Auto"), "CompVis").items()}
    clip = _spelled(_named("CLIP"), "transformers")
    text = {f"cond_stage_model.transformer.{k}": s for k, s in clip.items()}
    ids = {"cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77)}
    schedule = {"betas": (1000,), "alphas_cumprod": (1000,), "model_ema.decay": ()}
    return {**schedule, **unet, **vae, **text, **ids}


def test_one_file_checkpoint() -> None:
    found = {item.stage: item for item in identify(_index(_checkpoint()))}
    assert {stage: item.class_name for stage, item in found.items()} == {
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
    }
    assert found["unet"].config["attention_head_dim"] == 8
    assert any("attention_head_dim 8" in note for note in found["unet"].assumptions)
    assert any("3 tensors beside" in note for note in found["unet"].assumptions)


def test_sdxl_checkpoint_with_open_clip() -> None:
    unet = _spelled(_named("stable-diffusion-xl-base", "UNet"), "CompVis")
    big = _spelled(_named("OpenCLIP ViT-bigG"), "OpenCLIP", "CLIPTextModelWithProjection")
    shapes = {f"model.diffusion_model.{k}": s for k, s in unet.items()}
    shapes |= {f"conditioner.embedders.1.model.{k}": s for k, s in {**big, "logit_scale": ()}.items()}
    shapes |= {"conditioner.embedders.0.strange.weight": (1,)}
    with pytest.raises(UnknownArchitectureError, match="1 foreign keys"):
        identify(_index(shapes))
    del shapes["conditioner.embedders.0.strange.weight"]
    found = identify(_index(shapes))
    assert [item.name for item in found] == ["stable-diffusion-xl-base-1.0", "OpenCLIP ViT-bigG/14"]
    assert found[1].stage == "text_encoder_2"


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model.", "unet."])
def test_prefix_alone(prefix: str) -> None:
    found = _one({prefix + key: shape for key, shape in _sd1().items()})
    assert found.name == "stable-diffusion-v1"


def _without(key: str) -> Callable[[dict[str, Shape]], None]:
    return lambda shapes: shapes.pop(key) and None


@pytest.mark.parametrize("spelling", ["the class", "CompVis"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, last: s.pop(last), r"1 keys are missing \({last}\)"),
        (lambda s, last: s.update({last: (*s[last][:-1], 5)}), r"1 shapes differ \({last}: expected"),
        (lambda s, last: s.update({"stray.weight": (1,)}), r"1 keys are foreign \(stray.weight\)"),
    ],
)
def test_one_tensor_off_is_refused(spelling: str, change: Any, message: str) -> None:
    shapes = _sd1(spelling)
    last = next(key for key in reversed(shapes) if key.endswith("attn2.to_out.0.weight"))
    change(shapes, last)
    with pytest.raises(UnknownArchitectureError, match=message.replace("{last}", last)) as error:
        identify(_index(shapes))
    assert "--config" in str(error.value)


@pytest.mark.parametrize("key", sorted(_sd1("CompVis"))[::40])
def test_any_tensor_missing_is_refused(key: str) -> None:
    shapes = _sd1("CompVis")
    del shapes[key]
    with pytest.raises(UnknownArchitectureError):
        identify(_index(shapes))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"lora_unet_down_blocks_0.lora_up.weight": (320, 4)}, "a LoRA"),
        ({"unet.down_blocks.0.attentions.0.to_q.lora.up.weight": (320, 4)}, "a LoRA"),
        ({"transformer.transformer_blocks.0.attn.to_q.lora_A.weight": (4, 64)}, "a LoRA"),
        ({"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "a ControlNet"),
        ({"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 3, 3)}, "a ResNet"),
        ({"exp_avg.0": (3, 3)}, "an optimizer"),
        ({"vision_model.embeddings.class_embedding": (768,)}, "a vision"),
        ({"weight": (3, 3)}, "fits no architecture"),
    ],
)
def test_other_files(shapes: dict[str, Shape], message: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=message) as error:
        identify(_index(shapes))
    assert "\n" not in str(error.value)


def test_controlnet_and_whole_models_beside_known_ones() -> None:
    control = {
        key: shape for key, shape in _sd1().items() if not key.startswith(("up_blocks", "conv_out", "conv_norm"))
    }
    with pytest.raises(UnknownArchitectureError):
        identify(_index({**control, "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}))
    t5 = _spelled(_named("T5"), "the class")
    with pytest.raises(UnknownArchitectureError):
        identify(_index({**t5, "decoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}))


def test_relatives_say_what_was_assumed() -> None:
    shapes = {**_sd1(), "conv_in.weight": (320, 9, 3, 3)}
    found = _one(shapes)
    assert found.config["in_channels"] == 9
    assert any("in_channels 9" in note for note in found.assumptions)
    entry = _named("DiT-XL/2")
    config = {**entry.config, "num_layers": 3, "sample_size": 64}
    guess = guess_of_config({**config, "_class_name": entry.class_name})[1]
    found = _one(guess.spell(class_shapes(entry.class_name, config)))
    assert (found.config["num_layers"], found.config["sample_size"]) == (3, 64)
    assert any("16 heads" in note for note in found.assumptions)


@pytest.mark.parametrize(
    ("name", "class_name", "change"),
    [
        ("stable-diffusion-v1", "UNet", {"cross_attention_dim": 512}),
        ("DiT-S/2", "DiT", {"num_attention_heads": 4}),
        ("Llama-2-7b", "Llama", {"hidden_size": 1024, "head_dim": 32}),
        ("CLIP", "CLIP", {"hidden_size": 512, "num_attention_heads": 8}),
        ("FLUX.1-dev", "Flux", {"attention_head_dim": 64, "axes_dims_rope": [16, 24, 24], "num_layers": 1}),
        ("PixArt-XL-2-512", "PixArt", {"num_attention_heads": 8, "num_layers": 1, "cross_attention_dim": 576}),
    ],
)
def test_head_counts_are_not_guessed(name: str, class_name: str, change: dict[str, Any]) -> None:
    entry = _named(name, class_name)
    config = {**entry.config, **change}
    shapes = class_shapes(entry.class_name, config)
    with pytest.raises(UnknownArchitectureError, match=r"head|rotary"):
        identify(_index(shapes))
    (found,) = identify(_index(shapes), {**config, "_class_name": entry.class_name})
    assert found.config == config


def test_config_decides_and_mismatch_is_reported() -> None:
    entry = _named("stable-diffusion-v1", "UNet")
    config = {**entry.config, "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0"}
    for spelling in ("the class", "CompVis"):
        (found,) = identify(_index(_sd1(spelling)), config)
        assert found.parameters == 859_520_964
    (found,) = identify(_index(_checkpoint_unet()), config)
    assert found.spelling == "CompVis"
    with pytest.raises(UnknownArchitectureError, match=r"shapes differ .*expected \[320, 1024\], got \[320, 768\]"):
        identify(_index(_sd1()), {**config, "cross_attention_dim": 1024})
    with pytest.raises(UnknownArchitectureError, match="keys are missing"):
        identify(_index({"a": (1,)}), config)
    with pytest.raises(UnknownArchitectureError, match="names no class"):
        identify(_index(_sd1()), {"in_channels": 4})
    with pytest.raises(UnknownArchitectureError, match="has a model class Nonsense"):
        identify(_index(_sd1()), {"_class_name": "Nonsense"})
    with pytest.raises(UnknownArchitectureError, match="cannot be built"):
        identify(_index(_sd1()), {**config, "block_out_channels": [1, 2]})


def _checkpoint_unet() -> dict[str, Shape]:
    return {key: shape for key, shape in _checkpoint().items() if key.startswith("model.diffusion_model.")}


def test_stored_precision() -> None:
    shapes = _sd1()
    (found,) = identify(_index(shapes, "float8_e4m3fn", 1))
    assert (found.dtype, found.nbytes) == ("bfloat16", found.parameters)
    assert any("float8_e4m3fn" in note for note in found.assumptions)


def test_gguf_in_the_original_spelling() -> None:
    shapes = _spelled(_named("FLUX.1-schnell"), "Black")
    tensors = {
        key: TensorMeta(shape, "gguf:q4_0", TensorMeta(shape, "", 0).values // 32 * 18)
        if len(shape) == 2
        else TensorMeta(shape, "float32", 4 * shape[0])
        for key, shape in shapes.items()
    }
    (found,) = identify(StateDictIndex("flux.gguf", "gguf", tensors))
    assert (found.name, found.dtype) == ("FLUX.1-schnell", "bfloat16")
    assert found.nbytes == sum(meta.nbytes for meta in tensors.values())
    assert any("stored as gguf:q4_0" in note for note in found.assumptions)


def test_tied_language_model_by_config() -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "tie_word_embeddings": True,
    }  # fmt: skip
    shapes = dict(class_shapes("LlamaForCausalLM", config))
    shapes.pop("lm_head.weight", None)
    with pytest.raises(UnknownArchitectureError, match="heads cannot be told"):
        identify(_index(shapes))
    (found,) = identify(_index(shapes), config)
    assert found.class_name == "LlamaForCausalLM"


def test_four_bit_weights_need_a_config() -> None:
    entry = _named("DiT-S/8")
    index = _index(class_shapes(entry.class_name, entry.config), "float32", 4)
    tensors = dict(index.tensors)
    for key, meta in index.tensors.items():
        if (".attn1." in key and key.endswith(".weight")) or key == "proj_out_2.weight":
            tensors[key] = TensorMeta((meta.values // 2, 1), "uint8", meta.values // 2)
            tensors[f"{key}.absmax"] = TensorMeta((meta.values // 64,), "float32", meta.values // 16)
    packed = StateDictIndex("x", "safetensors", tensors)
    with pytest.raises(UnknownArchitectureError, match="four bits"):
        identify(packed)
    (found,) = identify(packed, {**entry.config, "_class_name": entry.class_name})
    assert found.parameters == index.values
    assert found.nbytes == sum(meta.nbytes for meta in tensors.values())


def test_components_can_be_called() -> None:
    from graphlab.components import component_for

    for name, class_name in (("stable-diffusion-v1", "UNet"), ("FLUX.1-dev", "Flux"), ("T5", "T5")):
        found = _one(_spelled(_named(name, class_name), "the class"))
        built = component_for(found.class_name, dict(found.config), found.dtype).build()
        assert sum(p.numel() for p in built.parameters()) == found.parameters or name == "T5"
