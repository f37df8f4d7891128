"""The language of a world: prompts of its classes, and their tokens."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.phrases import DIGIT_PHRASES, LAYOUT_PHRASES, PIECES, Forms
from graphlab.erase.worlds.world import World

SPECIAL = ("<pad>", "<begin>", "<end>")
EMPTY = ""
"""The empty prompt: what guidance leads away from."""
_PHRASES: Mapping[str, Mapping[str, tuple[Forms, ...]]] = {"layout": LAYOUT_PHRASES, "digits": DIGIT_PHRASES}


@dataclass(frozen=True, slots=True)
class Language:
    """Words of a world and the `tokens` a prompt is padded to.

    `vocabulary` is the tokens, a token's position its id; `pieces` are the words with their tokens; `phrases` those of
    each attribute by label and form, attributes in the order in which a prompt names them.
    """

    vocabulary: tuple[str, ...]
    pieces: Mapping[str, tuple[str, ...]]
    phrases: Mapping[str, tuple[Forms, ...]]
    tokens: int

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Token ids (prompts, tokens) int64: begin, the words' pieces, end, padding.

        EraseError for no prompt, a word that is not in the language, and a prompt that is too long.
        """
        if not prompts or isinstance(prompts, str):
            raise EraseError("prompts are a sequence of texts with one text at least")
        return torch.tensor([self._ids(prompt) for prompt in prompts])

    def phrase(self, attribute: str, label: int, form: int = 0) -> str:
        """One attribute in words; EraseError for an attribute, a label or a form that is not there."""
        by_label = self.phrases.get(attribute)
        if by_label is None or not 0 <= label < len(by_label) or not 0 <= form < len(by_label[label]):
            raise EraseError(f"no phrase of {attribute} {label} in form {form}", hint=f"{self.forms}")
        return by_label[label][form]

    def prompt(self, named: Mapping[str, tuple[int, int]]) -> str:
        """A prompt of some attributes, {attribute: (label, form)}, in the order of the language; none: EMPTY."""
        for attribute in named:
            if attribute not in self.phrases:
                raise EraseError(f"there is no {attribute!r} to speak of", hint=f"known: {', '.join(self.phrases)}")
        parts = (self.phrase(attribute, *named[attribute]) for attribute in self.phrases if attribute in named)
        return " ".join(parts)

    @property
    def forms(self) -> dict[str, int]:
        """{attribute: forms that each of its classes has}."""
        return {attribute: len(by_label[0]) for attribute, by_label in self.phrases.items()}

    def _ids(self, prompt: str) -> list[int]:
        pieces = [piece for word in prompt.split() for piece in self._pieces(word, prompt)]
        named = ["<begin>", *pieces, "<end>"]
        if len(named) > self.tokens:
            raise EraseError(f"{prompt!r} has {len(pieces)} tokens", hint=f"the base takes {self.tokens - 2}")
        padded = named + ["<pad>"] * (self.tokens - len(named))
        return [self.vocabulary.index(piece) for piece in padded]

    def _pieces(self, word: str, prompt: str) -> tuple[str, ...]:
        found = self.pieces.get(word.lower())
        if found is None:
            near = difflib.get_close_matches(word.lower(), self.pieces, n=3)
            hint = f"near it: {', '.join(near)}" if near else f"known: {', '.join(self.pieces)}"
            raise EraseError(f"the word {word!r} of {prompt!r} is not in the base's vocabulary", hint=hint)
        return found


def language_of(world: World) -> Language:
    """The language of a world; EraseError for one without."""
    if world.name not in _PHRASES:
        raise EraseError(f"the world {world.name!r} has no language", hint=f"known: {', '.join(_PHRASES)}")
    return _language(world.name)


@functools.cache
def _language(world: str) -> Language:
    phrases = _PHRASES[world]
    words = sorted({word for forms in _all(phrases) for form in forms for word in form.split()})
    pieces = {word: PIECES.get(word, (word,)) for word in words}
    vocabulary = SPECIAL + tuple(sorted({piece for parts in pieces.values() for piece in parts}))
    longest = sum(
        max(sum(len(pieces[word]) for word in form.split()) for forms in by_label for form in forms)
        for by_label in phrases.values()
    )
    return Language(vocabulary, pieces, phrases, longest + 2)


def _all(phrases: Mapping[str, tuple[Forms, ...]]) -> list[Forms]:
    return [forms for by_label in phrases.values() for forms in by_label]
