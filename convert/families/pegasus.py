"""Pegasus, which is BART with layer norms before each sublayer and fixed position embeddings."""

from dataclasses import replace

from convert.families.bart import BART, CONFIG, D, backbone, positions, tasks
from convert.fields import Field
from convert.rules import LayerNorm


def side(name: str) -> tuple:
    """Return the rules of the encoder's or the decoder's parts besides its layers."""
    return positions(name, extra_rows=0), LayerNorm(f"{name}.layer_norm", f"{name}.{name}_layernorm", D)


OLD_FIELDS = (
    "normalize_before",
    "add_final_layer_norm",
    "normalize_embedding",
    "static_position_embeddings",
    "extra_pos_embeddings",
)

FAMILIES = (
    replace(
        BART,
        model_type="pegasus",
        paddle_type="pegasus",
        paddle_prefix="pegasus.",
        config=(
            *(entry for entry in CONFIG if getattr(entry, "hf", "") not in OLD_FIELDS),
            Field("pad_token_id", default=0),
            Field("bos_token_id"),
            Field("eos_token_id", default=1),
            Field("decoder_start_token_id", default=0),
            Field("forced_eos_token_id", default=1),
        ),
        backbone=backbone(side("encoder"), side("decoder")),
        tasks=tuple(task for task in tasks("Pegasus") if task.name in ("base", "seq2seq")),
        layers=(
            BART.layers[1],
            ("encoder.layer_norm", "encoder.encoder_layernorm", None),
            BART.layers[3],
            ("decoder.layer_norm", "decoder.decoder_layernorm", None),
        ),
        tokenizer="ready_made",
        harmless=(*BART.harmless, *OLD_FIELDS, "extra_pos_embeddings", "force_bos_token_to_be_generated"),
    ),
)
