"""The gate: a model that is right passes it, one that is not does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.worlds.base import Base, BaseConfig, new_base
from graphlab.erase.worlds.gate import Cell, Gate, gate
from graphlab.erase.worlds.layout import Templates, templates
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.posterior import posterior
from graphlab.erase.worlds.template_judge import template_judge


class Exact(nn.Module):
    """The noise of the layout world in closed form: the text of a prompt stands for the templates it describes.

    It knows the templates without jitter, the 14th of each 27, which is enough to be right.
    """

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.schedule = base.schedule
        language, rows = base.language, torch.cartesian_prod(torch.arange(4), torch.arange(6), torch.arange(10))
        self.named: list[tuple[int | None, ...]] = [(None, None, None)]
        prompts = [""]
        for form in range(6):
            for layout, palette, glyph in rows.tolist():
                self.named.append((layout, palette, glyph))
                named = {"layout": (layout, 0), "palette": (palette, 0), "glyph": (glyph, form)}
                prompts.append(language.prompt(named))
            for glyph in range(10):
                self.named.append((None, None, glyph))
                prompts.append(language.prompt({"glyph": (glyph, form)}))
        self.texts = base.encode(prompts).flatten(1)

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, encoder_hidden_states: torch.Tensor, return_dict: bool
    ) -> tuple[torch.Tensor]:
        assert not return_dict
        level = self.schedule.told(float(time[0]))
        known = Templates(templates().images[13::27], templates().labels[13::27])
        logs = posterior(x, level.log_snr, known)
        for row, index in enumerate(torch.cdist(encoder_hidden_states.flatten(1), self.texts).argmin(1).tolist()):
            for attribute, label in enumerate(self.named[index]):
                if label is not None:
                    logs[row, known.labels[:, attribute] != label] = -math.inf
        centre = (torch.softmax(logs, 1) @ known.images.flatten(1)).view_as(x)
        return ((x - level.alpha * centre) / level.sigma,)


def test_the_exact_model_passes() -> None:
    base = new_base(BaseConfig("layout", "epsilon", (8, 16), heads=2), 0)
    exact = Base(base.config, Exact(base), base.encoder)
    told: list[str] = []
    found = gate(exact, [template_judge()], 8, tell=told.append)
    assert found.failures() == ()
    assert len(found.cells) == 6 * (3 + 3 + 1)
    assert all(cell.right == Share(8, 8) for cell in found.cells)
    assert [cell.attribute for cell in found.cells[:3]] == ["layout", "palette", "glyph"]
    assert found.attributes()["glyph (all named, held_out) by templates"] == Share(48, 48)
    assert told[-1] == "alone (train), form 5"


def test_an_untrained_base_fails() -> None:
    base = new_base(BaseConfig("digits", "v_prediction", (8, 16), heads=2), 0)
    found = gate(base, [pixel_judge()], 10)
    assert [cell.form for cell in found.cells] == list(range(6))
    assert len(found.failures()) == 7
    assert found.failures()[-1].startswith("digit (alone named, train) by pixels, all forms: ")


def cell(form: int, hits: int, judge: str = "cnn") -> Cell:
    return Cell("alone", "train", form, "digit", judge, Share(hits, 100))


def test_forms_need_95_percent_and_attributes_97() -> None:
    assert Gate((cell(0, 95), cell(1, 99))).failures() == ()
    assert Gate((cell(0, 94), cell(1, 100))).failures() == ("digit (alone named, train) by cnn, form 0: 94.0% < 95%",)
    assert Gate((cell(0, 96), cell(1, 97))).failures() == ("digit (alone named, train) by cnn, all forms: 96.5% < 97%",)
    by_judge = Gate((cell(0, 100), cell(0, 96, "pixels")))
    assert by_judge.failures() == ("digit (alone named, train) by pixels, all forms: 96.0% < 97%",)


def test_judges_of_another_world_are_refused() -> None:
    base = new_base(BaseConfig("digits", "epsilon", (8, 16), heads=2), 0)
    for judges, images in (([template_judge()], 4), ([], 4), ([pixel_judge()], 0)):
        with pytest.raises(EraseError, match="judges of the world 'digits'"):
            gate(base, judges, images)
