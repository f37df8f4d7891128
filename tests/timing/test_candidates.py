"""Candidates by text."""

from __future__ import annotations

import pytest

from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.rewriting.options import OptionError
from graphlab.timing.candidates import candidates, level


@pytest.mark.parametrize(("text", "expected"), [("-O2", 2), ("O2", 2), ("2", 2), (2, 2), ("-O0", 0), (" -O1 ", 1)])
def test_levels(text: str | int, expected: int) -> None:
    assert level(text) == expected


@pytest.mark.parametrize("text", ["-O3", "3", "fast", "", "-O", "22", "-2.0", "-2"])
def test_wrong_levels(text: str) -> None:
    with pytest.raises(GraphlabError, match="is no level"):
        level(text)


def test_one_rewritten_and_one_as_it_is() -> None:
    plain, rewritten = candidates(["eager", "eager,rewrite=-O2"])
    assert [(item.label, item.rewrite) for item in (plain, rewritten)] == [("eager", 0), ("eager -O2", 2)]


def test_a_level_for_all_is_overruled_by_a_candidates_own() -> None:
    found = candidates(["eager", "inductor,rewrite=0"], rewrite=1)
    assert [(item.label, item.rewrite) for item in found] == [("eager -O1", 1), ("inductor", 0)]


def test_threads_for_all_are_overruled_and_kept_out_of_labels() -> None:
    found = candidates(["eager", "onnxruntime,threads=1"], threads=4)
    assert [item.backend.threads for item in found] == [4, 1]
    assert [item.label for item in found] == ["eager", "onnxruntime,threads=1"]


def test_options_are_part_of_the_label_and_of_the_backend() -> None:
    (found,) = candidates(["openvino,precision=bf16"])
    assert (found.label, found.backend.computes) == ("openvino,precision=bf16", "bfloat16")


def test_the_same_twice_gets_a_number() -> None:
    assert [item.label for item in candidates(["eager"] * 3)] == ["eager", "eager #2", "eager #3"]


def test_a_backend_there_is_none_of() -> None:
    with pytest.raises(UnknownNameError, match=r"no backend is called 'onnxruntim'.*did you mean 'onnxruntime'"):
        candidates(["onnxruntim"])


def test_an_option_there_is_none_of() -> None:
    with pytest.raises(UnknownNameError, match="backend eager has no option 'provider'"):
        candidates(["eager,provider=cuda"])


@pytest.mark.parametrize(
    "spec", ["onnxruntime,provider=rocm", "inductor,threads=0", "inductor,dtype=int8", "openvino,precision=f64"]
)
def test_values_an_option_does_not_take(spec: str) -> None:
    with pytest.raises(OptionError, match=f"backend {spec.split(',')[0]}: .* is not "):
        candidates([spec])


def test_no_candidate() -> None:
    with pytest.raises(GraphlabError, match=r"no candidate.*--backend NAME, of: eager, inductor"):
        candidates([])
