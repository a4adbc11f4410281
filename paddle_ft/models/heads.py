"""Add a head that pools with an LSTM to classifiers, and load checkpoints whose head is for other classes.

Shapes: b batch, s sequence, d hidden size of the encoder.
"""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path

import paddle
from paddle import nn

from convert.loading import model_from_weights, read_weights
from paddle_ft.models.architectures import Architecture, architecture_of
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info


class LSTMAttention(nn.Layer):
    """Pool the encoder's states with a bidirectional LSTM and attention. Padding is not read.

    score_t = w . tanh(h_t), weights = softmax of the scores of real tokens, result = tanh(sum of weight_t h_t).
    Source: Zhou et al. (2016), Attention-Based Bidirectional Long Short-Term Memory Networks for Relation Classification. There
    the two directions are added; here each has half the size and they are concatenated.
    """

    def __init__(self, size: int):
        super().__init__()
        self.lstm = nn.LSTM(size, size // 2, direction="bidirect")
        self.score = nn.Linear(size // 2 * 2, 1, bias_attr=False)

    def forward(self, states, mask):
        """Return the pooled states [b, d] of `states` [b, s, d] and `mask` [b, s], 1 for a token and 0 for padding."""
        outputs, _ = self.lstm(states, sequence_length=mask.sum(axis=1).astype("int64"))
        scores = self.score(paddle.tanh(outputs)).squeeze(-1).astype("float32")
        weights = nn.functional.softmax(scores + (mask.astype("float32") - 1) * 1e9, axis=-1).astype(outputs.dtype)
        return paddle.tanh(paddle.bmm(weights.unsqueeze(1), outputs).squeeze(1))


@cache
def with_lstm_attention(base: type, record: Architecture) -> type:
    """Return a subclass of a sequence classifier that pools with LSTMAttention. from_pretrained and save_pretrained work as usual.

    Args:
        base: PaddleNLP's class.
        record: its architecture, which gives the encoder's sizes and the layers that the new head replaces.
    """

    class Model(base):
        def __init__(self, config):
            super().__init__(config)
            for name in record.pooled_layers:
                delattr(self, name)
            size = record.hidden_size(config)
            self.pooling = LSTMAttention(size)
            self.dropout = nn.Dropout(record.hidden_dropout(config))
            self.classifier = nn.Linear(size // 2 * 2, config.num_labels)

        def forward(self, input_ids, attention_mask=None, **inputs):
            """Return the logits [b, classes] of input_ids [b, s] and attention_mask [b, s]."""
            if attention_mask is None:
                attention_mask = (input_ids != self.config.pad_token_id).astype("int64")
            encoder = getattr(self, self.base_model_prefix)
            states = encoder(input_ids=input_ids, attention_mask=attention_mask, **inputs)
            states = states[0] if isinstance(states, tuple) else states  # while it is traced, a tensor is no paddle.Tensor
            return self.classifier(self.dropout(self.pooling(states, attention_mask)))

    Model.__name__ = Model.__qualname__ = f"{base.__name__}WithLSTMAttention"
    return Model


def takes_token_types(model) -> bool:
    """Return whether the model distinguishes the two texts of a pair by token_type_ids."""
    encoder = getattr(model, model.base_model_prefix)
    accepted = "token_type_ids" in inspect.signature(encoder.forward).parameters
    return accepted and getattr(model.config, "type_vocab_size", 1) > 1


# ---------------------------------------------------------------------------------------------------- loading
def load_with_head(cls, directory: Path, saved: dict, settings: dict):
    """Load a classifier from a checkpoint of any task. The head is loaded only if it was trained for the same classes.

    Args:
        cls: the model class.
        directory: the checkpoint.
        saved: contents of the checkpoint's config.json.
        settings: what the task sets in the configuration: id2label, label2id, classifier_head.

    Raises:
        UserError: weights of the encoder are missing in the checkpoint.
    """
    config = cls.config_class.from_pretrained(str(directory))
    for name, value in settings.items():
        setattr(config, name, value)
    weights = read_weights(directory)
    shapes = {name: array.shape for name, array in weights.items()}
    model = model_from_weights(cls, directory, weights, config, ignore_mismatched_sizes=True)
    _check_encoder(model, directory, shapes)
    if not _head_fits(cls, saved, settings):
        renew_head(model)
    return model


def _head_fits(cls, saved: dict, settings: dict) -> bool:
    """Return whether the checkpoint's head was trained for these classes. Default names (LABEL_0, ...) fit any class names."""
    original = saved.get("huggingface", {}).get("config", saved)
    if cls.__name__ not in (original.get("architectures") or []):
        return False
    names = [str(name) for _, name in sorted((int(number), name) for number, name in (saved.get("id2label") or {}).items())]
    class_names = list(settings["id2label"].values())
    return names == class_names or names == [f"LABEL_{i}" for i in range(len(class_names))]


def renew_head(model) -> None:
    """Initialise the linear layers after the encoder anew, as PaddleNLP does."""
    std = model.config.initializer_range
    for name, child in model.named_children():
        if name == model.base_model_prefix:
            continue
        for layer in child.sublayers(include_self=True):
            if isinstance(layer, nn.Linear):
                layer.weight.set_value(paddle.normal(0.0, std, layer.weight.shape).astype(layer.weight.dtype))
                if layer.bias is not None:
                    layer.bias.set_value(paddle.zeros_like(layer.bias))


def _check_encoder(model, directory: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise UserError if a weight of the encoder is not in the checkpoint. A pooler may be: language models have none."""
    prefix, pooler = f"{model.base_model_prefix}.", f"{architecture_of(model).pooler}."
    stored = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    encoder = {name.removeprefix(prefix): tuple(p.shape) for name, p in model.named_parameters() if name.startswith(prefix)}
    wrong = [name for name, shape in encoder.items() if tuple(stored.get(name, ())) != shape]
    missing = [name for name in wrong if not name.startswith(pooler)]
    if missing:
        raise UserError(
            f"{directory}: {len(missing)} of {len(encoder)} weights of the encoder are not in this checkpoint, or have another"
            f" shape there: {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
        )
    if wrong:
        print_info(f"{directory}: the checkpoint has no pooler, so pooler and classifier start from random weights")
