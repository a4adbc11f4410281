"""The models and batches of benchmarks/gpu_check.py."""

from __future__ import annotations

import numpy as np

SMALL = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "heads": 4, "ffn": 128, "vocab": 300, "positions": 128}
BASE = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "heads": 12, "ffn": 3072, "vocab": 21128, "positions": 512}

# name, dtype of mixed precision, largest relative difference that passes
PRECISIONS = (("fp32", None, 1e-4), ("bfloat16 O1", "bfloat16", 5e-2), ("float16 O1", "float16", 1e-2))


def make_model(size: dict, dropout: float):
    """Return a PaddleNLP BART with random weights and tied embeddings."""
    import paddle
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration

    from paddle_ft.models.vocabulary import tie_head

    paddle.seed(1)
    config = BartConfig(
        vocab_size=size["vocab"], d_model=size["d_model"], encoder_layers=size["encoder_layers"],
        decoder_layers=size["decoder_layers"], encoder_attention_heads=size["heads"], decoder_attention_heads=size["heads"],
        encoder_ffn_dim=size["ffn"], decoder_ffn_dim=size["ffn"], max_position_embeddings=size["positions"], dropout=dropout,
        attention_dropout=dropout, activation_dropout=0.0, pad_token_id=0, bos_token_id=2, eos_token_id=3,
        decoder_start_token_id=3, forced_eos_token_id=3, init_std=0.05,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    tie_head(model, from_scratch=True)
    return model


def make_batch(size: dict, rows: int, source: int, target: int) -> dict[str, np.ndarray]:
    """Return a padded batch in which every second row is half as long."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, size["vocab"], (rows, source))
    mask = np.ones_like(ids)
    mask[1::2, source // 2 :] = 0
    ids[mask == 0] = 0
    labels = rng.integers(4, size["vocab"], (rows, target))
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def make_family(name: str):
    """Return a small model without dropout in training mode, and its inputs with padding on the right."""
    import paddle
    from paddlenlp.transformers import BertConfig, BertModel, GPTConfig, GPTModel

    inputs = {key: paddle.to_tensor(value) for key, value in make_batch(SMALL, 6, 24, 16).items()}
    labels = inputs.pop("labels")
    paddle.seed(1)
    if name == "bart":
        model, inputs["decoder_input_ids"] = make_model(SMALL, 0.0).bart, labels
    else:
        config, cls = (BertConfig, BertModel) if name == "bert" else (GPTConfig, GPTModel)
        model = cls(config(vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                           max_position_embeddings=128, pad_token_id=0, initializer_range=0.05, hidden_dropout_prob=0.0,
                           attention_probs_dropout_prob=0.0))  # fmt: skip
    if name == "gpt, no mask":
        del inputs["attention_mask"]
    model.train()
    return model, inputs
