"""Pegasus: BART's layers, normalised before each part, over fixed positions."""

from dataclasses import replace

from convert.config import Field
from convert.families.bart import CONFIG, D, backbone, positions, tasks
from convert.families.bart import FAMILIES as BART
from convert.rules import LayerNorm


def side(name: str) -> tuple:
    return positions(name, extra_rows=0), LayerNorm(f"{name}.layer_norm", f"{name}.{name}_layernorm", D)


OLD = ("normalize_before", "add_final_layer_norm", "normalize_embedding", "static_position_embeddings", "extra_pos_embeddings")

FAMILIES = (
    replace(
        BART[0],
        model_type="pegasus",
        paddle_type="pegasus",
        paddle_prefix="pegasus.",
        config=(
            *(entry for entry in CONFIG if getattr(entry, "hf", "") not in OLD),
            Field("pad_token_id", default=0),
            Field("bos_token_id"),
            Field("eos_token_id", default=1),
            Field("decoder_start_token_id", default=0),
            Field("forced_eos_token_id", default=1),
        ),
        backbone=backbone(side("encoder"), side("decoder")),
        tasks=tuple(task for task in tasks("Pegasus") if task.name in ("base", "seq2seq")),
        layers=(
            BART[0].layers[1],
            ("encoder.layer_norm", "encoder.encoder_layernorm", None),
            BART[0].layers[3],
            ("decoder.layer_norm", "decoder.decoder_layernorm", None),
        ),
        tokenizer="ready_made",
        harmless=(*BART[0].harmless, *OLD, "extra_pos_embeddings", "force_bos_token_to_be_generated"),
    ),
)
