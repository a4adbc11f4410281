"""Test that an encoder gives the same outputs and gradients without its padding, and without outputs that are not read."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddlenlp.transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    ErnieConfig,
    ErnieForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from paddle_ft.models.architectures import architecture_of
from paddle_ft.models.cpu_layers import use_cpu_layers
from paddle_ft.models.heads import with_lstm_attention
from paddle_ft.models.recompute import recompute_activations
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


# -------------------------------------------------------------------------------- outputs that are read
DROPOUT = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
TARGETS = [1, 4, 9, 18, 28, 30]  # of the flattened batch
READ = {
    "bert": (BertForSequenceClassification, BertConfig), "distilbert": (DistilBertForSequenceClassification, DistilBertConfig),
    "roberta": (RobertaForSequenceClassification, RobertaConfig), "ernie": (ErnieForSequenceClassification, ErnieConfig),
    "bert_mlm": (BertForMaskedLM, BertConfig), "distilbert_mlm": (DistilBertForMaskedLM, DistilBertConfig),
}  # fmt: skip


def make_model(cls, config_class, **settings):
    """Return a model in training whose every parameter is random."""
    paddle.seed(0)
    model = cls(config_class(**SIZE | settings, num_labels=3, pad_token_id=0, type_vocab_size=2))
    for parameter in model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    model.train()
    return model


def compute_logits(model, kept=KEPT, packed=False):
    """Return the logits of a model through its architecture's record, and the gradient of each parameter."""
    record = architecture_of(model)
    ids = paddle.to_tensor(np.random.default_rng(1).integers(5, 40, kept.shape))
    mask = paddle.to_tensor(kept.astype(np.int64))
    if packed:
        segments, numbers = np.repeat([[0, 0, 0, 1, 1, 1, 1, 2, 2]], 4, axis=0), np.array([[0, 1, 2, 0, 1, 2, 3, 0, 1]] * 4)
        packs = (paddle.to_tensor(segments), paddle.to_tensor(numbers))
        logits = record.packed_logits(model, ids, *packs, paddle.to_tensor(TARGETS))
    elif hasattr(model, "classifier"):
        logits = record.classifier_logits(model, {"input_ids": ids, "attention_mask": mask})
    else:
        logits = record.masked_lm_logits(model, ids, mask, paddle.to_tensor(TARGETS))
    weights = np.cos(np.arange(logits.size, dtype=np.float32)).reshape(logits.shape)
    (logits * paddle.to_tensor(weights)).sum().backward()
    return logits.numpy(), {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}


def check_only_read(model, expected_shapes, **how):
    """Check logits and gradients against Paddle's layers, and the shapes that the layers' feed-forward parts see."""
    expected, expected_gradients = compute_logits(model, **how)
    model.clear_gradients()
    use_cpu_layers(model)
    shapes = input_shapes(model)
    logits, gradients = compute_logits(model, **how)
    assert shapes == expected_shapes
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=2e-5)
    assert gradients.keys() == expected_gradients.keys()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[key], rtol=1e-3, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("padding", [True, False])
def test_the_last_layer_computes_only_what_the_head_reads(name, padding):
    model = make_model(*READ[name])
    read = len(TARGETS) if name.endswith("mlm") else len(LENGTHS)
    first = [1, sum(LENGTHS), 16] if padding else [4, 9, 16]
    check_only_read(model, [first, [1, read, 16]], kept=KEPT if padding else np.ones_like(KEPT))


@pytest.mark.parametrize("name", ["bert_mlm", "distilbert_mlm"])
def test_packed_rows_too(name):
    check_only_read(make_model(*READ[name]), [[4, 9, 16], [1, len(TARGETS), 16]], packed=True)


def test_layer_norms_before_the_layers_too():
    model = make_model(*READ["bert_mlm"])
    for layer in model.sublayers():
        if isinstance(layer, nn.TransformerEncoderLayer):
            layer.normalize_before = True
    check_only_read(model, [[1, sum(LENGTHS), 16], [1, len(TARGETS), 16]])


def test_a_head_that_reads_all_tokens_gets_them():
    record = architecture_of(make_model(*READ["bert"]))
    model = make_model(with_lstm_attention(BertForSequenceClassification, record), BertConfig)
    check_only_read(model, [[1, sum(LENGTHS), 16]] * 2)


@pytest.mark.parametrize("kept", [KEPT, np.ones_like(KEPT)], ids=["padding", "no padding"])
def test_recomputed_layers_compute_only_what_is_read_too(kept):
    """The second pass of a layer has the same dropout and the same positions."""
    results = []
    for recompute in (False, True):
        model = make_model(*READ["bert"], **DROPOUT)
        use_cpu_layers(model)
        if recompute:
            recompute_activations(model)
        paddle.seed(5)
        results.append(compute_logits(model, kept))
    (logits, gradients), (again, gradients_again) = results
    np.testing.assert_array_equal(logits, again)
    assert gradients.keys() == gradients_again.keys()
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, gradients_again[key], err_msg=key)


def test_what_is_read_is_forgotten_after_the_logits():
    """An encoder that is called in another way afterwards gives all outputs."""
    model = make_model(*READ["distilbert_mlm"])
    use_cpu_layers(model)
    compute_logits(model)
    shapes = input_shapes(model)
    compute(model.distilbert)
    assert shapes == [[1, sum(LENGTHS), 16]] * 2
