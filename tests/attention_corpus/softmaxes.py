"""How the probabilities are written: softmax by any name, exponentials and sums, casts around them, dropout."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import D, additive, folded, heads, heads_bf16, keep, spelling

SCALE = D**-0.5


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


@spelling("softmaxes", heads)
class SoftmaxModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.softmax, self.dropout = nn.Softmax(dim=-1), nn.Dropout(0.1)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.dropout(self.softmax(_scores(query, key))) @ value


@spelling("softmaxes", heads)
def functional_dropout(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.dropout(F.softmax(_scores(query, key), dim=-1), p=0.3, training=self.training) @ value


@spelling("softmaxes", heads, training=True)
def dropout_of_nothing_in_training(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.dropout(F.softmax(_scores(query, key), dim=-1), p=0.0, training=self.training) @ value


@spelling("softmaxes", heads_bf16)
def half_throughout(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1) @ value


@spelling("softmaxes", lambda: heads(torch.float16))
def float16_softmax_in_float32(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).float().softmax(-1).half() @ value


@spelling("softmaxes", heads_bf16)
def softmax_with_dtype(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.softmax(_scores(query, key), dim=-1, dtype=torch.float32).to(query.dtype) @ value


@spelling("softmaxes", heads_bf16)
def softmax_of_float_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.softmax(_scores(query, key).float(), dim=-1).type_as(value) @ value


@spelling("softmaxes", lambda: folded(torch.bfloat16))
def half_baddbmm_softmax_in_float32(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    addend = torch.empty(query.shape[0], query.shape[1], key.shape[1], dtype=query.dtype)
    scores = torch.baddbmm(addend, query, key.transpose(-1, -2), beta=0, alpha=SCALE)
    return torch.bmm(scores.float().softmax(-1).to(query.dtype), value)


@spelling("softmaxes", heads_bf16)
def scores_upcast_before_scale(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((query @ key.mT).float() * SCALE).softmax(-1).to(value.dtype) @ value


@spelling("softmaxes", heads_bf16)
def operands_upcast_before_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query.float(), key.float()).softmax(-1).to(value.dtype) @ value


@spelling("softmaxes", heads_bf16)
def values_upcast_too(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_scores(query.float(), key.float()).softmax(-1) @ value.float()).to(query.dtype)


@spelling("softmaxes", heads)
def softmax_with_the_same_dtype(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.softmax(_scores(query, key).float(), dim=-1, dtype=torch.float32).to(query.dtype) @ value


@spelling("softmaxes", heads)
def exponential_over_sum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights / weights.sum(dim=-1, keepdim=True)) @ value


@spelling("softmaxes", heads)
def exponential_minus_maximum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    weights = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return (weights / weights.sum(-1, True)) @ value


@spelling("softmaxes", heads)
def exponential_minus_max_values(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    weights = (scores - scores.max(dim=-1, keepdim=True).values).exp()
    return torch.einsum("bhij,bhjd->bhid", weights / torch.sum(weights, dim=3, keepdim=True), value)


@spelling("softmaxes", heads)
def exponential_with_unsqueezed_sum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.exp(_scores(query, key))
    return (weights * weights.sum(-1).unsqueeze(-1).reciprocal()) @ value


@spelling("softmaxes", heads)
def exponential_key_major(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.exp(key @ query.mT * SCALE)
    return (weights / weights.sum(-2, keepdim=True)).mT @ value


@spelling("softmaxes", heads, either=True)
def exponential_normalised_after_values(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights @ value) / weights.sum(dim=-1, keepdim=True)


@spelling("softmaxes", heads, either=True)
def powers_of_two(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.exp2(_scores(query, key) * math.log2(math.e))
    return (weights / weights.sum(dim=-1, keepdim=True)) @ value


@spelling("softmaxes", heads)
def exponential_of_log_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.log_softmax(_scores(query, key), dim=-1).exp() @ value


@spelling("softmaxes", heads)
def exponential_minus_logsumexp(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True)) @ value


@spelling("softmaxes", heads)
def maximum_subtracted_before(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    scores = scores - scores.amax(dim=-1, keepdim=True).detach()
    return scores.softmax(dim=-1, dtype=torch.float32) @ value


@spelling("softmaxes", lambda: (*heads(), additive(2, 1, 1, 7)))
def maximum_subtracted_after_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = _scores(query, key) + mask
    scores = scores - torch.max(scores, dim=-1, keepdim=True)[0]
    return scores.softmax(dim=-1) @ value


@spelling("softmaxes", heads, either=True)
def maximum_of_everything_subtracted(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores - scores.amax()).softmax(dim=-1) @ value


@spelling("softmaxes", heads, either=True)
def mean_subtracted_before(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores - scores.mean(-1, keepdim=True)).softmax(dim=-1) @ value


@spelling("softmaxes", heads, either=True)
def probabilities_times_a_number(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_scores(query, key).softmax(-1) * 0.7) @ value


@spelling("softmaxes", heads, either=True)
def normalised_by_one_norm(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.normalize(_scores(query, key).exp(), p=1.0, dim=-1) @ value


@spelling("softmaxes", lambda: (*heads(), keep(2, 1, 5, 7)), either=True)
def exponential_times_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    weights = _scores(query, key).exp() * mask
    return (weights / weights.sum(-1, keepdim=True)) @ value


@spelling("softmaxes", heads_bf16)
def autocast_to_half(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """A half-precision model that switches autocast off around the scores: the export may wrap them."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        scores = _scores(query.float(), key.float())
    return scores.softmax(-1).to(value.dtype) @ value


@spelling("softmaxes", heads)
def gradient_off_around(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    with torch.no_grad():
        probabilities = _scores(query, key).softmax(-1)
    return probabilities @ value
