"""Closed-form edits: limits, spans, and what is refused."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphlab.erase.errors import EraseError
from graphlab.erase.fusion.closed_form import as_anchor, as_trained, fused
from graphlab.erase.fusion.projections import cross_attention_projections, edit_projections
from graphlab.erase.fusion.statistics import TextStatistics, captions, statistics_of

WIDTH, OUT = 6, 5


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W = draw(OUT, WIDTH, seed=1)


@given(seed=st.integers(0, 50), count=st.integers(1, 12), rho=st.sampled_from([1e-6, 0.1, 3.0]))
def test_edits_that_want_nothing_else_change_nothing(seed: int, count: int, rho: float) -> None:
    e = draw(count, WIDTH, seed=seed)
    assert torch.equal(fused(W, [as_trained(W, e)], rho=rho), W)
    assert torch.equal(fused(W, [as_anchor(W, e, e)], TextStatistics.of(draw(20, WIDTH, seed=9)), rho=rho), W)


def test_one_edit_without_anything_kept_is_followed_on_its_span() -> None:
    e, other = draw(3, WIDTH, seed=2), draw(OUT, WIDTH, seed=3)
    made = fused(W, [as_trained(other, e)], rho=1e-9)
    assert torch.allclose(made @ e.T, other @ e.T, atol=1e-6)
    beside = torch.linalg.svd(e).Vh[3:]
    assert torch.allclose(made @ beside.T, W @ beside.T, atol=1e-6)


def test_an_anchor_takes_the_place_of_the_concept() -> None:
    e, anchor = draw(2, WIDTH, seed=4), draw(2, WIDTH, seed=5)
    made = fused(W, [as_anchor(W, e, anchor)], rho=1e-9)
    assert torch.allclose(made @ e.T, W @ anchor.T, atol=1e-6)


def test_keeping_more_and_more_gives_back_the_weight_where_the_captions_span_the_width() -> None:
    edit = as_trained(draw(OUT, WIDTH, seed=3), draw(4, WIDTH, seed=2))
    whole = TextStatistics.of(draw(50, WIDTH, seed=7))
    away = [float((fused(W, [edit], whole, keep=keep) - W).abs().max()) for keep in (1.0, 1e3, 1e6, 1e9)]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 1e-6


def test_captions_that_span_less_keep_their_span_alone() -> None:
    e, other = draw(4, WIDTH, seed=2), draw(OUT, WIDTH, seed=3)
    few = draw(2, WIDTH, seed=8)
    made = fused(W, [as_trained(other, e)], TextStatistics.of(few), keep=1e9, rho=1e-15)
    assert torch.allclose(made @ few.T, W @ few.T, atol=1e-5)
    assert (made - W).abs().max() > 0.1


def test_open_directions_are_refused() -> None:
    with pytest.raises(EraseError, match="directions"):
        fused(W, [as_trained(W + 1, draw(2, WIDTH, seed=2))])
    with pytest.raises(EraseError, match="directions"):
        fused(W, [])
    with pytest.raises(EraseError, match="no pairs"):
        as_anchor(W, draw(2, WIDTH, seed=1), draw(3, WIDTH, seed=1))


def test_the_minimum_is_one() -> None:
    """No other weight has a smaller sum of squares: its gradient is 0."""
    edits = [as_trained(draw(OUT, WIDTH, seed=s), draw(7, WIDTH, seed=s + 10)) for s in (1, 2)]
    kept = TextStatistics.of(draw(9, WIDTH, seed=30))
    made = fused(W, edits, kept, keep=0.3, rho=0.02)
    ridge = 0.02 * (sum(e.gram for e in edits) + 0.3 * kept.gram).trace() / WIDTH
    gradient = sum(made @ e.gram - e.product for e in edits) + 0.3 * (made - W) @ kept.gram + ridge * (made - W)
    assert gradient.abs().max() < 1e-10


@given(together=st.integers(1, 9))
def test_statistics_do_not_depend_on_the_grouping(together: int) -> None:
    texts = [f"text {index}" for index in range(8)]
    table = {text: draw(3, WIDTH, seed=index) for index, text in enumerate(texts)}
    found = statistics_of(texts, lambda group: torch.stack([table[text] for text in group]), together=together)
    assert found.tokens == 24
    assert torch.allclose(found.gram, TextStatistics.of(torch.stack(list(table.values()))).gram)
    assert found.source == statistics_of(texts, lambda group: torch.zeros(len(group), 1, WIDTH)).source
    assert found.source != statistics_of(texts[:-1], lambda group: torch.zeros(len(group), 1, WIDTH)).source


def test_statistics_are_files(tmp_path: Path) -> None:
    made = TextStatistics.of(draw(4, WIDTH, seed=1), "captions", "encoder")
    made.save(tmp_path / "s.safetensors")
    found = TextStatistics.load(tmp_path / "s.safetensors")
    assert torch.equal(found.gram, made.gram)
    assert (found.tokens, found.source, found.encoder) == (4, "captions", "encoder")
    (tmp_path / "odd").write_text("odd")
    with pytest.raises(EraseError, match="cannot be read"):
        TextStatistics.load(tmp_path / "odd")
    with pytest.raises(EraseError, match="two encoders"):
        made + TextStatistics.of(draw(4, WIDTH, seed=1), "captions", "another")
    with pytest.raises(EraseError, match="not finite"):
        TextStatistics.of(torch.full((1, WIDTH), float("nan")))


def test_captions_are_lines(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a house\n\n  a tree \n")
    assert captions(tmp_path / "c.txt") == ["a house", "a tree"]
    (tmp_path / "e.txt").write_text("\n")
    for name, said in (("e.txt", "holds no caption"), ("none.txt", "cannot be read")):
        with pytest.raises(EraseError, match=said):
            captions(tmp_path / name)


def test_projections_of_a_unet() -> None:
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip
    layers = cross_attention_projections(unet)
    assert {layer.in_features for layer in layers.values()} == {WIDTH}
    assert len(layers) == 2 * sum(name.endswith("attn2") for name, _ in unet.named_modules())
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    moved = edit_projections(unet, lambda name, weight: weight + 1)
    assert set(moved) == set(layers)
    for name, value in unet.state_dict().items():
        assert torch.equal(value, before[name]) == (name.removesuffix(".weight") not in layers)
    with pytest.raises(EraseError, match="no cross-attention"):
        cross_attention_projections(torch.nn.Linear(2, 2))
