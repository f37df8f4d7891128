"""Five-dimensional inputs: attention over space, over time, along one axis, in windows, between frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import normal, spelling

FRAMES, ROWS, COLUMNS, CHANNELS, HEADS, WIDTH = 3, 2, 5, 16, 2, 8
SCALE = WIDTH**-0.5


def _video() -> tuple[Tensor]:
    """(B,C,F,H,W)."""
    return (normal(2, CHANNELS, FRAMES, ROWS, COLUMNS),)


def _channels_last() -> tuple[Tensor]:
    """(B,F,H,W,C)."""
    return (normal(2, FRAMES, ROWS, COLUMNS, CHANNELS),)


class _Projected(nn.Module):
    """Projections of the last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(CHANNELS, CHANNELS, bias=False) for _ in range(3))

    def attend(self, states: Tensor, context: Tensor | None = None) -> Tensor:
        """Attention with heads over the second last axis of states (N,L,C)."""
        context = states if context is None else context
        parts = self.query(states), self.key(context), self.value(context)
        query, key, value = (part.unflatten(-1, (HEADS, WIDTH)).transpose(1, 2) for part in parts)
        return self.mix(query, key, value).transpose(1, 2).flatten(2)

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(N,H,L,D) of each."""
        return (query @ key.mT * SCALE).softmax(-1) @ value


@spelling("videos", _video)
class SpatialFramesInTheBatch(_Projected):
    def forward(self, video: Tensor) -> Tensor:
        tokens = video.permute(0, 2, 3, 4, 1).reshape(-1, ROWS * COLUMNS, CHANNELS)
        return self.attend(tokens).reshape(-1, FRAMES, ROWS, COLUMNS, CHANNELS).permute(0, 4, 1, 2, 3)


@spelling("videos", _video)
class TemporalPositionsInTheBatch(_Projected):
    def forward(self, video: Tensor) -> Tensor:
        tokens = video.permute(0, 3, 4, 2, 1).reshape(-1, FRAMES, CHANNELS)
        return self.attend(tokens).reshape(-1, ROWS, COLUMNS, FRAMES, CHANNELS).permute(0, 4, 3, 1, 2)


@spelling("videos", _video, attentions=2)
class SpatialThenTemporal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.space, self.time = SpatialFramesInTheBatch(), TemporalPositionsInTheBatch()

    def forward(self, video: Tensor) -> Tensor:
        video = video + self.space(video)
        return video + self.time(video)


@spelling("videos", lambda: (normal(2, CHANNELS, 4, 2, 2),), attentions=1)
class TemporalWhereFramesEqualPositions(_Projected):
    """Four frames of four positions: lengths do not tell space from time."""

    def forward(self, video: Tensor) -> Tensor:
        tokens = video.flatten(3).permute(0, 3, 2, 1).reshape(-1, 4, CHANNELS)
        return self.attend(tokens).reshape(-1, 4, 4, CHANNELS).permute(0, 3, 2, 1).reshape(video.shape)


@spelling("videos", _channels_last)
class TemporalCausal(_Projected):
    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        later = torch.ones(FRAMES, FRAMES, dtype=torch.bool).triu(1)
        return (query @ key.mT * SCALE).masked_fill(later, -1e9).softmax(-1) @ value

    def forward(self, video: Tensor) -> Tensor:
        tokens = video.permute(0, 2, 3, 1, 4).flatten(0, 2)
        return self.attend(tokens).unflatten(0, (-1, ROWS, COLUMNS)).permute(0, 3, 1, 2, 4)


@spelling("videos", _channels_last)
class EverythingAtOnce(_Projected):
    def forward(self, video: Tensor) -> Tensor:
        return self.attend(video.flatten(1, 3)).reshape(video.shape)


@spelling("videos", _channels_last)
class AlongColumnsInPlace(_Projected):
    """The video stays five-dimensional; the batched product takes all leading axes."""

    def forward(self, video: Tensor) -> Tensor:
        query, key, value = self.query(video), self.key(video), self.value(video)
        return (query @ key.mT * CHANNELS**-0.5).softmax(-1) @ value


@spelling("videos", _channels_last)
class AlongRowsByEinsum(_Projected):
    def forward(self, video: Tensor) -> Tensor:
        query, key, value = self.query(video), self.key(video), self.value(video)
        probabilities = torch.einsum("bfiyd,bfjyd->bfyij", query * 0.25, key).softmax(-1)
        return torch.einsum("bfyij,bfjyd->bfiyd", probabilities, value)


@spelling("videos", _channels_last)
class AlongFramesByEinsumWithHeads(_Projected):
    def forward(self, video: Tensor) -> Tensor:
        parts = self.query(video), self.key(video), self.value(video)
        query, key, value = (part.unflatten(-1, (HEADS, WIDTH)) for part in parts)
        probabilities = torch.einsum("bixyhd,bjxyhd->bxyhij", query, key).mul(SCALE).softmax(dim=-1)
        return torch.einsum("bxyhij,bjxyhd->bixyhd", probabilities, value).flatten(-2)


@spelling("videos", _channels_last)
class AlongFramesScoresLast(_Projected):
    """Frames of the keys stand before the positions in the scores: softmax over an axis in the middle."""

    def forward(self, video: Tensor) -> Tensor:
        query, key, value = self.query(video), self.key(video), self.value(video)
        probabilities = torch.einsum("bixyd,bjxyd->bijxy", query, key).mul(0.25).softmax(dim=2)
        return torch.einsum("bijxy,bjxyd->bixyd", probabilities, value)


@spelling("videos", lambda: (*_channels_last(), normal(2, 7, CHANNELS)))
class TextRepeatedOverFrames(_Projected):
    def forward(self, video: Tensor, text: Tensor) -> Tensor:
        text = text.repeat_interleave(FRAMES, dim=0)
        return self.attend(video.flatten(2, 3).flatten(0, 1), text).reshape(video.shape)


@spelling("videos", _channels_last)
class FirstAndPreviousFrame(_Projected):
    """Keys of the first and of the previous frame, joined (Tune-A-Video)."""

    def forward(self, video: Tensor) -> Tensor:
        tokens = video.flatten(2, 3)
        before = torch.arange(FRAMES) - 1
        before[0] = 0
        context = torch.cat([tokens[:, [0] * FRAMES], tokens[:, before]], dim=2)
        return self.attend(tokens.flatten(0, 1), context.flatten(0, 1)).reshape(video.shape)


@spelling("videos", lambda: (normal(2, 4, 2, 6, CHANNELS),))
class WindowsOfSpaceAndTime(_Projected):
    """Windows of 2x2x3, folded into the batch (Video Swin)."""

    def forward(self, video: Tensor) -> Tensor:
        windows = video.view(-1, 2, 2, 1, 2, 2, 3, CHANNELS).permute(0, 1, 3, 5, 2, 4, 6, 7)
        mixed = self.attend(windows.reshape(-1, 12, CHANNELS)).view(-1, 2, 1, 2, 2, 2, 3, CHANNELS)
        return mixed.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(video.shape)


@spelling("videos", _video)
class TemporalConvolvedChannelsFirst(nn.Module):
    """A 1x1x1 convolution projects, heads are channels, frames are contracted where they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv3d(CHANNELS, 3 * CHANNELS, 1)

    def forward(self, video: Tensor) -> Tensor:
        parts = self.qkv(video).chunk(3, dim=1)
        query, key, value = (part.unflatten(1, (HEADS, WIDTH)) for part in parts)
        scores = torch.einsum("bhdixy,bhdjxy->bhxyij", query, key) * SCALE
        mixed = torch.einsum("bhxyij,bhdjxy->bhdixy", F.softmax(scores, dim=-1), value)
        return video + mixed.flatten(1, 2)
