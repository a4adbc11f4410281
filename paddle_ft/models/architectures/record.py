"""The record of one architecture: all that the rest of the program needs to know of it.

Classes are given by name, so that a record can be read without importing paddlenlp: a bare name is a class of
paddlenlp.transformers, a name with dots is imported from its module. Functions import what they need when they are called.
Shapes: b batch, s sequence, d hidden size, v vocabulary, n chosen positions.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def import_by_name(name: str) -> Any:
    """Return a class of paddlenlp.transformers by its name, or any class or function by its full dotted name."""
    module, _, own_name = name.rpartition(".")
    return getattr(importlib.import_module(module or "paddlenlp.transformers"), own_name)


# ---------------------------------------------------------------------------------------------------- what most have in common
def own_input_embedding(model):
    """Return the layer of word embeddings that PaddleNLP's get_input_embeddings names."""
    return model.get_input_embeddings()


def pad_id_alone(tokenizer) -> dict[str, int]:
    """Return the special id that every configuration has."""
    return {"pad_token_id": tokenizer.pad_token_id}


def all_positions(config) -> int:
    """Return the number of positions, where all of them can hold a token."""
    return config.max_position_embeddings


def nothing_wrong(config) -> None:
    """Accept every configuration."""


@dataclass(frozen=True)
class CausalDecoder:
    """The decoder whose mask is causal and nothing else in a call that is given no mask.

    Attributes:
        find: returns the decoder of a model, whose layers are `decoder.decoder.layers`.
        absent: the arguments of its forward that such a call leaves out.
    """

    find: Callable[[Any], Any]
    absent: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture. A module publishes it as ARCHITECTURE.

    The defaults are those of a model made of paddle.nn's Transformer layers.

    Attributes:
        name: model_type of config.json. Ours are in modules of that name.
        config_class: its configuration class.
        model_classes: the class for each head type: seq2seq, sequence_classification, masked_lm, causal_lm.
        tokenizer_classes: the tokenizer classes of PaddleNLP's built-in checkpoints.
        order: architectures are listed by this number. The first that has a head type is its default from scratch.

        input_embedding: (model) -> the layer of word embeddings.
        lm_head: (model, hidden [n, d]) -> logits [n, v], of masked and causal language models.
        seq2seq_logits: (model, batch) -> logits [n, v] at the batch's target_positions [n], places in the flattened
            decoder_input_ids [b, t].
        tie_head: (model, from_scratch) -> whether input embedding and output head are one parameter now; None if the model has no
            head that PaddleNLP keeps apart. A loaded head that differs from the embedding must be left as it is.
        output_weights, output_biases: names of the model's own parameters [v, d] and buffers [1, v] of the output head, which
            grow with the vocabulary.
        freezes_padding_row: whether the padding token's row of the embedding must not be trained.
        pooled_layers: layers of a classifier between first token and output, which a pooling head replaces.

        special_ids: (tokenizer) -> the special ids of a new model's configuration.
        new_tokenizer: what a tokenizer built from texts is: "wordpiece" or "byte_level".
        longest_input: (config) -> how many tokens the model has positions for.
        problem_of_checkpoint: (config.json as a dictionary) -> why such a checkpoint cannot be used, or None.
        problem_of_config: (config) -> why a model so configured cannot be trained, with the setting's name, or None.

        layers: classes of the encoder's and decoder's layers, which recompute and sharding act on.
        stacks: class of a stack of layers -> the tensors that its forward takes, for train.compile.
        attention: class of an attention layer -> the function that computes it through scaled_dot_product_attention.
        causal_decoder: where the causal kernel can be used.
        generation_adapter: the class that generates with the model.
    """

    name: str
    config_class: str
    model_classes: dict[str, str]
    tokenizer_classes: tuple[str, ...] = ()
    order: int = 100

    input_embedding: Callable[[Any], Any] = own_input_embedding
    lm_head: Callable[[Any, Any], Any] | None = None
    seq2seq_logits: Callable[[Any, dict[str, Any]], Any] | None = None
    tie_head: Callable[[Any, bool], bool | None] | None = None
    output_weights: tuple[str, ...] = ()
    output_biases: tuple[str, ...] = ()
    freezes_padding_row: bool = False
    pooled_layers: tuple[str, ...] = ()

    special_ids: Callable[[Any], dict[str, int]] = pad_id_alone
    new_tokenizer: str = "wordpiece"
    longest_input: Callable[[Any], int] = all_positions
    problem_of_checkpoint: Callable[[dict], str | None] = nothing_wrong
    problem_of_config: Callable[[Any], str | None] = nothing_wrong

    layers: tuple[str, ...] = ("paddle.nn.TransformerEncoderLayer", "paddle.nn.TransformerDecoderLayer")
    stacks: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "paddle.nn.TransformerEncoder": ("src", "src_mask"),
            "paddle.nn.TransformerDecoder": ("tgt", "memory", "tgt_mask", "memory_mask"),
        }
    )
    attention: dict[str, str] = field(
        default_factory=lambda: {"paddle.nn.MultiHeadAttention": "paddle_ft.models.attention.sdpa_forward"}
    )
    causal_decoder: CausalDecoder | None = None
    generation_adapter: str | None = None

    # -------------------------------------------------------------------------------- a model's parts
    def layers_of(self, model) -> list:
        """Return the layers of encoder and decoder, in the order in which they run."""
        classes = tuple(import_by_name(name) for name in self.layers)
        return [layer for layer in model.sublayers() if type(layer) in classes]

    # -------------------------------------------------------------------------------- logits at chosen positions
    def masked_lm_logits(self, model, input_ids, attention_mask, positions):
        """Return logits [n, v] at positions [n] of the flattened batch.

        Args:
            input_ids, attention_mask: [b, s]; the mask is 1 for a token and 0 for padding.
        """
        return self._logits(model, positions, input_ids=input_ids, attention_mask=attention_mask)

    def causal_lm_logits(self, model, input_ids, positions):
        """Return logits [n, v] at positions [n] of the flattened input_ids [b, s]. Padding must stand on the right."""
        return self._logits(model, positions, input_ids=input_ids)

    def _logits(self, model, positions, **inputs):
        """Compute the hidden states of all positions, and logits only where they are needed."""
        outputs = getattr(model, model.base_model_prefix)(**inputs)
        hidden = outputs[0] if isinstance(outputs, tuple) else outputs
        return self.lm_head(model, hidden.reshape([-1, hidden.shape[-1]]).index_select(positions))
