"""Language models: a decode step with its cache gives the logits of a full prefill, for every class known."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphlab.components import component_for
from graphlab.components.causal_lm import CLASSES, cache_layers, causal_lm_workload, decode_component
from graphlab.components.kv_cache import build_with_cache
from graphlab.errors import UnknownArchitectureError
from graphlab.models import find_model
from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage, Workload

BASE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SLIDING = {**BASE, "sliding_window": 16, "num_hidden_layers": 4}
SMALL_GPT = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "bos_token_id": 1}
PLAIN = {k: v for k, v in BASE.items() if k not in ("num_key_value_heads", "head_dim")}
CONFIGS: dict[str, dict[str, Any]] = {
    "BloomForCausalLM": {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Cohere2ForCausalLM": SLIDING,
    "Exaone4ForCausalLM": {**SLIDING, "sliding_window_pattern": 4},
    "GPT2LMHeadModel": SMALL_GPT,
    "GPTJForCausalLM": {**SMALL_GPT, "rotary_dim": 4},
    "GPTNeoForCausalLM": {
        "vocab_size": 64,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "max_position_embeddings": 128,
        "attention_types": [[["global"], 2]],
    },
    "GPTNeoXForCausalLM": PLAIN,
    "Gemma2ForCausalLM": SLIDING,
    "Gemma3ForCausalLM": {**SLIDING, "num_hidden_layers": 7},
    "MistralForCausalLM": SLIDING,
    "OPTForCausalLM": {**PLAIN, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "Olmo3ForCausalLM": SLIDING,
    "PhiForCausalLM": {**BASE, "num_key_value_heads": 4},
}


def config_of(name: str) -> dict[str, Any]:
    return CONFIGS.get(name, BASE)


@pytest.mark.parametrize("name", CLASSES)
def test_decode_with_the_cache_is_prefill(name: str) -> None:
    config = config_of(name)
    prefill, decode = models_of(name, config, len(cache_layers(name, config)))
    for tokens in (9, 23):  # 9 tokens fit the sliding window of those that have one, 23 do not
        check_decode(name, tokens, prefill, decode)


def check_decode(name: str, tokens: int, prefill: torch.nn.Module, decode: torch.nn.Module) -> None:
    config = config_of(name)
    layers = cache_layers(name, config)
    ids = torch.randint(3, 60, (2, tokens + 1), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = prefill(ids, torch.arange(tokens + 1))
        part = prefill(ids[:, :tokens], torch.tensor([tokens - 1]))
        past = {
            f"{kind}_{i}": part[1 + 2 * i + j] for i in range(len(layers)) for j, kind in enumerate(("key", "value"))
        }
        windows = any(layer.window for layer in layers)
        step = decode(ids[:, tokens:], past, torch.tensor([[tokens]]) if windows else None)
    torch.testing.assert_close(step[0][:, -1], whole[0][:, -1], atol=1e-5, rtol=1e-4)
    assert [t.shape for t in step[1:]] == [t.shape for t in whole[1:]]
    assert {n: past[n].shape for n in past} == {n: a.shape for n, a in example_past(name, config, tokens).items()}


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "GPT2LMHeadModel", "Gemma3ForCausalLM", "MistralForCausalLM"])
def test_prefill_is_what_transformers_computes(name: str) -> None:
    """The same logits as the class under its own SDPA, outside any wrapper."""
    import transformers

    config = config_of(name)
    prefill, _ = models_of(name, config, len(cache_layers(name, config)))
    kind = getattr(transformers, name)
    own = kind(kind.config_class.from_dict({**config, "attn_implementation": "sdpa"})).eval()
    own.load_state_dict(prefill.model.state_dict())
    ids = torch.randint(3, 60, (2, 23), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(prefill(ids, torch.arange(23))[0], own(ids, use_cache=False).logits)


@pytest.mark.parametrize("name", ["llama-2-7b-tiny", "llama-2-70b-tiny"])
def test_stages_export_symbolically_with_one_attention_a_layer(name: str) -> None:
    workload = find_model(name).workload()
    for stage, causal in zip(workload.stages, (True, False), strict=True):
        exported = export(stage, {**workload.step_values(stage, 0), "batch": 2})
        attention = [n for n in exported.graph.nodes if "scaled_dot_product_attention" in str(n.target)]
        assert len(attention) == 2
        assert [n.args[3] if len(n.args) > 3 else None for n in attention] == [None, None]
        assert [bool(n.args[5]) if len(n.args) > 5 else False for n in attention] == [causal, causal]
        names = {n.name: n.meta["val"].shape for n in exported.graph.nodes if n.op == "placeholder" and "val" in n.meta}
        assert all(isinstance(size, torch.SymInt) for size in names["input_ids"][: 2 if causal else 1])
        assert causal or isinstance(names["past_key_1"][2], torch.SymInt)


@pytest.mark.parametrize("name", ["MistralForCausalLM", "Gemma3ForCausalLM"])
@pytest.mark.parametrize("cache", [9, 40])
def test_sliding_windows_export(name: str, cache: int) -> None:
    stage = decode_component(name, config_of(name), "float32").stage("decode")
    assert export(stage, {"batch": 2, "cache": cache}) is not None


@pytest.mark.parametrize("name", ["llama-2-7b-tiny", "llama-2-13b-tiny", "llama-2-70b-tiny"])
def test_tiny_models_run_on_cpu(name: str) -> None:
    workload = find_model(name).workload().bind({"tokens": 16})
    for stage in workload.stages:
        assert stage.build is not None
        module = stage.build().to_empty(device="cpu")
        for tensor in module.parameters():
            tensor.data.normal_(std=0.05)
        with torch.no_grad():
            logits = module(**example_arguments(stage, workload.step_values(stage, 0), "cpu"))[0]
        assert logits.shape[-1] == 64


def test_the_cache_grows_by_one_a_step() -> None:
    workload = find_model("llama-2-70b").workload().bind({"tokens": 100, "new_tokens": 5})
    decode = workload.stage("decode")
    assert workload.steps(decode) == 5
    assert [workload.step_values(decode, step)["cache"] for step in range(5)] == [100, 101, 102, 103, 104]
    key = example_arguments(decode, workload.step_values(decode, 4))["past"]["key_79"]
    assert tuple(key.shape) == (1, 8, 104, 128)


def test_class_defaults_stand_in_for_missing_keys() -> None:
    assert cache_layers("Qwen3ForCausalLM", {})[0].head_dim == 128
    assert cache_layers("MistralForCausalLM", {})[0].window == 4096
    assert len(cache_layers("GPT2LMHeadModel", {})) == 12


def test_remote_code_is_not_run() -> None:
    """`auto_map` names code of a repository; the class of transformers is used and nothing is imported."""
    config = {**BASE, "auto_map": {"AutoModelForCausalLM": "evil--code.Model"}}
    assert component_for("LlamaForCausalLM", config, "float32").build() is not None
    with pytest.raises(UnknownArchitectureError, match="EvilForCausalLM"):
        component_for("EvilForCausalLM", config, "float32")


def test_a_strange_cache_is_refused() -> None:
    config = {**BASE, "layer_types": ["full_attention", "linear_attention"]}
    with pytest.raises(UnknownArchitectureError, match="linear_attention"):
        cache_layers("Qwen3ForCausalLM", config)


def test_generic_workload() -> None:
    workload = causal_lm_workload("mine", "folder", "Qwen2ForCausalLM", BASE, "bfloat16")
    assert isinstance(workload, Workload)
    assert [s.name for s in workload.stages] == ["prefill", "decode"]
    assert len({s.identity for s in workload.stages}) == 2
    assert workload.values()["tokens"] == 128


def models_of(name: str, config: dict[str, Any], layers: int) -> tuple[Any, Any]:
    torch.manual_seed(0)
    prefill = build_with_cache(name, config, layers, decode=False).eval().float()
    decode = build_with_cache(name, config, layers, decode=True).eval().float()
    decode.load_state_dict(prefill.state_dict())
    return prefill, decode


def example_past(name: str, config: dict[str, Any], cache: int) -> dict[str, torch.Tensor]:
    stage = decode_component(name, config, "float32").stage("decode")
    past: dict[str, torch.Tensor] = example_arguments(stage, {"batch": 2, "cache": cache})["past"]
    return past


def export(stage: Stage, values: dict[str, int | float]) -> torch.export.ExportedProgram:
    from graphlab.sources.stage import _dynamic

    assert stage.build is not None
    shapes = {name: _dynamic(argument) for name, argument in stage.inputs.items()}
    with torch.no_grad():
        return torch.export.export(
            stage.build(), (), example_arguments(stage, values), dynamic_shapes=shapes, strict=False
        )
