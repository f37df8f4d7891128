"""How the two products are written: operator, operand layout, order of the axes of the scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, flat, folded, heads, normal, spelling, square, tokens_first


@spelling("products", heads)
def matmul_transpose(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.matmul(torch.softmax(torch.matmul(query, key.transpose(-2, -1)), dim=-1), value)


@spelling("products", heads)
def matmul_mt(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT).softmax(-1) @ value


@spelling("products", heads)
def matmul_permuted_key(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return query.matmul(key.permute(0, 1, 3, 2)).softmax(3).matmul(value)


@spelling("products", lambda: (normal(B, H, Q, D), normal(B, H, D, K), normal(B, H, K, D)))
def key_stored_transposed(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key).softmax(-1) @ value


@spelling("products", lambda: (normal(B, H, D, Q), normal(B, H, D, K), normal(B, H, D, K)))
def everything_channels_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = (query.mT @ key).softmax(-1)
    return (probabilities @ value.mT).mT


@spelling("products", heads)
def scores_key_major_then_transposed(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (key @ query.mT).mT.softmax(-1) @ value


@spelling("products", heads)
def scores_key_major_softmax_over_rows(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = (key @ query.mT).softmax(dim=-2)
    return probabilities.mT @ value


@spelling("products", heads)
def value_product_transposed(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (value.mT @ (query @ key.mT).softmax(-1).mT).mT


@spelling("products", lambda: heads(width=11))
def output_channels_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return value.mT @ (query @ key.mT).softmax(-1).mT


@spelling("products", lambda: heads(width=11))
def key_major_all_the_way(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return value.mT @ (key @ query.mT).softmax(-2)


@spelling("products", lambda: heads(width=11))
def value_width_differs(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT * D**-0.5).softmax(-1) @ value


@spelling("products", heads)
def einsum_bhqd(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bhqd,bhkd->bhqk", query, key).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", probabilities, value)


@spelling("products", folded)
def einsum_spaced_letters(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("b i d, b j d -> b i j", query, key).softmax(dim=-1)
    return torch.einsum("b i j, b j d -> b i d", probabilities, value)


@spelling("products", tokens_first)
def einsum_tokens_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->bhij", query, key).softmax(-1)
    return torch.einsum("bhij,bjhd->bihd", probabilities, value)


@spelling("products", tokens_first)
def einsum_heads_last_scores(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->bijh", query, key).softmax(dim=2)
    return torch.einsum("bijh,bjhd->bihd", probabilities, value)


@spelling("products", tokens_first)
def einsum_heads_between(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->bihj", query, key).softmax(dim=-1)
    return torch.einsum("bihj,bjhd->bihd", probabilities, value)


@spelling("products", tokens_first)
def einsum_ijbh(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("ibnd,jbnd->ijbn", query.transpose(0, 1), key.transpose(0, 1)).softmax(dim=1)
    return torch.einsum("ijbn,jbnd->ibnd", probabilities, value.transpose(0, 1))


@spelling("products", heads)
def einsum_key_major(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bhqd,bhkd->bhkq", query, key).softmax(dim=-2)
    return torch.einsum("bhkq,bhkd->bhqd", probabilities, value)


@spelling("products", lambda: (normal(B * H, D, Q), normal(B * H, D, K), normal(B * H, D, K)))
def einsum_channels_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weight = torch.einsum("bct,bcs->bts", query, key).softmax(dim=-1)
    return torch.einsum("bts,bcs->bct", weight, value)


@spelling("products", heads)
def einsum_ellipsis(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("...id,...jd->...ij", query, key).softmax(dim=-1)
    return torch.einsum("...ij,...jd->...id", probabilities, value)


@spelling("products", tokens_first)
def einsum_merging_heads(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->bhij", query, key).softmax(-1)
    return torch.einsum("bhij,bjhd->bihd", probabilities, value).flatten(2)


@spelling("products", tokens_first)
def einsum_output_heads_before_width(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->hbij", query, key).softmax(-1)
    return torch.einsum("hbij,bjhd->bdhi", probabilities, value)


@spelling("products", heads)
def einsum_scores_matmul_values(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.einsum("bhid,bhjd->bhij", query, key).softmax(-1) @ value


@spelling("products", heads)
def matmul_scores_einsum_values(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.einsum("bhij,bhjd->bihd", (query @ key.mT).softmax(-1), value)


@spelling("products", folded)
def bmm(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.bmm(torch.bmm(query, key.transpose(1, 2)).softmax(-1), value)


@spelling("products", folded)
def baddbmm_beta_zero(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    addend = torch.empty(query.shape[0], query.shape[1], key.shape[1])
    scores = torch.baddbmm(addend, query, key.transpose(-1, -2), beta=0, alpha=0.3)
    return torch.bmm(scores.softmax(dim=-1), value)


@spelling("products", lambda: (*folded(), normal(B * H, Q, K)))
def baddbmm_mask_as_addend(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.baddbmm(mask, query, key.transpose(-1, -2), beta=1, alpha=0.3)
    return torch.bmm(scores.softmax(dim=-1), value)


@spelling("products", lambda: (*folded(), normal(B * H, Q, K)))
def baddbmm_beta_scales_the_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.baddbmm(mask, query, key.transpose(-1, -2), beta=0.5, alpha=0.3)
    return torch.bmm(scores.softmax(dim=-1), value)


@spelling("products", lambda: (*folded(), normal(1, Q, K)))
def baddbmm_addend_broadcast(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.bmm(torch.baddbmm(mask, query, key.mT, alpha=0.3).softmax(-1), value)


@spelling("products", flat)
def two_dimensional(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.mm(torch.softmax(query @ key.t(), dim=1), value)


@spelling("products", flat)
def linear_as_product(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.linear(query, key).softmax(-1) @ value


@spelling("products", lambda: (*flat(), normal(Q, K)))
def addmm_mask_as_addend(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.addmm(mask, query, key.t(), alpha=D**-0.5).softmax(-1) @ value


@spelling("products", flat)
def tensordot(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.tensordot(query, key, dims=([1], [1])).softmax(-1)
    return torch.tensordot(probabilities, value, dims=1)


@spelling("products", lambda: (normal(B, Q, D), normal(B, K, D), normal(B, K, D)))
def one_head_unsqueezed(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = (part.unsqueeze(1) for part in (query, key, value))
    return (query @ key.transpose(2, 3)).softmax(-1).matmul(value).squeeze(1)


@spelling("products", heads, either=True)
def elementwise_product_and_sum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = (query.unsqueeze(3) * key.unsqueeze(2)).sum(-1)
    return (scores.softmax(-1).unsqueeze(-1) * value.unsqueeze(2)).sum(3)


@spelling("products", lambda: (normal(B, 4, 512), normal(B, 6, 512), normal(B, 6, 512)))
def head_width_512(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.bmm(F.softmax(torch.bmm(query, key.mT) * 512**-0.5, dim=2), value)


@spelling("products", square)
def all_sizes_coincide(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT * 0.5).softmax(-1) @ value


@spelling("products", square)
def all_sizes_coincide_tokens_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bihd,bjhd->bhij", query, key).softmax(-1)
    return torch.einsum("bhij,bjhd->bihd", probabilities, value)


@spelling("products", square)
def all_sizes_coincide_key_major(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return ((key @ query.mT).softmax(-2).mT @ value).transpose(1, 2)


@spelling("products", square)
def heads_are_the_first_axis(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.einsum("hbij,hbjd->bhid", torch.einsum("hbid,hbjd->hbij", query, key).softmax(-1), value)


@spelling("products", lambda: (normal(B, H, 1, D), normal(B, H, K, D), normal(B, H, K, D)))
def one_query(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT * D**-0.5).softmax(-1) @ value


@spelling("products", lambda: (normal(B, D), normal(B, K, D), normal(B, K, D)), either=True)
def one_query_without_an_axis(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bd,bkd->bk", query, key).softmax(-1)
    return torch.einsum("bk,bkd->bd", probabilities, value)


@spelling("products", lambda: (normal(Q, D), normal(B, H, K, D), normal(B, H, K, D)))
def query_broadcast_over_the_batch(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.mT).softmax(-1) @ value


@spelling("products", lambda: (normal(B, H, Q, D), normal(K, D), normal(K, D)))
def keys_broadcast_over_the_batch(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.t()).softmax(-1) @ value


@spelling("products", lambda: (normal(B, H, K, D), normal(B, H, K, D)))
def keys_are_values(self: nn.Module, query: Tensor, memory: Tensor) -> Tensor:
    return (query @ memory.mT).softmax(-1) @ memory


@spelling("products", lambda: (normal(B, H, K, D),))
def one_tensor_for_all_three(self: nn.Module, sample: Tensor) -> Tensor:
    return (sample @ sample.mT * D**-0.5).softmax(-1) @ sample


@spelling("products", square)
def all_sizes_coincide_key_not_transposed(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The key is stored (B,H,D,K), and nothing in its shape says so."""
    return (query @ key * 0.5).softmax(-1) @ value
