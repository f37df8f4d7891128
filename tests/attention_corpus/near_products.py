"""What only looks like attention: wrong axes, other operands, scores that are no product of queries and keys.

Some can be fused all the same by whoever moves what happened to the probabilities to the queries, keys or values:
those are `either`, and their numbers decide.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, folded, heads, keep, normal, spelling, square, tokens_first

SCALE = D**-0.5


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


@spelling("near products", square, 0, reason="axis")
def softmax_over_queries(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-2) @ value


@spelling("near products", heads, 0, reason="axis")
def softmax_over_queries_of_another_length(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(dim=2) @ value


@spelling("near products", square, 0, reason="axis")
def softmax_over_heads(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(dim=1) @ value


@spelling("near products", folded, 0, reason="axis")
def softmax_over_the_batch(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.bmm(F.softmax(torch.bmm(query, key.mT), dim=0), value)


@spelling("near products", tokens_first, 0, reason="axis")
def softmax_over_heads_of_heads_last_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """A spelling people mean as attention, with -1 where the keys are axis 2."""
    probabilities = torch.einsum("bihd,bjhd->bijh", query, key).softmax(dim=-1)
    return torch.einsum("bijh,bjhd->bihd", probabilities, value)


@spelling("near products", heads, 0, reason="axis")
def softmax_over_heads_and_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key).transpose(1, 2).flatten(2)
    return scores.softmax(-1).unflatten(-1, (H, -1)).transpose(1, 2) @ value


@spelling("near products", heads, 0, reason="axis")
def softmax_over_queries_and_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return scores.flatten(2).softmax(-1).view(scores.shape) @ value


@spelling("near products", lambda: (normal(B, H, 6, D), normal(B, H, 6, D), normal(B, H, 6, D)), 0, reason="axis")
def softmax_over_half_of_the_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key).unflatten(-1, (2, 3))
    return scores.softmax(-1).flatten(-2) @ value


@spelling("near products", square, 0)
def values_contracted_over_queries(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).mT @ value


@spelling("near products", square, 0, either=True)
def values_contracted_over_their_width(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1) @ value.mT


@spelling("near products", square, 0)
def probabilities_on_the_wrong_side(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return value @ _scores(query, key).softmax(-1)


@spelling("near products", square, 0)
def einsum_values_over_queries(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bhid,bhjd->bhij", query, key).softmax(-1)
    return torch.einsum("bhij,bhid->bhjd", probabilities, value)


@spelling("near products", square, 0, either=True)
def einsum_heads_and_batch_exchanged(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bhid,bhjd->bhij", query, key).softmax(-1)
    return torch.einsum("bhij,hbjd->bhid", probabilities, value)


@spelling("near products", square, 0, either=True)
def value_heads_rolled(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1) @ value.roll(1, dims=1)


@spelling("near products", square, 0, either=True)
def probabilities_rolled_over_the_batch(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).roll(1, dims=0) @ value


@spelling("near products", square, 0, either=True)
def probabilities_flipped_over_heads(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).flip(1) @ value


@spelling("near products", square, 0, either=True)
def probabilities_rolled_over_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).roll(1, dims=-1) @ value


@spelling("near products", square, 0, either=True)
def queries_permuted_after_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1)[:, :, [2, 0, 3, 1]] @ value


@spelling("near products", square, 0)
def heads_and_queries_exchanged_after_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).transpose(1, 2) @ value


@spelling("near products", lambda: (normal(4, 6, D), normal(4, 6, D), normal(4, 6, D)), 0, either=True)
def batch_unfolded_the_other_way(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scores of sample 1 meet the values of sample 2: (b h) read as (h b)."""
    probabilities = torch.bmm(query, key.mT).softmax(-1).view(2, 2, 6, 6)
    return probabilities @ value.view(2, 2, 6, D).transpose(0, 1)


@spelling("near products", lambda: (normal(2, 4, 6, D), normal(2, 4, 6, D), normal(2, 4, 6, D)), 0)
def scores_reshaped_without_transpose(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Heads and queries merged in the order of memory and split in the other: every number moves."""
    return _scores(query, key).softmax(-1).reshape(2, 6, 4, 6).transpose(1, 2) @ value


@spelling("near products", heads, 0)
def linear_attention_of_two_softmaxes(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    context = key.softmax(dim=-2).mT @ value
    return query.softmax(dim=-1) @ context


@spelling("near products", lambda: (normal(B, 12, 3, 5),), 0)
class LinearAttentionOfChannels(nn.Module):
    """Softmax over positions of the keys alone, then two products without scores (CompVis' LinearAttention)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(12, 36, 1, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = self.qkv(states).view(B, 3, 2, 6, -1).unbind(1)
        context = torch.einsum("bhdn,bhen->bhde", key.softmax(dim=-1), value)
        return torch.einsum("bhde,bhdn->bhen", context, query).reshape(states.shape)


@spelling("near products", heads, 0)
def keys_normalised_instead_of_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return query @ key.mT.softmax(-1) @ value


@spelling("near products", lambda: (normal(B, 12),), 0)
class Classifier(nn.Module):
    """Probabilities of classes, each with an embedding: softmax of a linear layer, then the mean embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.classes = nn.Linear(12, 9), nn.Parameter(torch.randn(9, 6))

    def forward(self, states: Tensor) -> Tensor:
        return self.head(states).softmax(dim=-1) @ self.classes


@spelling("near products", lambda: (normal(B, Q, 12),), 0)
class ClassifierOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 9)

    def forward(self, states: Tensor) -> Tensor:
        return self.head(states).softmax(dim=-1)


@spelling("near products", lambda: (normal(B, Q, 12),), 0)
class MixtureOfExperts(nn.Module):
    """A softmax gate, then the weighted sum of what every expert returns."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(12, 4, bias=False), nn.Parameter(0.3 * torch.randn(4, 12, 10))

    def forward(self, states: Tensor) -> Tensor:
        outputs = torch.einsum("bnc,ecd->bned", states, self.experts)
        return torch.einsum("bne,bned->bnd", self.gate(states).softmax(-1), outputs)


@spelling("near products", lambda: (normal(B, H, Q, 12), normal(B, H, K, D)), 0)
class ScoresFromALinearLayer(nn.Module):
    """Weights of positions straight from the queries (dense synthesizer)."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, K))

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        return self.scores(query).softmax(-1) @ value


@spelling("near products", lambda: (normal(B, H, K, D),), 0)
class ScoresOfPositionsOnly(nn.Module):
    """A learned table of scores, the same for every input (random synthesizer)."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.randn(H, Q, K))

    def forward(self, value: Tensor) -> Tensor:
        return self.scores.softmax(-1) @ value


@spelling("near products", lambda: (normal(B, 12, 3, 5), normal(B, 15, D)), 0)
class ScoresFromAConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 7, 3, padding=1)

    def forward(self, states: Tensor, value: Tensor) -> Tensor:
        return self.conv(states).flatten(2).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_of_a_convolution_after_the_product(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    kernel = torch.tensor([[0.1, 0.8, 0.1]]).expand(H, 1, 1, 3)
    return F.conv2d(_scores(query, key), kernel, padding=(0, 1), groups=H).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_by_distance(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (-torch.cdist(query, key)).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_additive_bahdanau(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.tanh(query.unsqueeze(3) + key.unsqueeze(2)).sum(-1).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_squared(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).square().softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_times_themselves(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores * scores).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_clamped(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).clamp(-1.0, 1.0).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_soft_capped(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (torch.tanh(_scores(query, key) / 2.0) * 2.0).softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_rectified(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).relu().softmax(-1) @ value


@spelling("near products", heads, 0)
def scores_rounded_to_integers(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).round().softmax(-1) @ value


@spelling("near products", lambda: (*heads(), torch.rand(Q, K) + 0.5), 0)
def scores_times_a_weight_for_every_pair(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, weight: Tensor
) -> Tensor:
    return (_scores(query, key) * weight).softmax(-1) @ value


@spelling("near products", heads, 0)
class ScoresMixedBetweenHeads(nn.Module):
    """Talking heads before the softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(H, H))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = torch.einsum("gh,bhij->bgij", self.mix, _scores(query, key))
        return scores.softmax(-1) @ value


@spelling("near products", heads, 0, either=True)
def scores_between_neighbours_averaged(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return ((scores + scores.roll(1, dims=-1)) / 2).softmax(-1) @ value


@spelling("near products", lambda: (*square(), normal(4, 4, 4, 4)), 0, either=True)
def scores_of_two_products_added(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, other: Tensor) -> Tensor:
    """Either product may be taken for the mask of the other; the sum of both is no single product."""
    return (_scores(query, key) + _scores(query, other)).softmax(-1) @ value


@spelling("near products", square, 0, either=True)
def scores_times_their_transpose(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores @ scores.mT).softmax(-1) @ scores


@spelling("near products", square, 0, either=True)
def scores_plus_their_transpose(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    return (scores + scores.mT).softmax(-1) @ value


@spelling("near products", lambda: (*square(), keep(4, 4)), 0)
def where_another_score(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, _scores(query, key), _scores(key, query)).softmax(-1) @ value


@spelling("near products", lambda: (*heads(), keep(B, 1, Q, K)), 0)
def where_a_small_number(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """-10 hides nothing: the other pairs keep a share."""
    return torch.where(mask, _scores(query, key), -10.0).softmax(-1) @ value


@spelling("near products", lambda: (*heads(), keep(B, 1, Q, K)), 0)
def masked_fill_of_zero(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(~mask, 0.0).softmax(-1) @ value


@spelling("near products", lambda: (*heads(), keep(B, 1, Q, K)), 0)
def mask_multiplied_before_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) * mask).softmax(-1) @ value


@spelling("near products", lambda: (normal(B, H, Q, D), normal(B, H, 8, D)), 0, either=True)
def keys_and_values_of_other_slices(self: nn.Module, query: Tensor, memory: Tensor) -> Tensor:
    """Keys 0 to 6 with values 1 to 7: equal lengths, other rows. Right to fuse only with both slices kept."""
    return _scores(query, memory[:, :, :-1]).softmax(-1) @ memory[:, :, 1:]


@spelling("near products", square, 0)
def score_product_over_tokens_of_queries(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Channels attend to channels, and the values are contracted over the channels of the queries."""
    return (query.mT @ key).softmax(-1).mT @ value
