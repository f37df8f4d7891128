"""What only looks like attention: other normalisations, changed probabilities, probabilities and scores used twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, heads, keep, normal, spelling, square

SCALE = D**-0.5


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


def _probabilities(query: Tensor, key: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1)


@spelling("near probabilities", heads, 0, reason="used")
def maps_returned(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    probabilities = _probabilities(query, key)
    return probabilities @ value, probabilities


@spelling("near probabilities", heads, 0, reason="used")
def maps_averaged_and_returned(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    probabilities = _probabilities(query, key)
    return probabilities @ value, probabilities.mean(1)


@spelling("near probabilities", heads, 0, reason="used")
def scores_returned(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    scores = _scores(query, key)
    return scores.softmax(-1) @ value, scores


@spelling("near probabilities", heads, 0, reason="used")
def raw_product_returned(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    product = query @ key.mT
    return (product * SCALE).softmax(-1) @ value, product


@spelling("near probabilities", heads, 0, reason="used")
def scores_of_the_mask_kept(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    scores = _scores(query, key)
    best = scores.argmax(-1)
    return scores.softmax(-1) @ value, best


@spelling("near probabilities", heads, 0, reason="used")
def entropy_beside(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    probabilities = _probabilities(query, key)
    return probabilities @ value, -(probabilities * probabilities.log()).sum(-1)


@spelling("near probabilities", lambda: (*heads(), normal(B, H, K, D)), 0, reason="used", either=True)
def probabilities_for_two_values(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, other: Tensor
) -> tuple[Tensor, Tensor]:
    """Two fused attentions would compute the scores twice: right numbers, more work."""
    probabilities = _probabilities(query, key)
    return probabilities @ value, probabilities @ other


@spelling("near probabilities", heads, 0, reason="used")
class RelativeValues(nn.Module):
    """Values of distances beside the values of tokens: the probabilities are used by two products (Shaw)."""

    def __init__(self) -> None:
        super().__init__()
        self.distances = nn.Parameter(torch.randn(Q, K, D))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        probabilities = _probabilities(query, key)
        return probabilities @ value + torch.einsum("bhij,ijd->bhid", probabilities, self.distances)


@spelling("near probabilities", lambda: (normal(B, Q, H * D),), 0, reason="used")
class TorchAttentionReturningMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(H * D, H, batch_first=True)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        mixed, maps = self.attention(states, states, states, need_weights=True)
        return mixed, maps


@spelling("near probabilities", heads, 0)
def sigmoid_attention(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.sigmoid(_scores(query, key) - 2.0) @ value


@spelling("near probabilities", heads, 0)
def rectified_attention(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.relu(_scores(query, key)).square() @ value / K


@spelling("near probabilities", heads, 0)
def rectified_and_normalised(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = F.relu(_scores(query, key)) + 0.1
    return (weights / weights.sum(-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def sparsemax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Projection onto the simplex: sorted scores, a threshold, a rectifier."""
    scores = _scores(query, key)
    ordered = scores.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    size = torch.arange(1, scores.shape[-1] + 1)
    support = (ordered * size > excess).sum(-1, keepdim=True)
    return (scores - excess.gather(-1, support - 1) / support).clamp(min=0) @ value


@spelling("near probabilities", heads, 0)
def softmin(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One minus the probability: what is unlike wins."""
    return (1.0 - _probabilities(query, key)) @ value


@spelling("near probabilities", heads, 0)
def squared_exponential_norm(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Exponentials over their Euclidean length, not over their sum."""
    weights = _scores(query, key).exp()
    return (weights / weights.norm(dim=-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def exponential_without_sum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).exp() @ value


@spelling("near probabilities", square, 0)
def exponential_over_sum_of_another_axis(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights / weights.sum(-2, keepdim=True)) @ value


@spelling("near probabilities", square, 0)
def exponential_over_sum_placed_wrong(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The sums over keys stand where the keys are: sizes coincide, nothing complains."""
    weights = _scores(query, key).exp()
    return (weights / weights.sum(-1).unsqueeze(-2)) @ value


@spelling("near probabilities", heads, 0, either=True)
def exponential_over_mean(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights / weights.mean(-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def exponential_sum_of_other_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores.exp() / (scores * 1.1).exp().sum(-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def softmax_plus_one(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights / (1 + weights.sum(dim=-1, keepdim=True))) @ value


@spelling("near probabilities", heads, 0)
class Sinks(nn.Module):
    """A learned logit a head takes its share of the softmax and is dropped after it (gpt-oss)."""

    def __init__(self) -> None:
        super().__init__()
        self.sinks = nn.Parameter(torch.zeros(H))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = _scores(query, key)
        sinks = self.sinks.view(1, -1, 1, 1).expand(scores.shape[0], -1, scores.shape[2], 1)
        return torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1] @ value


@spelling("near probabilities", heads, 0)
def scores_concatenated_before_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Half of the softmax' sum belongs to products with the other half of the width."""
    other = (query.flip(-1) @ key.mT) * SCALE
    return torch.cat([_scores(query, key), other], dim=-1).softmax(-1)[..., : key.shape[2]] @ value


@spelling("near probabilities", heads, 0)
class ProbabilitiesMixedBetweenHeads(nn.Module):
    """Talking heads after the softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(H, H, 1, bias=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.mix(_probabilities(query, key)) @ value


@spelling("near probabilities", heads, 0)
def three_best_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    least = scores.topk(3, dim=-1).values[..., -1:]
    return scores.masked_fill(scores < least, float("-inf")).softmax(-1) @ value


@spelling("near probabilities", heads, 0)
def three_best_probabilities(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = _probabilities(query, key)
    best = probabilities.topk(3, dim=-1)
    return torch.zeros_like(probabilities).scatter(-1, best.indices, best.values) @ value


@spelling("near probabilities", heads, 0)
def scores_below_the_mean_hidden(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return torch.where(scores > scores.mean(-1, keepdim=True), scores, float("-inf")).softmax(-1) @ value


@spelling("near probabilities", heads, 0)
def probabilities_below_a_threshold_dropped(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.threshold(_probabilities(query, key), 0.1, 0.0) @ value


@spelling("near probabilities", lambda: (*heads(), torch.rand(B, 1, Q, K)), 0)
def gate_on_every_probability(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, gate: Tensor) -> Tensor:
    return (_probabilities(query, key) * gate) @ value


@spelling("near probabilities", lambda: (*heads(), keep(B, 1, Q, K)), 0)
def mask_only_after_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _probabilities(query, key).masked_fill(~mask, 0.0) @ value


@spelling("near probabilities", lambda: (*heads(), keep(B, 1, Q, K), keep(B, 1, Q, K)), 0)
def another_mask_after_softmax(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, before: Tensor, after: Tensor
) -> Tensor:
    probabilities = _scores(query, key).masked_fill(~before, -1e9).softmax(-1)
    return (probabilities * after) @ value


@spelling("near probabilities", heads, 0)
def normalised_over_queries_after(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax over keys, then shares of queries (offset and slot attention)."""
    probabilities = _probabilities(query, key)
    return (probabilities / (1e-9 + probabilities.sum(dim=-2, keepdim=True))) @ value


@spelling("near probabilities", lambda: (*heads(), torch.rand(K)), 0)
def normalised_again_after_weighting(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, weight: Tensor
) -> Tensor:
    probabilities = _probabilities(query, key) * weight
    return (probabilities / probabilities.sum(-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def small_number_added(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_probabilities(query, key) + 1e-2) @ value


@spelling("near probabilities", heads, 0)
def tiny_number_added(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Slot attention's 1e-6: below what float32 shows, and still another function."""
    return (_probabilities(query, key) + 1e-6) @ value


@spelling("near probabilities", heads, 0)
def normalised_again_with_tiny_epsilon(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = _probabilities(query, key)
    return (probabilities / (probabilities.sum(-1, keepdim=True) + 1e-6)) @ value


@spelling("near probabilities", heads, 0, either=True)
def normalised_again(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The sum is 1 already."""
    probabilities = _probabilities(query, key)
    return (probabilities / probabilities.sum(-1, keepdim=True)) @ value


@spelling("near probabilities", heads, 0)
def denominator_with_epsilon(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return (weights / (weights.sum(-1, keepdim=True) + 1e-2)) @ value


@spelling("near probabilities", heads, 0)
def probabilities_cumulated(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _probabilities(query, key).cumsum(-1) @ value


@spelling("near probabilities", heads, 0)
def probabilities_to_a_power(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _probabilities(query, key).pow(2) @ value


@spelling("near probabilities", heads, 0)
def softmax_twice(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _probabilities(query, key).softmax(-1) @ value


@spelling("near probabilities", heads, 0, either=True)
def two_maps_subtracted(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Differential attention, with one value product."""
    return (_probabilities(query, key) - 0.5 * _probabilities(query.flip(-1), key)) @ value


@spelling("near probabilities", heads, 0)
def identity_added_to_probabilities(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_probabilities(query, key) + torch.eye(query.shape[2], key.shape[2])) @ value


@spelling("near probabilities", heads, 0)
def probabilities_rounded_to_half(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Hard attention: the best key alone."""
    probabilities = _probabilities(query, key)
    return F.one_hot(probabilities.argmax(-1), key.shape[2]).float() @ value


@spelling("near probabilities", heads, 0, reason="dropout", training=True)
def dropout_in_training(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.dropout(_probabilities(query, key), p=0.5, training=self.training) @ value


@spelling("near probabilities", heads, 0, reason="dropout")
def dropout_always_on(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.dropout(_probabilities(query, key), p=0.5, training=True) @ value


@spelling("near probabilities", heads, 0, training=True)
def dropout_of_scores_in_training(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.dropout(_scores(query, key), p=0.5, training=self.training).softmax(-1) @ value


@spelling("near probabilities", heads, 0, either=True)
def gumbel_noise_on_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Noise is a bias like any other as long as it is drawn once."""
    scores = _scores(query, key)
    noise = -torch.empty_like(scores).exponential_().log()
    return ((scores + noise) / 0.5).softmax(-1) @ value


@spelling("near probabilities", square, 0)
def scores_written_into_after_softmax(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor]:
    """The probabilities are read, then the scores change and leave: order matters."""
    scores = _scores(query, key)
    mixed = scores.softmax(-1) @ value
    scores.mul_(0.5)
    return mixed, scores


@spelling("near probabilities", square, 0)
def probabilities_written_into(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = _probabilities(query, key)
    probabilities[:, :, 0] = 0.25
    return probabilities @ value


@spelling("near probabilities", square, 0)
def one_key_hidden_after_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = _probabilities(query, key)
    probabilities[..., -1].zero_()
    return probabilities @ value


@spelling("near probabilities", heads, 0, either=True)
def values_dropped_by_position(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Only the first keys' probabilities meet values: what the rest took is lost."""
    return _probabilities(query, key)[..., :4] @ value[:, :, :4]


@spelling("near probabilities", heads, 0)
def probabilities_padded(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.pad(_probabilities(query, key), (1, 0), value=0.1)[..., :-1] @ value


@spelling("near probabilities", heads, 0)
def values_pooled_by_maximum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_probabilities(query, key).unsqueeze(-1) * value.unsqueeze(2)).amax(3)
