"""Writes bart.npz, gpt2.npz and reference.json: tiny random checkpoints and the ids that transformers generates with them.

Needs torch and transformers 4.57, which the project itself does not: `python tests/generation/make_reference.py`.
Weights are stored as float16 in transformers' names and used as float32 on both sides. They are drawn wide, so that the likeliest
token stands well clear of the next; the script refuses to write ids that a disturbance of 1e-4 of each weight would change.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig, GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).parent
PAD, EOS, START, VOCABULARY = 1, 2, 3, 60

BART = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 32,
    "scale_embedding": True,
    "activation_function": "gelu",
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": 0,
    "decoder_start_token_id": START,
    "forced_eos_token_id": None,
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 4,
    "n_inner": 40,
    "n_positions": 32,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": EOS,
}

COMMON = {
    "greedy": {},
    "greedy_min_length": {"min_length": 14},
    "greedy_repetition_penalty": {"repetition_penalty": 1.8},
    "greedy_no_repeat_bigrams": {"no_repeat_ngram_size": 2},
    "greedy_no_repeat_words": {"no_repeat_ngram_size": 1},
    "greedy_forced_eos": {"forced_eos_token_id": EOS, "max_length": 16},
    "beam4": {"num_beams": 4},
    "beam4_return3": {"num_beams": 4, "num_return_sequences": 3},
    "beam4_length_penalty_high": {"num_beams": 4, "length_penalty": 3.0},
    "beam4_length_penalty_low": {"num_beams": 4, "length_penalty": -2.0},
    "beam4_early_stopping": {"num_beams": 4, "early_stopping": True, "length_penalty": 2.0},
    "beam4_never": {"num_beams": 4, "early_stopping": "never", "length_penalty": 1.5},
    "beam4_min_length": {"num_beams": 4, "min_length": 15},
    "beam4_no_repeat_trigrams": {"num_beams": 4, "no_repeat_ngram_size": 3},
    "beam4_no_repeat_bigrams": {"num_beams": 4, "no_repeat_ngram_size": 2},
    "beam4_repetition_penalty": {"num_beams": 4, "repetition_penalty": 1.5},
    "beam4_forced_eos": {"num_beams": 4, "forced_eos_token_id": EOS, "max_length": 16},
    "beam3_together": {
        "num_beams": 3,
        "num_return_sequences": 2,
        "no_repeat_ngram_size": 2,
        "repetition_penalty": 1.2,
        "min_length": 12,
        "length_penalty": 0.8,
        "early_stopping": True,
        "forced_eos_token_id": EOS,
    },
}
BART_ONLY = {
    "greedy_forced_bos": {"forced_bos_token_id": 5},
    "beam4_forced_bos": {"num_beams": 4, "forced_bos_token_id": 5, "forced_eos_token_id": EOS},
}


def draw_weights(model, seed: int, eos_bias: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("bias"):
            value = 0.1 * noise
        elif "norm" in name or ".ln_" in name:
            value = 1.2 * noise  # of either sign: what comes out is not what went in, no token repeats itself for ever
        elif "embed_positions" in name or "wpe" in name:
            value = 3.0 * noise
        else:
            value = (0.5 if "shared" in name or "wte" in name else 0.3) * noise
        weight.data = value.half().float()
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias = torch.randn(model.final_logits_bias.shape, generator=generator).half().float()
        model.final_logits_bias[0, EOS] = eos_bias


def batch(seed: int, lengths: list[int], left: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    ids = np.full([len(lengths), max(lengths)], PAD)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        place = slice(max(lengths) - length, None) if left else slice(0, length)
        ids[row, place] = random.integers(6, VOCABULARY, length)
        mask[row, place] = 1
    return ids, mask


def generate(model, ids, mask, options: dict) -> list[list[int]]:
    config = GenerationConfig(pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=START, **options)
    model.generation_config = config
    found = model.generate(torch.tensor(ids), attention_mask=torch.tensor(mask), generation_config=config)
    return found.tolist()


def disturbed(model):
    other = type(model)(model.config).eval()
    other.load_state_dict(model.state_dict())
    torch.manual_seed(0)
    for weight in other.parameters():
        weight.data *= 1 + 1e-4 * torch.randn_like(weight)
    return other


def varied(rows: list[list[int]]) -> bool:
    """Rows that end at three different lengths at least and hold six different tokens on average."""
    ends = {row.index(EOS) if EOS in row else -1 for row in rows}
    return len(ends) >= 3 and sum(len(set(row)) for row in rows) >= 6 * len(rows)


def cases(model, ids, mask, options: dict[str, dict]) -> dict | None:
    """The ids for each set of options, None if they hang on rounding or if options make no difference."""
    if not all(varied(generate(model, ids, mask, {"max_length": 24, "num_beams": beams})) for beams in (1, 4)):
        return None
    other = disturbed(model)
    result = {}
    for name, chosen in options.items():
        chosen = {"max_length": 24, **chosen}
        found = generate(model, ids, mask, chosen)
        if found != generate(other, ids, mask, chosen):
            return None
        result[name] = {"options": chosen, "ids": found}
    different = {json.dumps(case["ids"]) for case in result.values()}
    return result if len(different) >= len(result) - 1 else None


def find(make, ids, mask, options: dict):
    """The first seed whose ids are stable and end at different lengths."""
    for seed in range(3000):
        model = make(seed)
        found = cases(model, ids, mask, options)
        if found is not None:
            print(type(model).__name__, "seed", seed)
            return model, found
    raise SystemExit("no seed gives stable ids of different lengths")


def make_bart(seed: int):
    model = BartForConditionalGeneration(BartConfig(**BART)).eval()
    draw_weights(model, seed, eos_bias=5.0)
    return model


def make_gpt2(seed: int):
    model = GPT2LMHeadModel(GPT2Config(**GPT2)).eval()
    draw_weights(model, seed, eos_bias=0.0)
    return model


def main() -> None:
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    reference = {"transformers": transformers.__version__}
    for name, config, make, options, left in (
        ("bart", BART, make_bart, {**COMMON, **BART_ONLY}, False),
        ("gpt2", GPT2, make_gpt2, COMMON, True),
    ):
        ids, mask = batch(7, [9, 4, 7, 1, 6], left)
        model, found = find(make, ids, mask, options)
        tied = {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
        weights = {key: value.numpy().astype("float16") for key, value in model.state_dict().items() if key not in tied}
        np.savez_compressed(HERE / f"{name}.npz", **weights)
        reference[name] = {"config": config, "input_ids": ids.tolist(), "attention_mask": mask.tolist(), "cases": found}
    text = json.dumps(reference, separators=(",", ":")).replace('"greedy', '\n"greedy').replace('"beam', '\n"beam')
    (HERE / "reference.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
