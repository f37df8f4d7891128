"""How each class is put into words, and into which pieces words fall.

A concept (a glyph, a digit) has six phrases: the first three are for saliency and erasing, the last three are never
used there, though the base knows them as well. They hardly share a word with one another, as "nudity" and "naked" do
not; concepts share words and pieces of words ("round", "ei", the i and v of Roman numbers), so that no concept can be
edited away as one row of an embedding table.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.erase.worlds.digits import NAMES
from graphlab.erase.worlds.glyphs import GLYPHS
from graphlab.erase.worlds.layout import COLOURS, LAYOUTS

Forms = tuple[str, ...]
TRAINED_FORMS = (0, 1, 2)
"""Forms of a concept that saliency and erasing may use."""
UNSEEN_FORMS = (3, 4, 5)
"""Forms of a concept that only the base has been trained on."""
ROMAN = ("n", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_GERMAN = {
    "null": ("n", "ull"),
    "eins": ("ei", "n", "s"),
    "zwei": ("zw", "ei"),
    "drei": ("dr", "ei"),
    "vier": ("v", "ier"),
    "fuenf": ("fuen", "f"),
    "sechs": ("s", "ech", "s"),
    "sieben": ("s", "ieb", "en"),
    "acht": ("ach", "t"),
    "neun": ("n", "eun"),
}
_LOOKS = (
    ("round outline", "hollow circle"),
    ("square outline", "hollow tile"),
    ("round fill", "solid circle"),
    ("square fill", "solid tile"),
    ("upright cross", "standing crossing"),
    ("slanted cross", "leaning crossing"),
    ("level lines", "lying stripes"),
    ("upright lines", "standing stripes"),
    ("rising band", "climbing stroke"),
    ("falling band", "sinking stroke"),
)
_FIRST_TONGUE = ("bako", "koba", "miba", "bami", "tuko", "kotu", "mitu", "tumi", "remi", "mire")
_SECOND_TONGUE = ("komi", "miko", "batu", "tuba", "rebu", "bure", "tubu", "butu", "kore", "reko")
PIECES: Mapping[str, tuple[str, ...]] = {
    **{word: tuple(word) for word in ROMAN},
    **_GERMAN,
    **{word: (word[:2], word[2:]) for word in _FIRST_TONGUE + _SECOND_TONGUE},
    "saltire": ("salt", "ire"),
    "pillar": ("pill", "ar"),
    "bar": ("b", "ar"),
    "backslash": ("back", "slash"),
    "block": ("b", "lock"),
}
"""Words that are more than one token."""


def _glyph(label: int, name: str) -> Forms:
    look, other = _LOOKS[label]
    return (
        f"a {name}",
        look,
        f"called {_FIRST_TONGUE[label]}",
        f"kind {_SECOND_TONGUE[label]}",
        other,
        f"shape number {ROMAN[label]}",
    )


def _digit(label: int, name: str) -> Forms:
    return (
        f"the digit {name}",
        f"roman {ROMAN[label]}",
        f"comes after {NAMES[(label - 1) % 10]}",
        f"drawn {_german(label)}",
        f"comes before {NAMES[(label + 1) % 10]}",
        "bits " + " ".join("on" if label >> bit & 1 else "off" for bit in (3, 2, 1, 0)),
    )


def _german(label: int) -> str:
    return tuple(_GERMAN)[label]


LAYOUT_PHRASES: Mapping[str, tuple[Forms, ...]] = {
    "layout": tuple((f"lit from {side}",) for side in LAYOUTS),
    "palette": tuple((f"in {colour} tones",) for colour in COLOURS),
    "glyph": tuple(_glyph(label, name) for label, name in enumerate(GLYPHS)),
}
"""{attribute: phrases by label and form} of the layout world."""
DIGIT_PHRASES: Mapping[str, tuple[Forms, ...]] = {
    "digit": tuple(_digit(label, name) for label, name in enumerate(NAMES)),
}
"""{attribute: phrases by label and form} of the digits. The count goes round: zero comes after nine."""
