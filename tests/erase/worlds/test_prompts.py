"""Prompts, their forms and their tokens."""

from __future__ import annotations

import pytest

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.known import WORLDS, world_of
from graphlab.erase.worlds.phrases import TRAINED_FORMS, UNSEEN_FORMS
from graphlab.erase.worlds.prompts import EMPTY, SPECIAL, Language, language_of
from graphlab.erase.worlds.text_encoder import WIDTH


def phrases(language: Language) -> list[str]:
    return [phrase for by_label in language.phrases.values() for forms in by_label for phrase in forms]


def concept(world: str) -> tuple[Language, str]:
    found = world_of(world)
    return language_of(found), found.attributes[-1].name


@pytest.mark.parametrize("world", WORLDS)
def test_the_vocabulary_is_larger_than_the_encoder_is_wide(world: str) -> None:
    language, _ = concept(world)
    assert len(set(language.vocabulary)) == len(language.vocabulary) > WIDTH
    assert language.vocabulary[:3] == SPECIAL
    assert {piece for parts in language.pieces.values() for piece in parts} == set(language.vocabulary) - set(SPECIAL)


@pytest.mark.parametrize("world", WORLDS)
def test_concepts_have_six_forms_of_several_tokens_and_all_differ(world: str) -> None:
    language, name = concept(world)
    assert (TRAINED_FORMS, UNSEEN_FORMS) == ((0, 1, 2), (3, 4, 5))
    assert language.forms[name] == 6
    assert all(len(forms) == 6 for forms in language.phrases[name])
    assert all(len(phrase.split()) >= 2 for phrase in phrases(language))
    ids = {tuple(row) for row in language.encode(phrases(language)).tolist()}
    assert len(ids) == len(phrases(language))


@pytest.mark.parametrize("world", WORLDS)
def test_concepts_share_pieces_and_no_token_is_a_concept(world: str) -> None:
    language, name = concept(world)
    tokens = [[set(row) for row in language.encode(forms).tolist()] for forms in language.phrases[name]]
    everywhere = set.intersection(*(set.union(*rows) for rows in tokens))
    for index, rows in enumerate(tokens):
        assert set.intersection(*rows) <= everywhere, "a token in all forms of a concept would be the concept"
        others = set.union(*(set.union(*other) for at, other in enumerate(tokens) if at != index))
        assert (set.union(*rows) & others) - everywhere, "a concept shares more than the words around it"


def test_words_fall_into_their_pieces() -> None:
    language, _ = concept("digits")
    row = language.encode(["roman viii"])[0].tolist()
    assert [language.vocabulary[token] for token in row] == ["<begin>", "roman", "v", "i", "i", "i", "<end>"]
    assert language.encode([EMPTY])[0].tolist() == [1, 2, 0, 0, 0, 0, 0]
    assert language.encode(["Roman VIII"])[0].tolist() == row


def test_a_prompt_names_attributes_in_one_order() -> None:
    language, _ = concept("layout")
    said = language.prompt({"glyph": (9, 0), "layout": (2, 0), "palette": (5, 0)})
    assert said == "lit from above in gold tones a backslash"
    pieces = [language.vocabulary[token] for token in language.encode([said])[0].tolist()]
    assert pieces[1:10] == ["lit", "from", "above", "in", "gold", "tones", "a", "back", "slash"]
    assert language.prompt({}) == EMPTY
    longest = language.prompt({"layout": (0, 0), "palette": (0, 0), "glyph": (8, 5)})
    assert language.encode([longest])[0, -1] == language.vocabulary.index("<end>")


def test_an_unknown_word_is_refused_with_what_is_near() -> None:
    language, _ = concept("digits")
    with pytest.raises(EraseError, match=r"'thre' of 'the digit thre' is not in the base's .*\(near it: three"):
        language.encode(["the digit thre"])
    with pytest.raises(EraseError, match="'nudity'"):
        language.encode(["nudity"])
    with pytest.raises(EraseError, match="has 6 tokens"):
        language.encode(["roman viii three"])
    with pytest.raises(EraseError, match="one text"):
        language.encode("roman v")
    with pytest.raises(EraseError, match="one text"):
        language.encode([])


def test_a_phrase_that_is_not_there_is_refused() -> None:
    language, _ = concept("digits")
    for attribute, label, form in (("glyph", 0, 0), ("digit", 10, 0), ("digit", 0, 6), ("digit", -1, 0)):
        with pytest.raises(EraseError, match=f"no phrase of {attribute} {label} in form {form}"):
            language.phrase(attribute, label, form)
    with pytest.raises(EraseError, match="no 'glyph' to speak of"):
        language.prompt({"glyph": (0, 0)})


def test_the_count_goes_round() -> None:
    language, _ = concept("digits")
    assert language.phrase("digit", 0, 2) == "comes after nine"
    assert language.phrase("digit", 9, 4) == "comes before zero"
    assert language.phrase("digit", 6, 5) == "bits off on on off"
