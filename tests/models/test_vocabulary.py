"""Test language model heads: PaddleNLP's logits, tied weights as in the originals, saving and loading, resizing."""

import tarfile

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    GPTConfig,
    GPTLMHeadModel,
    RobertaConfig,
    RobertaForMaskedLM,
)
from safetensors.numpy import load_file

from paddle_ft.models.build import load_pretrained
from paddle_ft.models.resolve import resolve
from paddle_ft.models.vocabulary import freeze_row, input_embedding, resize_vocabulary, tie_head
from paddle_ft.system.errors import UserError
from tests.support.models import causal_lm_logits, masked_lm_logits
from tests.support.paths import FIXTURES as ARCHIVES
from tests.support.tiny_models import SIZES

MASKED = {
    "bert": (BertForMaskedLM, BertConfig),
    "distilbert": (DistilBertForMaskedLM, DistilBertConfig),
    "roberta": (RobertaForMaskedLM, RobertaConfig),
}
IDS = paddle.to_tensor([[3, 4, 5, 6, 7], [8, 9, 10, 1, 1]])
MASK = paddle.to_tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def masked_model(name, **sizes):
    paddle.seed(1)
    cls, config = MASKED[name]
    model = cls(config(**SIZES, pad_token_id=1, **sizes))
    for parameter in model.parameters():  # with biases of zero a missing one would not be noticed
        parameter.set_value(paddle.randn(parameter.shape) * 0.1)
    model.eval()
    return model


@pytest.mark.parametrize("name", MASKED)
def test_masked_logits_are_those_of_the_whole_model(name):
    model = masked_model(name)
    positions = paddle.to_tensor([1, 4, 7])
    expected = model(input_ids=IDS, attention_mask=MASK).reshape([-1, 20]).index_select(positions)
    np.testing.assert_allclose(masked_lm_logits(model, IDS, MASK, positions).numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", MASKED)
def test_padding_changes_nothing(name):
    model = masked_model(name)
    padded = masked_lm_logits(model, IDS, MASK, paddle.to_tensor([5, 6, 7]))
    alone = masked_lm_logits(model, IDS[1:, :3], MASK[1:, :3], paddle.to_tensor([0, 1, 2]))
    np.testing.assert_allclose(padded.numpy(), alone.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", MASKED)
def test_head_and_embedding_are_one_parameter_and_take_both_gradients(name):
    model = masked_model(name)
    tie_head(model, from_scratch=True)
    before = masked_lm_logits(model, IDS, MASK, paddle.to_tensor([1])).numpy()
    embedding = input_embedding(model).weight
    assert sum(list(p.shape) in ([20, 16], [16, 20]) for p in model.parameters()) == 1
    masked_lm_logits(model, IDS, MASK, paddle.to_tensor([1])).sum().backward()
    assert float(embedding.grad[15].abs().sum()) > 0  # token 15 is in no input, so this gradient comes from the head
    embedding.set_value(embedding * 2)
    assert abs(masked_lm_logits(model, IDS, MASK, paddle.to_tensor([1])).numpy() - before).max() > 0.01


def test_the_tied_distilbert_is_saved_as_plain_paddlenlp_has_it(tmp_path):
    model = masked_model("distilbert")
    tie_head(model, from_scratch=True)
    expected = masked_lm_logits(model, IDS, MASK, paddle.arange(10)).numpy()
    model.save_pretrained(str(tmp_path), safe_serialization=True)
    plain = DistilBertForMaskedLM.from_pretrained(str(tmp_path))
    plain.eval()
    np.testing.assert_allclose(plain(IDS, MASK).reshape([-1, 20]).numpy(), expected, atol=1e-6)
    again = load_pretrained("masked_lm", tmp_path)
    assert tie_head(again)
    assert not any(name == "vocab_projector.weight" for name, _ in again.named_parameters())


def test_a_projection_that_was_trained_separately_stays_separate():
    model = masked_model("distilbert")
    assert tie_head(model) is False
    assert any(name == "vocab_projector.weight" for name, _ in model.named_parameters())


def gpt(vocabulary=20):
    paddle.seed(1)
    model = GPTLMHeadModel(GPTConfig(**{**SIZES, "vocab_size": vocabulary}))
    model.eval()
    return model


def test_causal_logits_are_those_of_the_whole_model():
    model = gpt()
    positions = paddle.to_tensor([0, 3, 6])
    expected = model(IDS).reshape([-1, 20]).index_select(positions)
    np.testing.assert_allclose(causal_lm_logits(model, IDS, positions).numpy(), expected.numpy(), atol=1e-6)


def test_later_tokens_change_no_causal_logit():
    model = gpt()
    alone = causal_lm_logits(model, IDS[1:, :3], paddle.to_tensor([0, 1, 2]))
    np.testing.assert_allclose(causal_lm_logits(model, IDS, paddle.to_tensor([5, 6, 7])).numpy(), alone.numpy(), atol=1e-5)


def test_a_frozen_row_takes_no_gradient_from_embedding_or_head():
    model = gpt()
    weight = model.gpt.embeddings.word_embeddings.weight
    freeze_row(weight, 1)
    causal_lm_logits(model, IDS, paddle.to_tensor([0, 8, 9])).square().sum().backward()
    gradient = abs(weight.grad.numpy()).sum(axis=1)
    assert gradient[1] == 0
    assert (np.delete(gradient, 1) > 0).all()


def test_spare_rows_of_a_padded_vocabulary_become_the_mean_of_the_known_ones():
    """PaddleNLP's gpt2-medium has 50,304 rows for 50,257 tokens."""
    model = gpt(24)
    old = model.gpt.embeddings.word_embeddings.weight.numpy()
    resize_vocabulary(model, 23, known=20)
    new = model.gpt.embeddings.word_embeddings.weight
    assert model.lm_head.weight is new
    assert (new.numpy()[:20] == old[:20]).all()
    np.testing.assert_allclose(new.numpy()[20:23], np.tile(old[:20].mean(axis=0), (3, 1)), rtol=1e-5, atol=1e-7)
    assert (new.numpy()[23] == old[23]).all()
    resize_vocabulary(model, 26, known=23)
    assert model.lm_head.weight.shape == [26, 16]
    assert model.config.vocab_size == 26


# ---------------------------------------------------------------------------------------------------- Hugging Face's originals


@pytest.fixture
def original(tmp_path, monkeypatch):
    """Return a function (fixture, head type) -> (our model, inputs, outputs and gradients that transformers computed)."""
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))

    def load(name, head_type):
        family = name.split("/")[0]
        with tarfile.open(ARCHIVES / f"{family}.tar.xz") as archive:
            archive.extractall(tmp_path / family, filter="data")
        directory = resolve(str(tmp_path / name), head_type)
        model = load_pretrained(head_type, directory)
        tie_head(model)
        model.eval()
        files = [tmp_path / name / f"{stem}.safetensors" for stem in ("reference_outputs", "gradients")]
        return model, {key: value for file in files if file.exists() for key, value in load_file(str(file)).items()}

    return load


def check_against(reference, logits, positions, embedding):
    """Compare the logits, and the embedding's gradient for the reference's loss, which passes through head and embedding."""
    np.testing.assert_allclose(logits.numpy(), reference["logits"].reshape([-1, logits.shape[-1]])[positions], atol=2e-5)
    labels = paddle.arange(len(positions)) % logits.shape[-1]
    paddle.nn.functional.cross_entropy(logits, labels).backward()
    (expected,) = (value for name, value in reference.items() if name.endswith(("word_embeddings.weight", "wte.weight")))
    np.testing.assert_allclose(embedding.grad.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_an_original_masked_model_gives_its_own_logits_and_gradients(original, family):
    model, reference = original(f"{family}/masked_lm", "masked_lm")
    ids, mask = (paddle.to_tensor(reference[f"input.{name}"].astype("int64")) for name in ("input_ids", "attention_mask"))
    positions = np.flatnonzero(mask.numpy().reshape(-1))
    logits = masked_lm_logits(model, ids, mask, paddle.to_tensor(positions))
    check_against(reference, logits, positions, input_embedding(model).weight)


def test_an_original_gpt2_gives_its_own_logits_and_gradients(original):
    model, reference = original("gpt2/causal_lm", "causal_lm")
    positions = np.flatnonzero(reference["input.attention_mask"].reshape(-1))
    logits = causal_lm_logits(model, paddle.to_tensor(reference["input.input_ids"].astype("int64")), paddle.to_tensor(positions))
    check_against(reference, logits, positions, input_embedding(model).weight)


def test_a_gpt2_with_a_separate_head_is_refused(original):
    with pytest.raises(UserError, match="the head differs from the embedding"):
        original("gpt2/causal_lm-head_untied", "causal_lm")


def test_a_converted_gpt2_with_a_separate_head_is_refused_by_the_users_name_for_it(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt", "architectures": ["GPTForTokenClassification"]}')
    message = "model.pretrained: org/name: its output head differs from its input embedding, .* cannot be trained here"
    with pytest.raises(UserError, match=message):
        load_pretrained("causal_lm", tmp_path, name="org/name")
