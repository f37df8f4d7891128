"""Where the scale stands and what it is: number, constant, buffer, weight; one for all, a head, a row."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, folded, heads, normal, spelling

SCALE = D**-0.5


@spelling("scales", heads)
def scale_on_query(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query * SCALE) @ key.mT).softmax(-1) @ value


@spelling("scales", heads)
def scale_on_key(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ (key * SCALE).mT).softmax(-1) @ value


@spelling("scales", heads)
def scale_on_key_after_transpose(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ (key.transpose(-1, -2) / math.sqrt(D))).softmax(-1) @ value


@spelling("scales", folded)
def scale_split_on_both(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    quarter = D**-0.25
    return torch.einsum("bij,bjd->bid", ((query * quarter) @ (key * quarter).mT).softmax(-1), value)


@spelling("scales", heads)
def scale_split_by_square_root(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    root = math.sqrt(math.sqrt(query.size(-1)))
    return ((query / root) @ (key / root).mT).softmax(-1) @ value


@spelling("scales", heads)
def scale_multiplies_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query @ key.mT) * SCALE).softmax(-1) @ value


@spelling("scales", heads)
def scale_first_factor(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (SCALE * (query @ key.mT)).softmax(-1) @ value


@spelling("scales", heads)
def scale_divides_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query @ key.mT) / math.sqrt(D)).softmax(-1) @ value


@spelling("scales", heads)
def scale_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query @ key.mT
    scores *= SCALE
    return scores.softmax(-1) @ value


@spelling("scales", heads)
def scale_from_the_size(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT / key.shape[-1] ** 0.5).softmax(-1) @ value


@spelling("scales", heads)
def scale_constant_tensor(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query @ key.mT) * torch.tensor(SCALE)).softmax(-1) @ value


@spelling("scales", heads)
def scale_divides_by_root_of_tensor(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query @ key.mT) / torch.sqrt(torch.tensor(float(D)))).softmax(-1) @ value


@spelling("scales", heads)
def scale_full_tensor(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT / torch.full([], D**0.5)).softmax(-1) @ value


class _Scaled(nn.Module):
    """Scores of query (B,H,Q,D) and key (B,H,K,D) times what `factor` returns."""

    def factor(self) -> Tensor:
        """A tensor that broadcasts against (B,H,Q,K)."""
        raise NotImplementedError

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B,H,Q,D)."""
        return (query @ key.mT * self.factor()).softmax(-1) @ value


@spelling("scales", heads)
class ScaleBuffer(_Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Buffer(torch.tensor(SCALE))

    def factor(self) -> Tensor:
        return self.scale


@spelling("scales", heads)
class ScaleBufferWithOneEntry(ScaleBuffer):
    def factor(self) -> Tensor:
        return self.scale.reshape(1)


@spelling("scales", heads)
class LearnedTemperature(_Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.zeros(1))

    def factor(self) -> Tensor:
        return self.temperature.exp()


@spelling("scales", heads)
class TemperatureByHead(_Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.zeros(H, 1, 1))

    def factor(self) -> Tensor:
        return self.logit_scale.clamp(max=math.log(100.0)).exp()


@spelling("scales", heads)
class CosineWithTemperatureByHead(TemperatureByHead):
    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return super().forward(F.normalize(query, dim=-1), F.normalize(key, dim=-1), value)


@spelling("scales", heads)
class TemperatureOnTheQueryByWidth(_Scaled):
    """A gain for each channel of the query, as PerDimScale has."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(D))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return ((query * F.softplus(self.gain) * SCALE) @ key.mT).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), torch.rand(B, 1, 1, 1) + 0.5))
def temperature_of_every_sample(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, warmth: Tensor) -> Tensor:
    return (query @ key.mT / warmth).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), torch.rand(B, 1, Q, 1) + 0.5), either=True)
def temperature_of_every_query(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, warmth: Tensor) -> Tensor:
    return (query @ key.mT * warmth).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), torch.rand(B, 1, 1, K) + 0.5), either=True)
def temperature_of_every_key(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, warmth: Tensor) -> Tensor:
    return (query @ key.mT * warmth).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def scale_after_additive_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return ((query @ key.mT + mask) * SCALE).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def scale_divides_after_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return ((query @ key.mT + mask) / 2.5).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def scale_before_and_after_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (((query * SCALE) @ key.mT * 1.5 + mask) * 0.7).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def mask_added_with_alpha(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.add(query @ key.mT * SCALE, mask, alpha=0.3).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def scores_added_with_alpha(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.add(mask, query @ key.mT, alpha=SCALE).softmax(-1) @ value


@spelling("scales", lambda: (*heads(), normal(B, 1, Q, K)))
def mask_subtracted(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (query @ key.mT * SCALE - mask).softmax(-1) @ value


@spelling("scales", heads, either=True)
def scores_negated(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (-(query @ key.mT) * SCALE).softmax(-1) @ value


@spelling("scales", heads)
def scores_shifted_by_a_number(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT * SCALE + 1.0).softmax(-1) @ value


@spelling("scales", lambda: (normal(B, Q, H * D), normal(B, K, H * D)))
class ScaleBeforeTheHeads(nn.Module):
    """The projection's result is scaled, then split into heads (BART, fairseq)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(H * D, H * D), nn.Linear(H * D, H * D)

    def forward(self, states: Tensor, context: Tensor) -> Tensor:
        query, key, value = (
            part.view(B, -1, H, D).transpose(1, 2).reshape(B * H, -1, D)
            for part in (self.query(states) * SCALE, self.key(context), context)
        )
        return torch.bmm(torch.bmm(query, key.transpose(1, 2)).softmax(-1), value).view(B, H, -1, D).transpose(1, 2)
