"""Add a head that pools with an LSTM to classifiers.

Shapes: b batch, s sequence, d hidden size of the encoder.
"""

from __future__ import annotations

import inspect
from functools import cache

import paddle
from paddle import nn

from paddle_ft.models.architectures import Architecture


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
