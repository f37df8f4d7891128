"""A model in the place of a module: arguments by name, timesteps of any rank, and refusals that say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from graphlab.onnx_pipeline.derived import with_derived
from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.model_class import ModelClass
from graphlab.onnx_pipeline.stand_in import StandIn, results
from tests.onnx_pipeline.pipelines import XL_UNET

UNET = ModelClass("UNet2DConditionModel", XL_UNET)


class Recorder:
    """Remembers what the model was given and returns its sample."""

    def __init__(self) -> None:
        self.given: dict[str, torch.Tensor] = {}

    def __call__(self, given: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        self.given = dict(given)
        return (given["sample"],)


def stand_in(**inputs: Sequence[int | str]) -> tuple[StandIn, Recorder]:
    call = Recorder()
    shapes = {"sample": ("batch_size", 4, "height", "width"), "timestep": (), **inputs}
    return StandIn("unet", UNET, call, shapes, ["out_sample"]), call


SAMPLE = torch.zeros(2, 4, 8, 8)


def test_arguments_by_position_and_in_a_dictionary() -> None:
    unet, call = stand_in(text_embeds=("batch_size", 32))
    unet(SAMPLE, torch.tensor(5.0), added_cond_kwargs={"text_embeds": torch.ones(2, 32)}, return_dict=False)
    assert set(call.given) == {"sample", "timestep", "text_embeds"}
    assert unet.calls == 1


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [
        ((), torch.tensor([7.0, 7.0]), torch.Size([])),
        (("batch_size",), torch.tensor(7.0), torch.Size([2])),
        ((), 7, torch.Size([])),
        (("batch_size",), torch.tensor([7.0, 7.0]), torch.Size([2])),
    ],
    ids=["one-of-two", "two-of-one", "number", "as-it-is"],
)
def test_a_timestep_takes_the_rank_of_the_model(shape: tuple[str, ...], given: Any, expected: torch.Size) -> None:
    unet, call = stand_in(timestep=shape)
    unet(SAMPLE, given)
    assert call.given["timestep"].shape == expected
    assert bool((call.given["timestep"] == 7).all())


def test_two_timesteps_are_not_made_one() -> None:
    unet, _ = stand_in()
    with pytest.raises(PipelineError, match="takes timestep of one number, not 2"):
        unet(SAMPLE, torch.tensor([7.0, 8.0]))


def test_what_the_model_does_not_take_is_refused() -> None:
    unet, _ = stand_in(time_ids=("batch_size", 6))
    with pytest.raises(PipelineError, match="is given class_labels, which it does not take and is not given time_ids"):
        unet(SAMPLE, torch.tensor(1.0), class_labels=torch.tensor([1]))


def test_a_fixed_axis_is_checked() -> None:
    unet, _ = stand_in(sample=(2, 4, 16, 16))
    with pytest.raises(PipelineError, match="takes sample of 2x4x16x16, not 2x4x8x8"):
        unet(SAMPLE, torch.tensor(1.0))


def test_results_by_position_and_name() -> None:
    made = results(["last_hidden_state", "hidden_states.0", "hidden_states.2"], [torch.ones(1), SAMPLE, SAMPLE + 2])
    assert len(made) == 1
    assert made[0] is made.last_hidden_state
    assert made.hidden_states[1] is None
    assert float(made.hidden_states[-1].max()) == 2
    with pytest.raises(AttributeError, match="no pooler_output"):
        _ = made.pooler_output
    assert results(["out_sample"], [SAMPLE]).sample is SAMPLE


def test_other_attributes_are_those_of_the_class() -> None:
    unet, _ = stand_in()
    assert unet.config.in_channels == 4
    assert unet.add_embedding.linear_1.in_features == 80
    assert not hasattr(unet, "_hf_hook")
    assert unet.device == torch.device("cpu")


def test_a_weight_outside_of_the_model_is_refused() -> None:
    config = {"latent_channels": 8, "block_out_channels": (8, 8, 8, 8), "decoder_block_out_channels": (8, 8, 8, 8)}
    vae = StandIn("vae", ModelClass("AutoencoderKLLTXVideo", config), Recorder(), {}, [])
    with pytest.raises(PipelineError, match="reads the weight latents_mean of vae"):
        _ = vae.latents_mean


def test_positions_of_a_video_are_those_the_class_makes() -> None:
    from diffusers.models.transformers.transformer_ltx import LTXVideoRotaryPosEmbed

    hidden, sizes, scale = torch.zeros(2, 3 * 2 * 4, 8), (3, 2, 4), (8 / 25, 32, 32)
    rope = LTXVideoRotaryPosEmbed(dim=32)
    made = ModelClass("LTXVideoTransformer3DModel", {"patch_size": 1, "patch_size_t": 1})
    given = {"hidden_states": hidden, **dict(zip(("num_frames", "height", "width"), sizes, strict=True))}
    coords = with_derived(made, {**given, "rope_interpolation_scale": scale})["video_coords"]
    expected = rope(hidden, *sizes, rope_interpolation_scale=scale)
    for ours, theirs in zip(rope(hidden, video_coords=coords), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


LTX = {"latent_channels": 8, "block_out_channels": (8, 8, 8, 8), "decoder_block_out_channels": (8, 8, 8, 8)}


def test_weights_in_the_configuration_are_read_from_it() -> None:
    config = {**LTX, "latents_mean": [0.5] * 8}
    vae = StandIn("vae", ModelClass("AutoencoderKLLTXVideo", config), Recorder(), {}, [])
    assert vae.latents_mean.dtype == torch.float32
    assert vae.latents_mean.tolist() == [0.5] * 8
    with pytest.raises(PipelineError, match="latents_std"):
        _ = vae.latents_std


def test_a_decoder_is_called_as_its_class_is() -> None:
    """LTXPipeline gives the time to decode at by position, None where there is none."""

    class Decoder(Recorder):
        def __call__(self, given: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
            self.given = dict(given)
            return (given["latent_sample"],)

    latent, call = torch.zeros(1, 8, 2, 2, 2), Decoder()
    shapes = {"latent_sample": ("batch_size", 8, "f", "h", "w")}
    vae = StandIn("vae", ModelClass("AutoencoderKLLTXVideo", LTX), call, shapes, ["sample"])
    assert vae.decode(latent, None, return_dict=False)[0].shape == latent.shape
    timed = StandIn("vae", vae.made, call, {**shapes, "temb": ("batch_size",)}, ["sample"])
    timed.decode(latent, torch.tensor([0.05]), return_dict=False)
    assert set(call.given) == {"latent_sample", "temb"}


def test_what_flows_between_models_is_float32() -> None:
    """Euler's scheduler gives latents the precision of the prediction."""
    unet, _ = stand_in()
    assert unet(SAMPLE.half(), torch.tensor(1.0)).sample.dtype == torch.float32
