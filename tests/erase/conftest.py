"""Tests of what the optional extra `erase` brings run where it is installed."""

from __future__ import annotations

from importlib.util import find_spec

_TRAINING = ("test_config", "test_lora", "test_loop", "test_resume", "test_unet")
_WORLDS = ("test_cnn_judge", "test_digits", "test_gate", "test_judges", "test_train_base")

collect_ignore = []
if find_spec("accelerate") is None or find_spec("peft") is None:
    collect_ignore += [f"training/{name}.py" for name in _TRAINING]
if find_spec("sklearn") is None:
    collect_ignore += [f"worlds/{name}.py" for name in _WORLDS]
