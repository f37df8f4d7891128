"""The grammar of rules: what it reads, and where it says a rule goes wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphlab.diffing.errors import RuleError
from graphlab.diffing.quantities import BY_NAME
from graphlab.diffing.rules import KINDS, OPERATORS, Rule, Step, parse_rule
from graphlab.units import SCALES

GOOD = {
    "flops > +1%": ((), "flops", ">", "relative", Fraction(1, 100)),
    "flops>1%": ((), "flops", ">", "relative", Fraction(1, 100)),
    "nodes > 0 %": ((), "nodes", ">", "relative", Fraction(0)),
    "peak_memory > 8GiB": ((), "peak_memory", ">", "level", Fraction(8 * 2**30)),
    "peak_memory > +8 MB": ((), "peak_memory", ">", "absolute", Fraction(8_000_000)),
    "seconds >= -2.5ms": ((), "seconds", ">=", "absolute", Fraction(-25, 10_000)),
    "flops < 1.5T": ((), "flops", "<", "level", Fraction(15 * 10**11)),
    "flops < 2e3MFLOP": ((), "flops", "<", "level", Fraction(2 * 10**9)),
    "params != +0": ((), "params", "!=", "absolute", Fraction(0)),
    "unet.flops > -5%": ((Step(None, "unet"),), "flops", ">", "relative", Fraction(-5, 100)),
    "v1-5.flops == .5k": ((Step(None, "v1-5"),), "flops", "==", "level", Fraction(500)),
    "unet.attention.flops > 0%": ((Step(None, "unet"), Step(None, "attention")), "flops", ">", "relative", Fraction(0)),
    " unet . module:'a.b' . nodes <= 3 ": (
        (Step(None, "unet"), Step("module", "a.b")), "nodes", "<=", "level", Fraction(3),
    ),
    '"x.v2".op:"aten.add.Tensor".flops > 0': (
        (Step(None, "x.v2"), Step("op", "aten.add.Tensor")), "flops", ">", "level", Fraction(0),
    ),
}  # fmt: skip

BAD = {
    "": "column 1: expected a name, got the end",
    "flosp > +1%": "column 1: expected a quantity, got 'flosp' (did you mean 'flops'?",
    "unet.flop > 1": "column 6: expected a quantity, got 'flop' (did you mean 'flops'?",
    "flops": "column 6: expected an operator: > >= < <= == !=, got the end",
    "flops => 1": "column 7: expected an operator: > >= < <= == !=, got '=>'",
    "flops > ": "column 9: expected a number, such as +1% or 8GiB, got the end",
    "flops > nan": "column 9: expected a number, such as +1% or 8GiB, got 'nan'",
    "flops > inf%": "column 9: expected a number",
    "flops > 3GiB": "column 10: expected % or a unit of flops, got 'GiB' (units: k, M, G",
    "peak_memory > 8 gib": "column 17: expected % or a unit of peak_memory, got 'gib' (units: B, kB",
    "seconds > 3 minutes": "column 13: expected % or a unit of seconds, got 'minutes' (units: s, ms, us, ns)",
    "nodes > 5 B": "column 11: expected % or a unit of nodes",
    "flops > 1% or nodes > 3": "column 12: expected the end of the rule, got 'or'",
    "unet..flops > 1": "column 6: expected a name, got '.flops'",
    "opp:'x'.flops > 1": "column 1: expected a kind of group, got \"opp:'x'.flops\" (did you mean 'op'?",
    "op:.flops > 1": "column 4: expected the name of the op, in quotes if it holds dots, got '.flops'",
    "'unet.flops > 1": 'column 1: expected a name, got "\'unet.flops"',
    "flops > 1e9999": "column 14: expected the end of the rule, got '9'",
}


@pytest.mark.parametrize("text", list(GOOD))
def test_a_rule_is_read(text: str) -> None:
    assert parse_rule(text) == Rule(text.strip(), *GOOD[text])


def test_the_names_that_tables_show_are_names_of_rules() -> None:
    for name in ("bytes_fused", "bytes_spelled"):
        assert parse_rule(f"unet.{name} > 8GiB") == Rule(
            f"unet.{name} > 8GiB", (Step(None, "unet"),), "bytes", ">", "level", Fraction(8 * 2**30), name
        )


@pytest.mark.parametrize("text", list(BAD))
def test_an_error_says_where_and_what(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)
    assert BAD[text] in str(caught.value)
    assert str(caught.value).startswith(f"rule {text!r}, ")


NAMES = st.text("ab.0-_ é", min_size=1, max_size=6)
STEPS = st.builds(Step, st.one_of(st.none(), st.sampled_from(KINDS)), NAMES.map(lambda name: f"q{name}"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.lists(STEPS, max_size=2), st.sampled_from(sorted(BY_NAME)), st.sampled_from(sorted(OPERATORS)), st.data())
def test_what_is_written_is_read(steps: list[Step], quantity: str, sign: str, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from([*SCALES[BY_NAME[quantity].unit], "%"]))
    digits = data.draw(st.integers(0, 10**6))
    front = data.draw(st.sampled_from(["", "+", "-"]))
    rule = parse_rule(".".join([*map(str, steps), quantity]) + f" {sign} {front}{digits}{unit}")
    assert (rule.steps, rule.quantity, rule.operator) == (tuple(steps), quantity, sign)
    scale = Fraction(1, 100) if unit == "%" else Fraction(str(SCALES[BY_NAME[quantity].unit][unit]))
    assert rule.limit == digits * scale * (-1 if front == "-" else 1)
    assert rule.mode == ("relative" if unit == "%" else "absolute" if front else "level")


@given(st.text(max_size=30))
def test_any_text_is_a_rule_or_an_error_of_one_line(text: str) -> None:
    try:
        found: Rule | str = parse_rule(text)
    except RuleError as error:
        found = error.message
    assert isinstance(found, Rule) or ", column " in found
