"""Word embeddings and output heads: tied, enlarged for new tokens, checked against a tokenizer, single rows kept as they are.

Shapes: d hidden size, v vocabulary.
"""

from __future__ import annotations

import paddle

from paddle_ft.models.architectures import architecture_of
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info


def input_embedding(model):
    """Return the layer of word embeddings."""
    return architecture_of(model).input_embedding(model)


def check_vocabulary(model, tokenizer, name: str) -> None:
    """Raise UserError if the tokenizer has more tokens than the model has embeddings. `name`: model.pretrained."""
    size = input_embedding(model).weight.shape[0]
    if len(tokenizer) > size:
        raise UserError(
            f"model.pretrained: {name}: the tokenizer has {len(tokenizer)} tokens, but the model's embedding only {size} rows:"
            " they do not belong together. Set model.tokenizer to the right one."
        )


def tie_head(model, from_scratch: bool = False) -> bool:
    """Make the language model head and the input embedding one parameter, where the original has it so and PaddleNLP does not.

    A loaded head that differs from the embedding was trained apart and is left as it is.

    Returns:
        Whether they are tied.
    """
    tie = architecture_of(model).tie_head
    tied = tie(model, from_scratch) if tie else None
    if tied is False:
        print_info("The checkpoint's output head differs from its input embedding: they stay two parameters.")
    return bool(tied)


# ---------------------------------------------------------------------------------------------------- new tokens
def resize_vocabulary(model, size: int, known: int | None = None) -> None:
    """Give the model rows for tokens added to its tokenizer. A tied head stays tied.

    New rows of the embedding, and of a head of its own, are the mean of the old ones; new entries of the logits' bias are 0.
    Source: Hewitt (2021), Initializing New Word Embeddings for Pretrained Language Models: random rows can get almost all of
    the probability, the mean of the old ones cannot.

    Args:
        size: rows in all.
        known: rows that stand for tokens so far (default: all). A vocabulary padded to a multiple has spare ones behind, random
            or never trained: they are used first.
    """
    record = architecture_of(model)
    embedding = record.input_embedding(model).weight
    rows = embedding.shape[0]
    known = rows if known is None else min(known, rows)
    if size <= known:
        return
    larger = {id(embedding): _with_mean_rows(embedding, known, size)}
    for layer in model.sublayers(include_self=True):
        for name, parameter in list(layer.named_parameters(include_sublayers=False)):
            if parameter is embedding or name in record.output_weights:
                if id(parameter) not in larger:
                    larger[id(parameter)] = _with_mean_rows(parameter, known, size)
                layer.add_parameter(name, larger[id(parameter)])
    if size <= rows:
        return
    for name in record.output_biases:
        bias = getattr(model, name)
        model.register_buffer(name, paddle.concat([bias, paddle.zeros([1, size - rows], bias.dtype)], axis=1))
    model.config.vocab_size = size


def _with_mean_rows(weight, known: int, size: int):
    """Return a parameter of at least `size` rows from one of [v, d]: rows known to size are the mean of those before them."""
    mean = weight[:known].detach().astype("float64").mean(axis=0, keepdim=True).astype(weight.dtype)
    rows = paddle.concat([weight[:known].detach(), mean.expand([size - known, weight.shape[1]]), weight[size:].detach()])
    return paddle.create_parameter(rows.shape, rows.dtype, default_initializer=paddle.nn.initializer.Assign(rows))


# ---------------------------------------------------------------------------------------------------- frozen rows
def freeze_row(parameter, row: int) -> list[tuple]:
    """Stop the gradient of row `row` of a [v, d] parameter, whichever way the parameter is used.

    Returns:
        [(parameter, row)] for training.optim.FrozenRows, which undoes AdamW's weight decay of the row. Empty where the whole
        parameter is frozen.
    """
    if parameter.stop_gradient:
        return []
    index = paddle.to_tensor([row])

    @paddle.no_grad()
    def without_row(gradient):
        return paddle.index_fill(gradient, index, 0, 0.0)

    parameter.register_hook(without_row)
    return [(parameter, row)]
