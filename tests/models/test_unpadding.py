"""Test that an encoder without its padding gives the outputs and gradients that it gives with it, and when padding is left out."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddlenlp.transformers import BartConfig, BartModel, BertConfig, BertModel, DistilBertConfig, DistilBertModel

from paddle_ft.models.cpu_layers import use_cpu_layers
from paddle_ft.models.unpadding import without_padding

LENGTHS = [9, 3, 1, 5]
KEPT = np.arange(9) < np.array(LENGTHS)[:, None]
SIZE = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
MODELS = {
    "bert": lambda: BertModel(BertConfig(**SIZE)),
    "distilbert": lambda: DistilBertModel(DistilBertConfig(**SIZE)),
    "bart": lambda: BartModel(
        BartConfig(vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, dropout=0.0,
                   decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, attention_dropout=0.0,
                   activation_dropout=0.0, max_position_embeddings=32)
    ),
}  # fmt: skip


def compute(model) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a model's output at the positions that are not padding, and the gradient of each parameter."""
    ids = np.random.default_rng(1).integers(5, 40, KEPT.shape)
    output = model(paddle.to_tensor(ids), attention_mask=paddle.to_tensor(KEPT.astype(np.int64)))
    output = output[0] if isinstance(output, tuple) else output
    weights = np.cos(np.arange(output.size, dtype=np.float32)).reshape(output.shape) * KEPT[..., None]
    (output * paddle.to_tensor(weights)).sum().backward()
    return output.numpy()[KEPT], {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}


def input_shapes(model) -> list[list[int]]:
    """Return a list to which the shape of each input of the encoder layers' feed-forward part is added."""
    shapes = []
    for layer in model.sublayers():
        if isinstance(layer, nn.TransformerEncoderLayer):
            layer.linear1.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    return shapes


@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_gradients_do_not_change(name):
    paddle.seed(0)
    model = MODELS[name]()
    for parameter in model.parameters():  # biases and layer norms begin with 0 and 1, which hides mistakes
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    model.train()
    expected, expected_gradients = compute(model)
    model.clear_gradients()
    use_cpu_layers(model)
    shapes = input_shapes(model)
    output, gradients = compute(model)
    assert shapes == [[1, sum(LENGTHS), 16]] * 2, "the layers must not see the padding"
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[key], rtol=1e-3, atol=2e-5, err_msg=key)


def test_evaluation_computes_the_padding_too():
    model = MODELS["bert"]()
    use_cpu_layers(model)
    shapes = input_shapes(model)
    model.train()
    compute(model)
    model.eval()
    with paddle.no_grad():
        model(paddle.ones([4, 9], "int64"), attention_mask=paddle.to_tensor(KEPT.astype(np.int64)))
    assert shapes == [[1, sum(LENGTHS), 16]] * 2 + [[4, 9, 16]] * 2


def additive(kept):
    return paddle.to_tensor((1.0 - np.asarray(kept, dtype=np.float32)) * -1e4)


def test_padding_is_left_out_where_there_is_enough_and_the_mask_hides_nothing_else():
    assert without_padding(additive(KEPT[:, None, None])) is not None
    assert without_padding(None) is None
    assert without_padding(additive(np.ones((4, 1, 1, 9)))) is None, "nothing to leave out"
    little = np.ones((4, 1, 1, 9))
    little[0, 0, 0, -1] = 0  # 1 of 36 positions
    assert without_padding(additive(little)) is None
    assert without_padding(additive(np.tril(np.ones((9, 9)))[None, None])) is None, "a causal mask"
    empty = KEPT[:, None, None].copy()
    empty[2] = False
    assert without_padding(additive(empty)) is None, "a row without any position has nothing to attend to"


def test_what_is_taken_out_is_put_back_in_its_place():
    unpadded = without_padding(additive(KEPT[:, None, None]))
    x = paddle.randn([4, 9, 3])
    rows = unpadded.take_out(x)
    np.testing.assert_array_equal(rows.numpy()[0], x.numpy()[KEPT])
    np.testing.assert_array_equal(unpadded.put_back(rows).numpy(), x.numpy() * KEPT[..., None])
