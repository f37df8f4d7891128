"""Video autoencoders of diffusers: the decoders of CogVideoX, Wan, LTX-Video, HunyuanVideo; SVD's both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.components.unet3d import VAE_SCALE
from graphlab.components.video import latent_frames, video_variables
from graphlab.workload import Argument, TensorInput

if TYPE_CHECKING:
    import torch

UNROLLED = "the decoder loops over frames in Python: the number of frames is fixed at each capture"


def _decoder(class_name: str, config: Config, dtype: str, *, timed: bool) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        import diffusers

        from graphlab.components.decoding import LatentDecoder
        from graphlab.components.video_decoding import TimedDecoder

        kind, wrapper = getattr(diffusers, class_name), TimedDecoder if timed else LatentDecoder
        return build_on_meta(lambda: wrapper(kind.from_config(dict(config))), dtype)

    return build


def _component(
    class_name: str,
    config: Config,
    dtype: str,
    *,
    channels: int,
    scale: int,
    ratio: int,
    size: tuple[int, int, int],
    timed: bool = False,
    assumptions: tuple[str, ...] = (),
) -> Component:
    """A decoder of latent (batch, channels, latent frames, height/scale, width/scale); size is (H, W, frames)."""
    shape = ("batch", channels, latent_frames(ratio), f"height // {scale}", f"width // {scale}")
    inputs: dict[str, Argument] = {"latent": TensorInput(shape, dtype, role="latent")}
    if timed:
        inputs["temb"] = TensorInput(("batch",), dtype, role="timestep")
    height, width, frames = size
    return Component(
        class_name=class_name,
        dtype=dtype,
        build=_decoder(class_name, config, dtype, timed=timed),
        inputs=inputs,
        variables=video_variables(height, width, frames, multiple_of=scale),
        pixels_per_latent=scale,
        frames_per_latent=ratio,
        assumptions=("only the decoder is captured: a generation from text does not encode a video", *assumptions),
    )


@component("AutoencoderKLCogVideoX")
def autoencoder_cogvideox(config: Config, dtype: str) -> Component:
    """latent (batch, 16, frames/4, height/8, width/8) to a video, two latent frames at a time."""
    blocks = config.get("block_out_channels", (128, 256, 256, 512))
    return _component(
        "AutoencoderKLCogVideoX",
        config,
        dtype,
        channels=int(config.get("latent_channels", 16)),
        scale=2 ** (len(blocks) - 1),
        ratio=int(config.get("temporal_compression_ratio", 4)),
        size=(int(config.get("sample_height", 480)), int(config.get("sample_width", 720)), 49),
        assumptions=("frames default to CogVideoXPipeline's", UNROLLED),
    )


@component("AutoencoderKLWan")
def autoencoder_wan(config: Config, dtype: str) -> Component:
    """latent (batch, 16, frames/4, height/8, width/8) to a video, one latent frame at a time with a feature cache."""
    return _component(
        "AutoencoderKLWan",
        config,
        dtype,
        channels=int(config.get("z_dim", 16)),
        scale=int(config.get("scale_factor_spatial", 8)),
        ratio=int(config.get("scale_factor_temporal", 4)),
        size=(480, 832, 81),
        assumptions=("frames and sides default to WanPipeline's", UNROLLED),
    )


@component("AutoencoderKLHunyuanVideo")
def autoencoder_hunyuan_video(config: Config, dtype: str) -> Component:
    """latent (batch, 16, frames/4, height/8, width/8) to a video, five latent frames at a time, overlapping by two."""
    return _component(
        "AutoencoderKLHunyuanVideo",
        config,
        dtype,
        channels=int(config.get("latent_channels", 16)),
        scale=int(config.get("spatial_compression_ratio", 8)),
        ratio=int(config.get("temporal_compression_ratio", 4)),
        size=(720, 1280, 129),
        assumptions=(
            "frames and sides default to HunyuanVideoPipeline's",
            "no spatial tiling (enable_tiling is the user's choice); tiles in time as the class does by default",
            UNROLLED,
        ),
    )


@component("AutoencoderKLLTXVideo")
def autoencoder_ltx(config: Config, dtype: str) -> Component:
    """latent (batch, 128, frames/8, height/32, width/32) to a video; temb (batch,) where decoding takes a timestep."""
    halvings = sum(config.get("spatio_temporal_scaling", (True, True, True, False)))
    scale = config.get("spatial_compression_ratio") or int(config.get("patch_size", 4)) * 2**halvings
    ratio = config.get("temporal_compression_ratio") or int(config.get("patch_size_t", 1)) * 2**halvings
    return _component(
        "AutoencoderKLLTXVideo",
        config,
        dtype,
        channels=int(config.get("latent_channels", 128)),
        scale=int(scale),
        ratio=int(ratio),
        size=(512, 704, 161),
        timed=bool(config.get("timestep_conditioning", False)),
        assumptions=("frames and sides default to LTXPipeline's",),
    )


@component("AutoencoderKLTemporalDecoder")
def autoencoder_temporal_decoder(config: Config, dtype: str) -> Component:
    """latent (batch, frames, 4, height/8, width/8) to a video, all frames of a video at once (decode_chunk_size)."""

    def build() -> torch.nn.Module:
        from diffusers import AutoencoderKLTemporalDecoder

        from graphlab.components.video_decoding import FrameDecoder

        return build_on_meta(lambda: FrameDecoder(AutoencoderKLTemporalDecoder.from_config(dict(config))), dtype)

    scale = _image_scale(config)
    shape = ("batch", "frames", int(config.get("latent_channels", 4)), f"height // {scale}", f"width // {scale}")
    return Component(
        class_name="AutoencoderKLTemporalDecoder",
        dtype=dtype,
        build=build,
        inputs={"latent": TensorInput(shape, dtype, role="latent")},
        variables=video_variables(576, 1024, 14, multiple_of=scale),
        pixels_per_latent=scale,
        assumptions=("frames and sides default to the pipeline's; decoded in one chunk",),
    )


def image_encoder(config: Config, dtype: str) -> Component:
    """The encoder of AutoencoderKLTemporalDecoder: image (batch, 3, height, width) to the mode of its latent."""

    def build() -> torch.nn.Module:
        from diffusers import AutoencoderKLTemporalDecoder

        from graphlab.components.video_decoding import ImageEncoder

        return build_on_meta(lambda: ImageEncoder(AutoencoderKLTemporalDecoder.from_config(dict(config))), dtype)

    shape = ("batch", int(config.get("in_channels", 3)), "height", "width")
    return Component(
        class_name="AutoencoderKLTemporalDecoder",
        dtype=dtype,
        build=build,
        inputs={"image": TensorInput(shape, dtype, role="condition")},
        variables=video_variables(576, 1024, 14, multiple_of=_image_scale(config)),
        identity=f"AutoencoderKLTemporalDecoder encode {dtype} {json.dumps(config, sort_keys=True, default=str)}",
    )


def _image_scale(config: Mapping[str, Any]) -> int:
    blocks = config.get("block_out_channels")
    return VAE_SCALE if blocks is None else 2 ** (len(blocks) - 1)
