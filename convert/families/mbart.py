"""mBART, which is BART with layer norms before each sublayer and one more at the end of encoder and decoder."""

from dataclasses import replace

from convert.families.bart import BART, CONFIG, D, backbone, embedding_norm, positions, tasks
from convert.fields import Field
from convert.rules import LayerNorm


def side(name: str) -> tuple:
    """Return the rules of the encoder's or the decoder's parts besides its layers."""
    return positions(name), embedding_norm(name), LayerNorm(f"{name}.layer_norm", f"{name}.{name}.norm", D)


FAMILIES = (
    replace(
        BART,
        model_type="mbart",
        paddle_type="mbart",
        paddle_prefix="mbart.",
        # PaddleNLP's model takes the language code from the end of the source, so this field is only stored
        config=(*(entry for entry in CONFIG if getattr(entry, "hf", "") not in ("normalize_before", "add_final_layer_norm")),
                Field("decoder_start_token_id")),
        backbone=backbone(side("encoder"), side("decoder")),
        tasks=tasks("MBart"),
        layers=(
            *BART.layers[:2],
            ("encoder.layer_norm", "encoder.encoder.norm", None),
            *BART.layers[2:],
            ("decoder.layer_norm", "decoder.decoder.norm", None),
        ),
        tokenizer="ready_made",
        harmless=(*BART.harmless, "normalize_before", "add_final_layer_norm"),
    ),
)  # fmt: skip
