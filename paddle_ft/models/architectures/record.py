"""Define the record of an architecture, which has everything that the rest of the program knows about it.

Records name classes instead of importing them, so that reading a record does not import PaddleNLP. A name without dots is a class
of paddlenlp.transformers; a name with dots is imported from its module. Functions of a record import what they need when called.
Shapes: b batch, s sequence, d hidden size, v vocabulary, n chosen positions.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paddle_ft.models.reading import first_tokens, only_read_at


def import_by_name(name: str) -> Any:
    """Return a class of paddlenlp.transformers by its name, or any class or function by its name with the module."""
    module, _, own_name = name.rpartition(".")
    return getattr(importlib.import_module(module or "paddlenlp.transformers"), own_name)


# ---------------------------------------------------------------------------------------------------- defaults
def default_input_embedding(model):
    """Return the word embedding layer from PaddleNLP's get_input_embeddings()."""
    return model.get_input_embeddings()


def pad_id_only(tokenizer) -> dict[str, int]:
    """Return the id of the padding token, the one special id that every configuration has."""
    return {"pad_token_id": tokenizer.pad_token_id}


def all_positions(config) -> int:
    """Return the number of positions, all of which can hold a token."""
    return config.max_position_embeddings


def hidden_size(config) -> int:
    """Return d, the size of the encoder's states."""
    return config.hidden_size


def hidden_dropout(config) -> float:
    """Return the dropout probability of hidden states."""
    return config.hidden_dropout_prob


def is_plain_classifier(model) -> bool:
    """Return whether the model is one of PaddleNLP's classifiers, and not one with the LSTM head of models/heads.py, `pooling`."""
    return hasattr(model, "classifier") and not hasattr(model, "pooling")


def packed_states(model, input_ids, visible, position_ids):
    """Return the hidden states [p, s, d] of packed sequences, from a base model that takes position_ids and a mask of any shape.

    Args:
        model: the base model.
        input_ids: [p, s]
        visible: [p, 1, s, s] bool, which keys (last axis) each query sees.
        position_ids: [p, s]
    """
    mask = (1.0 - visible.astype("float32")) * -1e4  # what PaddleNLP adds for padding
    return model(input_ids=input_ids, attention_mask=mask, position_ids=position_ids)


def no_problem(config) -> None:
    """Return None: every configuration can be used."""


def self_attention_layers(decoder) -> list:
    """Return the self-attention layers of a decoder that holds a paddle.nn.TransformerDecoder, or one that is built like it."""
    return [layer.self_attn for layer in decoder.decoder.layers]


@dataclass(frozen=True)
class CausalDecoder:
    """A decoder that can use the causal attention kernel when it is called without a mask of its own.

    Attributes:
        find: (model) -> the decoder.
        absent: arguments of the decoder's forward. If all are missing, the mask is causal and hides nothing else.
        self_attention: (decoder) -> its self-attention layers.
    """

    find: Callable[[Any], Any]
    absent: tuple[str, ...]
    self_attention: Callable[[Any], list] = self_attention_layers


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """The record of one architecture. A module publishes it as ARCHITECTURE.

    Records are compared and hashed by identity. The defaults fit a model that is made of paddle.nn's Transformer layers.

    Attributes:
        name: model_type in config.json. The module of a built-in architecture has the same name.
        config_class: the configuration class.
        model_classes: head type (seq2seq, sequence_classification, masked_lm, causal_lm) -> model class.
        tokenizer_classes: the tokenizer classes of PaddleNLP's built-in checkpoints.
        order: position in lists of architectures. The first one that has a head type is its default for a model from scratch.

        input_embedding: (model) -> the word embedding layer.
        lm_head: (model, hidden [n, d]) -> logits [n, v] of a masked or causal language model.
        seq2seq_logits: (model, batch) -> logits [n, v] at the batch's target_positions [n], indices into the flattened
            decoder_input_ids [b, t].
        tie_head: (model, from_scratch) -> whether input embedding and output head are one parameter now, or None if PaddleNLP's
            model has no separate head. It must not change a loaded head that differs from the embedding.
        output_weights, output_biases: names of the output head's parameters [v, d] and buffers [1, v], which grow with the
            vocabulary.
        freezes_padding_row: whether the padding token's row of the embedding must not be trained.
        hidden_size, hidden_dropout: (config) -> size and dropout probability of the encoder's states, for another pooling head.
        pooler: name of the base model's layer that pools the first token. Language models do not use it.
        reads_pooler: (model) -> whether the model's head reads the pooler.
        reads_first_token: (model) -> whether a classifier reads nothing of the encoder's output but the first token's.
        pooled_layers: layers of a classifier between the first token and the output, which another pooling head replaces.

        special_ids: (tokenizer) -> the special ids for a new model's configuration.
        new_tokenizer: algorithm of a tokenizer that is built from texts: "wordpiece" or "byte_level".
        longest_input: (config) -> the maximum number of input tokens.
        packed_states: (base model, input_ids, visible, position_ids) -> hidden states of packed sequences, for task.packing. None:
            the model cannot be given positions.
        first_position: (config) -> the position of a row's first token.
        problem_of_checkpoint: (contents of config.json) -> why the checkpoint cannot be used, or None.
        problem_of_config: (config) -> why a model with this configuration cannot be trained, or None. The text names the setting.

        layers: classes of the encoder's and decoder's layers, which recompute and sharding wrap.
        stacks: class of a stack of layers -> the tensor arguments of its forward, for train.compile.
        attention_projections: names of the linear layers of an attention layer, which get LoRA adapters by default.
        attention: class of an attention layer -> the function that computes it through scaled_dot_product_attention.
        cpu_attention: class of an attention layer -> the function that computes it on a CPU; paddle.nn's is known.
        causal_decoder: the decoder that can use the causal attention kernel, or None.
        generation_adapter: the adapter class that generates with the model, or None.
        export_graphs: the function that gives the graphs of a generating model (paddle_ft/export/graphs), or None.
    """

    name: str
    config_class: str
    model_classes: dict[str, str]
    tokenizer_classes: tuple[str, ...] = ()
    order: int = 100

    input_embedding: Callable[[Any], Any] = default_input_embedding
    lm_head: Callable[[Any, Any], Any] | None = None
    seq2seq_logits: Callable[[Any, dict[str, Any]], Any] | None = None
    tie_head: Callable[[Any, bool], bool | None] | None = None
    output_weights: tuple[str, ...] = ()
    output_biases: tuple[str, ...] = ()
    freezes_padding_row: bool = False
    hidden_size: Callable[[Any], int] = hidden_size
    hidden_dropout: Callable[[Any], float] = hidden_dropout
    pooler: str = "pooler"
    reads_pooler: Callable[[Any], bool] = is_plain_classifier
    reads_first_token: Callable[[Any], bool] = lambda model: False
    pooled_layers: tuple[str, ...] = ()

    special_ids: Callable[[Any], dict[str, int]] = pad_id_only
    new_tokenizer: str = "wordpiece"
    longest_input: Callable[[Any], int] = all_positions
    packed_states: Callable[[Any, Any, Any, Any], Any] | None = packed_states
    first_position: Callable[[Any], int] = lambda config: 0
    problem_of_checkpoint: Callable[[dict], str | None] = no_problem
    problem_of_config: Callable[[Any], str | None] = no_problem

    layers: tuple[str, ...] = ("paddle.nn.TransformerEncoderLayer", "paddle.nn.TransformerDecoderLayer")
    stacks: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "paddle.nn.TransformerEncoder": ("src", "src_mask"),
            "paddle.nn.TransformerDecoder": ("tgt", "memory", "tgt_mask", "memory_mask"),
        }
    )
    attention_projections: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "qkv_proj", "out_proj")
    attention: dict[str, str] = field(
        default_factory=lambda: {"paddle.nn.MultiHeadAttention": "paddle_ft.models.attention.sdpa_forward"}
    )
    cpu_attention: dict[str, str] = field(default_factory=dict)
    causal_decoder: CausalDecoder | None = None
    generation_adapter: str | None = None
    export_graphs: str | None = None

    # -------------------------------------------------------------------------------- a model's parts
    def layers_of(self, model) -> list:
        """Return the encoder's and the decoder's layers, in the order in which they run."""
        classes = tuple(import_by_name(name) for name in self.layers)
        return [layer for layer in model.sublayers() if type(layer) in classes]

    def takes_positions(self, model) -> bool:
        """Return whether the model can be given the position of each token, which packed sequences need."""
        if self.packed_states is not packed_states:
            return self.packed_states is not None
        base = getattr(model, model.base_model_prefix)
        return "position_ids" in inspect.signature(type(base).forward).parameters

    # -------------------------------------------------------------------------------- logits
    def classifier_logits(self, model, inputs: dict[str, Any]):
        """Return the logits [b, classes] of a classifier for its inputs [b, s]."""
        with only_read_at(first_tokens if self.reads_first_token(model) else None):
            return model(**inputs)

    def masked_lm_logits(self, model, input_ids, attention_mask, positions):
        """Return the logits at chosen positions.

        Args:
            model: the model.
            input_ids: [b, s]
            attention_mask: [b, s], 1 for a token and 0 for padding.
            positions: [n], indices into the flattened batch.

        Returns:
            [n, v]
        """
        with only_read_at(lambda b, s: positions.numpy()):  # called on a CPU only
            outputs = getattr(model, model.base_model_prefix)(input_ids=input_ids, attention_mask=attention_mask)
        return self._logits(model, positions, outputs)

    def causal_lm_logits(self, model, input_ids, positions):
        """Return the logits [n, v] at positions [n] of the flattened input_ids [b, s]. Padding must be on the right."""
        return self._logits(model, positions, getattr(model, model.base_model_prefix)(input_ids=input_ids))

    def packed_logits(self, model, input_ids, segment_ids, position_ids, positions):
        """Return the logits at chosen positions of packed sequences (data.packing), of a masked or causal language model.

        Args:
            model: the model.
            input_ids: [p, s]
            segment_ids: [p, s], equal for the tokens of a row.
            position_ids: [p, s], positions within the rows, from 0.
            positions: [n], indices into the flattened batch.

        Returns:
            [n, v]
        """
        visible = (segment_ids.unsqueeze(1) == segment_ids.unsqueeze(2)).unsqueeze(1)
        base = getattr(model, model.base_model_prefix)
        with only_read_at(lambda p, s: positions.numpy()):
            states = self.packed_states(base, input_ids, visible, position_ids + self.first_position(model.config))
        return self._logits(model, positions, states)

    def _logits(self, model, positions, outputs):
        """Return the logits [n, v] at the chosen positions only, of the base model's outputs for all positions."""
        hidden = outputs[0] if isinstance(outputs, tuple) else outputs
        return self.lm_head(model, hidden.reshape([-1, hidden.shape[-1]]).index_select(positions))
