"""Options of passes: text to values within type and range, and back to text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from graphlab.errors import UnknownNameError
from graphlab.passes_base import Pass
from graphlab.rewriting.options import OptionError, build, option, options_of, pass_from, required, spelled


@dataclass(frozen=True)
class Tuned(Pass):
    """A pass with an option of every kind."""

    name: ClassVar[str] = "tuned"
    file: Path = required("what to read")  # noqa: RUF009  # a field
    rounds: int = option(3, "how often", minimum=1, maximum=9)
    share: float = option(0.5, "how much", minimum=0.0)
    quick: bool = option(False, "whether to hurry")
    mode: str = option("exact", "how", choices=("exact", "trust"))
    names: tuple[str, ...] = option((), "which")
    limit: int | None = option(None, "at most")


def tuned(**values: Any) -> Tuned:
    found = build(Tuned, {"file": "a.txt", **values})
    assert isinstance(found, Tuned)
    return found


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("file", "b/c.bin", Path("b/c.bin")),
        ("rounds", "9", 9),
        ("share", "1e-3", 0.001),
        ("share", "2", 2.0),
        ("quick", "true", True),
        ("quick", "no", False),
        ("mode", "trust", "trust"),
        ("names", "a+b", ("a", "b")),
        ("limit", "7", 7),
    ],
)
def test_texts_become_values(key: str, text: str, value: Any) -> None:
    found = getattr(tuned(**{key: text}), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rounds", 4), ("share", 1), ("quick", True), ("names", ["a"]), ("file", Path("x")), ("rounds", 4.0)],
)
def test_values_pass_as_they_are(key: str, value: Any) -> None:
    assert getattr(tuned(**{key: value}), key) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rounds", "0", "an integer from 1 to 9"),
        ("rounds", "10", "an integer from 1 to 9"),
        ("rounds", float("inf"), "an integer from 1 to 9"),
        ("rounds", "two", "an integer from 1 to 9"),
        ("rounds", "2.5", "an integer from 1 to 9"),
        ("rounds", 2.5, "an integer from 1 to 9"),
        ("rounds", True, "an integer from 1 to 9"),
        ("share", "-0.1", "a number of at least 0.0"),
        ("share", "nan", "a number of at least 0.0"),
        ("share", "", "a number of at least 0.0"),
        ("quick", "perhaps", "true or false"),
        ("mode", "Trust", "one of exact, trust"),
        ("limit", "x", "an integer"),
    ],
)
def test_another_value_is_refused_with_type_and_range(key: str, value: Any, expected: str) -> None:
    with pytest.raises(OptionError) as failed:
        tuned(**{key: value})
    assert str(failed.value) == f"pass tuned: {key}={value} is not {expected}"


def test_a_missing_option_is_named_with_its_help() -> None:
    with pytest.raises(OptionError, match=r"pass tuned needs file=\.\.\. \(what to read\)"):
        build(Tuned, {})


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"pass tuned has no option 'round' .did you mean 'rounds'"):
        tuned(round=1)
    with pytest.raises(UnknownNameError, match=r"pass eliminate-dead has no option 'x' .it has no options"):
        pass_from("eliminate-dead,x=1")


def test_dashes_and_underscores_are_one() -> None:
    assert spelled(pass_from("fuse-attention,masked-rows=trust")) == "fuse-attention,masked_rows=trust"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fold-constants,limit_mb", "'limit_mb' in 'fold-constants,limit_mb' is not KEY=VALUE"),
        ("fold-constants,limit_mb=1,limit_mb=2", "'limit_mb' is given twice"),
        ("fold-constants,limit_mb=1,limit-mb=2", "'limit-mb' is given twice"),
        ("fold-constants,", "'' in 'fold-constants,' is not KEY=VALUE"),
    ],
)
def test_wrong_spellings(spec: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pass_from(spec)


def test_an_unknown_pass_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no pass is called 'fuse-atention' .did you mean 'fuse-attention'"):
        pass_from("fuse-atention")


def test_spelled_is_what_one_would_write() -> None:
    text = "tuned,file=a.txt,rounds=4,quick=True,names=a+b"
    found = tuned(rounds=4, quick=True, names="a+b")
    assert spelled(found) == text
    _, *settings = text.split(",")
    assert build(Tuned, dict(setting.split("=") for setting in settings)) == found
    assert spelled(pass_from("eliminate-dead")) == "eliminate-dead"


def test_options_are_listed_with_type_range_default_and_help() -> None:
    listed = {item.name: item for item in options_of(Tuned)}
    assert list(listed) == ["file", "rounds", "share", "quick", "mode", "names", "limit"]
    assert (listed["file"].values, listed["file"].default, listed["file"].help) == ("a path", None, "what to read")
    assert (listed["rounds"].values, listed["rounds"].default) == ("an integer from 1 to 9", "3")
    assert (listed["mode"].values, listed["mode"].default) == ("one of exact, trust", "exact")
    assert (listed["names"].values, listed["names"].default) == ("names joined by +", "none")
    assert (listed["quick"].values, listed["quick"].default) == ("true or false", "false")
