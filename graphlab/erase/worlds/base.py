"""A base: a text-conditional diffusion model of a world, with the encoder of its prompts and its noise levels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from graphlab.components.erase_base import unet_config
from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import NoiseSchedule, Parametrisation
from graphlab.erase.training.model import Model
from graphlab.erase.training.prompts import Prompts
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.prompts import EMPTY, Language, language_of
from graphlab.erase.worlds.schedules import schedule_for
from graphlab.erase.worlds.text_encoder import WIDTH, TextEncoder
from graphlab.erase.worlds.world import World

HEADS = 4
KINDS: tuple[Parametrisation, ...] = ("epsilon", "v_prediction", "flow")
CHANNELS = {"digits": (32, 64), "layout": (28, 56)}
"""{world: channels of the two levels of its U-Net}."""

MOST = 1024
"""Channels of a base at the most: far more than a file of one may hold, and few enough to build it before it is known
whether the weights fit."""


@dataclass(frozen=True, slots=True)
class BaseConfig:
    """What a base is made of: everything but its weights."""

    world: str
    kind: Parametrisation = "epsilon"
    channels: tuple[int, int] = (32, 64)
    heads: int = HEADS

    def __post_init__(self) -> None:
        world_of(self.world)
        if self.kind not in KINDS:
            raise EraseError(f"a base cannot predict {self.kind!r}", hint=f"known: {', '.join(KINDS)}")
        counts = (*self.channels, self.heads)
        if len(counts) != 3 or any(type(count) is not int or not 1 <= count <= MOST for count in counts):
            raise EraseError(f"channels {self.channels} in {self.heads} heads", hint=f"two, and all from 1 to {MOST}")
        if any(count % self.heads for count in self.channels):
            raise EraseError(f"channels {self.channels} in {self.heads} heads")


def config_of(world: str, kind: Parametrisation = "epsilon") -> BaseConfig:
    """The configuration of the bases that are compared; EraseError for an unknown world or kind."""
    world_of(world)
    return BaseConfig(world, kind, CHANNELS[world])


def new_unet(config: BaseConfig) -> nn.Module:
    """A diffusers UNet2DConditionModel for a world, its weights drawn from torch's own random state."""
    from diffusers import UNet2DConditionModel

    image = world_of(config.world).shape
    made: nn.Module = UNet2DConditionModel(**unet_config(image, config.channels, config.heads, WIDTH))
    return made


@dataclass(frozen=True)
class Base:
    """`unet`, a diffusers model, and `encoder` as `config` says; `log` is what is to be known of their training.

    What is erased is the U-Net: the encoder stays as it is.
    """

    config: BaseConfig
    unet: nn.Module
    encoder: TextEncoder
    log: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """The world whose images it draws."""
        return world_of(self.config.world)

    @property
    def language(self) -> Language:
        """The language of its prompts."""
        return language_of(self.world)

    @property
    def schedule(self) -> NoiseSchedule:
        """The levels it was trained at."""
        return schedule_for(self.config.kind)

    @property
    def model(self) -> Model:
        """The U-Net as erasing takes it, over the same weights."""
        return Model(self.unet, self.schedule, self.config.kind)

    def denoiser(self) -> Denoiser:
        """The U-Net as a denoiser, over the same weights."""
        return self.model.denoiser

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encoded prompts (prompts, tokens, 32); EraseError for a word that is not in the vocabulary."""
        device = next(self.encoder.parameters()).device
        made: torch.Tensor = self.encoder(self.language.encode(prompts).to(device))
        return made

    @property
    def empty(self) -> torch.Tensor:
        """The empty prompt (1, tokens, 32)."""
        return self.encode([EMPTY])

    def named(self, prompts: Sequence[str]) -> Prompts:
        """Encoded prompts of a concept, with the empty one, as erasing takes them."""
        return Prompts({prompt: self.encode([prompt]) for prompt in prompts}, self.empty)

    def copy(self) -> Base:
        """The same base over weights of its own: a student beside its teacher."""
        return Base(self.config, copy.deepcopy(self.unet), copy.deepcopy(self.encoder), dict(self.log))


def new_base(config: BaseConfig, seed: int) -> Base:
    """An untrained base whose weights are drawn from `seed`; torch's own random state stays as it was."""
    language = language_of(world_of(config.world))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = new_unet(config)
        encoder = TextEncoder(len(language.vocabulary), language.tokens)
    return Base(config, unet, encoder)
