"""The tiny checkpoints of tests/fixtures/generation as PaddleNLP models, and what transformers generated with them.

tests/fixtures/make_generation_reference.py wrote the files.
"""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np

from tests.support.paths import FIXTURES

FOLDER = FIXTURES / "generation"

BART_PARTS = {
    "self_attn.k_proj": "self_attn.k_proj",
    "self_attn.v_proj": "self_attn.v_proj",
    "self_attn.q_proj": "self_attn.q_proj",
    "self_attn.out_proj": "self_attn.out_proj",
    "self_attn_layer_norm": "norm1",
    "encoder_attn.k_proj": "cross_attn.k_proj",
    "encoder_attn.v_proj": "cross_attn.v_proj",
    "encoder_attn.q_proj": "cross_attn.q_proj",
    "encoder_attn.out_proj": "cross_attn.out_proj",
    "encoder_attn_layer_norm": "norm2",
    "fc1": "linear1",
    "fc2": "linear2",
}


@lru_cache
def reference() -> dict:
    """Return configuration, inputs and the token ids that transformers generated, by model name."""
    return json.loads((FOLDER / "reference.json").read_text())


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the reference input_ids and attention_mask of a model, both [b, s]."""
    return np.array(reference()[name]["input_ids"]), np.array(reference()[name]["attention_mask"])


def read_weights(name: str) -> dict[str, np.ndarray]:
    """Return the weights that transformers saved, as float32."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: file[key].astype("float32") for key in file.files}


def set_weights(model, weights: dict[str, np.ndarray]) -> None:
    """Set all parameters and buffers of a model. Fail unless the names are the same."""
    state = model.state_dict()
    assert set(state) == set(weights)
    for name, value in weights.items():
        assert list(state[name].shape) == list(value.shape), name
        state[name].set_value(value)
    model.eval()


@lru_cache
def bart():
    """Return the BART model. It is built once a session."""
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration

    model = BartForConditionalGeneration(BartConfig(**reference()["bart"]["config"]))
    source = read_weights("bart")
    shared = source.pop("model.shared.weight")
    weights = {
        "lm_head_weight": shared,
        "final_logits_bias": source.pop("final_logits_bias"),
        "bart.shared.weight": shared,
    }
    for side in ("encoder", "decoder"):
        weights[f"bart.{side}.embed_tokens.weight"] = shared
    for name, value in source.items():
        _, side, *rest = name.split(".")
        if rest[0] != "layers":
            weights[f"bart.{side}.{side}_{'.'.join(rest)}"] = value
            continue
        part, kind = ".".join(rest[2:]).rsplit(".", 1)
        last_norm = "norm2" if side == "encoder" else "norm3"
        paddle_part = last_norm if part == "final_layer_norm" else BART_PARTS[part]
        weights[f"bart.{side}.{side}.layers.{rest[1]}.{paddle_part}.{kind}"] = value.T if value.ndim == 2 else value
    set_weights(model, weights)
    return model


@lru_cache
def gpt2():
    """Return the GPT-2 model. It is built once a session."""
    from paddlenlp.transformers import GPTConfig, GPTLMHeadModel

    config = reference()["gpt2"]["config"]
    model = GPTLMHeadModel(
        GPTConfig(
            vocab_size=config["vocab_size"],
            hidden_size=config["n_embd"],
            num_hidden_layers=config["n_layer"],
            num_attention_heads=config["n_head"],
            intermediate_size=config["n_inner"],
            max_position_embeddings=config["n_positions"],
            pad_token_id=config["pad_token_id"],
            eos_token_id=config["eos_token_id"],
            bos_token_id=config["bos_token_id"],
        )
    )
    source = {name.removeprefix("transformer."): value for name, value in read_weights("gpt2").items()}
    words = source.pop("wte.weight")
    weights = {
        "lm_head.weight": words,
        "gpt.embeddings.word_embeddings.weight": words,
        "gpt.embeddings.position_embeddings.weight": source.pop("wpe.weight"),
    }
    parts = {
        "ln_1": "norm1",
        "ln_2": "norm2",
        "attn.c_proj": "self_attn.out_proj",
        "mlp.c_fc": "linear1",
        "mlp.c_proj": "linear2",
    }
    for name, value in source.items():
        part, kind = name.rsplit(".", 1)
        if part == "ln_f":
            weights[f"gpt.decoder.norm.{kind}"] = value
            continue
        _, number, part = part.split(".", 2)
        layer = f"gpt.decoder.layers.{number}"
        if part == "attn.c_attn":  # query, key and value are concatenated; [in, out] as in Paddle
            for letter, weight in zip("qkv", np.split(value, 3, axis=-1), strict=True):
                weights[f"{layer}.self_attn.{letter}_proj.{kind}"] = weight
        else:
            weights[f"{layer}.{parts[part]}.{kind}"] = value
    set_weights(model, weights)
    return model


MODELS = {"bart": bart, "gpt2": gpt2}
