"""mBART: BART's table, normalised before each part, with one more layer norm at the end of each side."""

from dataclasses import replace

from convert.config import Field
from convert.families.bart import CONFIG, D, backbone, embedding_norm, positions, tasks
from convert.families.bart import FAMILIES as BART
from convert.rules import LayerNorm


def side(name: str) -> tuple:
    return positions(name), embedding_norm(name), LayerNorm(f"{name}.layer_norm", f"{name}.{name}.norm", D)


FAMILIES = (
    replace(
        BART[0],
        model_type="mbart",
        paddle_type="mbart",
        paddle_prefix="mbart.",
        # PaddleNLP's model looks for the language code at the end of the source by itself; the field travels along
        config=(*(entry for entry in CONFIG if getattr(entry, "hf", "") not in ("normalize_before", "add_final_layer_norm")),
                Field("decoder_start_token_id")),
        backbone=backbone(side("encoder"), side("decoder")),
        tasks=tasks("MBart"),
        layers=(
            *BART[0].layers[:2],
            ("encoder.layer_norm", "encoder.encoder.norm", None),
            *BART[0].layers[2:],
            ("decoder.layer_norm", "decoder.decoder.norm", None),
        ),
        tokenizer="ready_made",
        harmless=(*BART[0].harmless, "normalize_before", "add_final_layer_norm"),
    ),
)  # fmt: skip
