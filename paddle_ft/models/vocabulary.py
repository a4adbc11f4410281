"""Work on word embeddings and output heads: tie them, resize them for new tokens, check them, freeze single rows.

Shapes: d hidden size, v vocabulary.
"""

from __future__ import annotations

import paddle

from paddle_ft.models.architectures import architecture_of
from paddle_ft.system.errors import UserError


def input_embedding(model):
    """Return the model's word embedding layer."""
    return architecture_of(model).input_embedding(model)


def check_vocabulary(model, tokenizer, name: str) -> None:
    """Raise UserError if a token of the tokenizer has no embedding in the model. The message has the model's `name`."""
    size = input_embedding(model).weight.shape[0]
    # Where a vocabulary has a token twice, the numbers go further than the number of tokens.
    needed = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))
    if needed > size:
        raise UserError(
            f"model.pretrained: {name}: the tokenizer has {needed} tokens, but the model's embedding only {size} rows:"
            " they do not belong together. Set model.tokenizer to the right one."
        )


def tie_head(model, from_scratch: bool = False) -> bool | None:
    """Make output head and input embedding one parameter if the original model ties them and PaddleNLP does not.

    In a loaded model a head that differs from the embedding was trained separately and is left as it is.

    Args:
        model: the model; it is changed in place.
        from_scratch: whether the model is new.

    Returns:
        Whether they are tied now; None if PaddleNLP's model has no separate head.
    """
    tie = architecture_of(model).tie_head
    return tie(model, from_scratch) if tie else None


# ---------------------------------------------------------------------------------------------------- new tokens
def resize_vocabulary(model, size: int, known: int | None = None) -> None:
    """Add rows for new tokens to the embedding and the output head. A tied head stays tied.

    New rows are the mean of the old ones, and new entries of the output bias are 0.
    Source: Hewitt (2021), Initializing New Word Embeddings for Pretrained Language Models. Random rows can get almost all of the
    probability; the mean of the old rows cannot.

    Args:
        model: the model; it is changed in place.
        size: number of tokens with the new ones.
        known: number of rows that have a token so far (default: all). A vocabulary that was padded to a multiple has more rows at
            the end, random or never trained, which are used first.
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
    """Return a copy of a parameter [v, d] with at least `size` rows. Rows known to size - 1 are the mean of those before."""
    mean = weight[:known].detach().astype("float64").mean(axis=0, keepdim=True).astype(weight.dtype)
    rows = paddle.concat([weight[:known].detach(), mean.expand([size - known, weight.shape[1]]), weight[size:].detach()])
    return paddle.create_parameter(rows.shape, rows.dtype, default_initializer=paddle.nn.initializer.Assign(rows))


# ---------------------------------------------------------------------------------------------------- frozen rows
def freeze_row(parameter, row: int) -> list[tuple]:
    """Set the gradient of one row of a [v, d] parameter to zero in every backward pass, wherever the parameter is used.

    Returns:
        [(parameter, row)] for training.optim.FrozenRows, which undoes AdamW's weight decay of the row. The list is empty if the
        whole parameter is frozen.
    """
    if parameter.stop_gradient:
        return []
    index = paddle.to_tensor([row])

    @paddle.no_grad()
    def zero_row(gradient):
        return paddle.index_fill(gradient, index, 0, 0.0)

    parameter.register_hook(zero_row)
    return [(parameter, row)]
