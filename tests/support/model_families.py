"""A tiny model of every family that the toolkit trains, a padded batch, and the outputs and gradients of a pass."""

import numpy as np
import paddle
from paddlenlp.transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ErnieConfig,
    ErnieForSequenceClassification,
    GPTConfig,
    GPTLMHeadModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
         "max_position_embeddings": 32}  # fmt: skip
BART = {"vocab_size": 40, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 32,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2}  # fmt: skip
FAMILIES = {
    "bert": (BertForSequenceClassification, BertConfig, {**SIZES, "pad_token_id": 1}),
    "roberta": (RobertaForSequenceClassification, RobertaConfig, {**SIZES, "pad_token_id": 1}),
    "ernie": (ErnieForSequenceClassification, ErnieConfig, {**SIZES, "pad_token_id": 1}),
    "distilbert": (DistilBertForSequenceClassification, DistilBertConfig, {**SIZES, "pad_token_id": 1}),
    "bart": (BartForConditionalGeneration, BartConfig, BART),
    "gpt": (GPTLMHeadModel, GPTConfig, {**SIZES, "pad_token_id": 1}),
}
IDS = np.array([[3, 4, 5, 6, 7, 8, 9], [8, 9, 10, 1, 1, 1, 1], [11, 12, 13, 14, 15, 1, 1]])
MASK = (IDS != 1).astype("int64")
TARGETS = np.array([[2, 20, 21, 22], [2, 23, 24, 25], [2, 26, 27, 28]])


def make_model(name: str, **config_fields) -> paddle.nn.Layer:
    """Return a model of a family in evaluation mode. Its random weights are large and the same for every call."""
    model_class, config_class, sizes = FAMILIES[name]
    paddle.seed(3)
    model = model_class(config_class(**{**sizes, **config_fields}))
    for parameter in model.parameters():  # so that attention scores differ clearly and biases are not zero
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    model.eval()
    return model


def output_and_gradients(model, batch: dict) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the output, and the gradients of a weighted sum of it by parameter name. The model's own gradients are cleared."""
    output = model(**batch)
    output = output[0] if isinstance(output, tuple) else output
    (output * paddle.linspace(-1, 1, output.shape[-1])).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    model.clear_gradients()
    return output.numpy(), gradients


def inputs(name: str) -> dict[str, paddle.Tensor]:
    """Return a batch of three rows for a model of a family. Two rows are padded."""
    batch = {"input_ids": paddle.to_tensor(IDS), "attention_mask": paddle.to_tensor(MASK)}
    return {**batch, "decoder_input_ids": paddle.to_tensor(TARGETS)} if name == "bart" else batch


def assert_same(outcome, expected) -> None:
    """Assert that two results of output_and_gradients are equal up to rounding."""
    (output, gradients), (plain_output, plain_gradients) = outcome, expected
    np.testing.assert_allclose(output, plain_output, rtol=1e-5, atol=1e-5 * np.abs(plain_output).max())
    assert gradients.keys() == plain_gradients.keys()
    # relative to the largest gradient of all: the bias of the keys has the gradient 0, so its values are rounding errors
    largest = max(np.abs(gradient).max() for gradient in plain_gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, plain_gradients[name], rtol=1e-5, atol=1e-5 * largest, err_msg=name)
