"""Test causal language modelling: examples, targets, the split, added tokens, loss and perplexity."""

import functools
import json
import math

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import GPTLMHeadModel, GPTTokenizer

from paddle_ft.models.vocabulary import input_embedding
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.shared.evaluate import evaluate
from tests.support.tasks import reload_model
from tests.support.tiny_causal_lm import BOS, EOS, PAD, make_task, save_checkpoint, text_ids, text_rows


@pytest.fixture
def start(tmp_path):
    return save_checkpoint(tmp_path / "start")


@pytest.fixture
def make(start, tmp_path):
    """Return a function settings -> task with the model of the checkpoint."""
    return functools.partial(make_task, start, tmp_path)


def test_an_example_and_its_targets(make):
    task = make()
    dataset = task.encode(text_rows("abc", "a"), "train")
    batch = task.collate_fn(dataset, np.array([0, 1]), np.random.default_rng(0))
    a, b, c = text_ids("abc")
    assert batch["input_ids"].tolist() == [[BOS, a, b, c, EOS], [BOS, a, EOS, PAD, PAD]]
    assert batch["positions"].tolist() == [0, 1, 2, 3, 5, 6]  # nothing is predicted after <EOS>, and padding is never a target
    assert batch["target_ids"].tolist() == [a, b, c, EOS, a, EOS]
    assert task.count_targets(batch) == 6


def test_the_preview_shows_inputs_and_targets_and_cuts_long_ones(make, monkeypatch):
    task = make()
    dataset = task.encode(text_rows("abc", "a b"), "train")
    assert task.preview(dataset) == (
        "input    <BOS> a b c <EOS>\ntargets  a b c <EOS>\n\ninput    <BOS> a Ġ b <EOS>\ntargets  a Ġ b <EOS>"
    )
    monkeypatch.setattr(task, "preview_length", 4)
    assert task.preview(dataset, 1) == "input    <BOS> a b c ...\ntargets  a b c <EOS>"


def test_padding_to_a_multiple_adds_no_target(make):
    task, padded = make(), make("train.pad_to_multiple_of=4")
    dataset = task.encode(text_rows("abc", "a"), "train")
    plain, wide = (task.collate_fn(dataset, np.array([0, 1]), np.random.default_rng(0)) for task in (task, padded))
    assert wide["input_ids"].shape == (2, 8)
    assert (wide["input_ids"][:, :5] == plain["input_ids"]).all() and (wide["input_ids"][:, 5:] == PAD).all()
    assert wide["positions"].tolist() == [0, 1, 2, 3, 8, 9]
    assert (wide["target_ids"] == plain["target_ids"]).all()
    losses = [float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()})) for batch in (plain, wide)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_text_that_is_cut_has_no_end(make):
    dataset = make().encode(text_rows("abcdefghij"), "train")
    assert dataset.columns["ids"][0].tolist() == [BOS, *text_ids("abcdefg")]
    assert dataset.info["truncated_text"] == 1


def test_packed_blocks_have_all_tokens(make):
    dataset = make("task.packed=true").encode(text_rows("abcdefghij", "k"), "train")
    assert [ids.tolist() for ids in dataset.columns["ids"]] == [
        [BOS, *text_ids("abcdefg")], [*text_ids("hij"), EOS, BOS, *text_ids("k"), EOS],
    ]  # fmt: skip
    assert dataset.info["texts"] == 2
    assert dataset.rows[1] == {"text": "hij<EOS><BOS>k<EOS>"}


def test_a_last_block_of_one_token_is_left_out_as_it_predicts_nothing(make):
    dataset = make("task.packed=true").encode(text_rows("abcdefg"), "train")
    assert [ids.tolist() for ids in dataset.columns["ids"]] == [[BOS, *text_ids("abcdefg")]]
    assert dataset.info["rows"] == 1


def test_bos_and_eos_of_a_text_are_not_doubled(make):
    assert make().example({"text": " <BOS> abc <EOS>"}) == "<BOS>abc<EOS>"


def test_metadata_comes_before_the_text_in_the_configured_order(make):
    task = make("task.metadata=[genres, title]")
    row = {"text": "abc", "title": "Animal Farm", "genres": "Satire, Fiction", "author": "Orwell"}
    assert task.example(row) == "<BOS>Genres: Satire, Fiction. Title: Animal Farm. Summary: abc<EOS>"
    assert task.example({**row, "genres": ""}) == "<BOS>Title: Animal Farm. Summary: abc<EOS>"


def test_training_texts_alone_are_split_70_20_10_for_every_seed(make):
    texts_to_split = text_rows(*[f"text {i}" for i in range(100)])
    parts = make().prepare_rows({"train": texts_to_split})
    assert {split: len(part) for split, part in parts.items()} == {"train": 70, "validation": 20, "test": 10}
    texts = [row["text"] for part in parts.values() for row in part.rows]
    assert sorted(texts) == sorted(row["text"] for row in texts_to_split.rows)
    order = np.random.default_rng(2022).permutation(100)  # at random, because files are often sorted
    assert [row["text"] for row in parts["test"].rows] == [f"text {i}" for i in order[:10]]
    assert [row["text"] for row in parts["validation"].rows] == [f"text {i}" for i in order[10:30]]
    again = make("seed=7").prepare_rows({"train": texts_to_split})
    assert [row["text"] for part in again.values() for row in part.rows] == texts


def test_configured_splits_are_not_changed(make):
    rows = {"train": text_rows("a"), "validation": text_rows("b")}
    assert make().prepare_rows(rows) is rows


def test_a_split_that_leaves_nothing_to_train_on(make):
    with pytest.raises(UserError, match="of 1 texts, none is left to train on"):
        make("task.test_share=0.9").prepare_rows({"train": text_rows("a")})


def test_the_texts_in_the_run_directory(make):
    task = make()
    task.encode(text_rows("abc", "two\nlines"), "train")
    task.encode(text_rows("d"), "validation")
    assert task.run_files() == {"train.txt": "<BOS>abc<EOS>\n<BOS>two lines<EOS>\n", "valid.txt": "<BOS>d<EOS>\n"}


# ---------------------------------------------------------------------------------------------------- added tokens
def test_new_rows_are_the_mean_and_the_rest_stays(make, start):
    old = GPTLMHeadModel.from_pretrained(str(start)).gpt.embeddings.word_embeddings.weight.numpy()
    new = make().model.gpt.embeddings.word_embeddings.weight.numpy()
    assert new.shape == (260, 16)
    assert (new[:257] == old).all()
    np.testing.assert_allclose(new[257:], np.tile(old.mean(axis=0), (3, 1)), rtol=1e-5, atol=1e-8)


def test_the_padding_row_takes_no_gradient_the_other_new_rows_do(make):
    task = make()
    weight = task.model.gpt.embeddings.word_embeddings.weight
    batch = task.collate_fn(task.encode(text_rows("abc", "a"), "train"), np.array([0, 1]), np.random.default_rng(0))
    task.loss({name: paddle.to_tensor(value) for name, value in batch.items()}).backward()
    gradient = abs(weight.grad.numpy()).sum(axis=1)
    assert gradient[PAD] == 0
    assert (gradient[[BOS, EOS]] > 0).all()


def test_the_vocabulary_survives_save_and_load_in_plain_paddlenlp(make, tmp_path):
    task = make()
    task.bundle.save(tmp_path / "saved")
    plain = GPTLMHeadModel.from_pretrained(str(tmp_path / "saved"))
    plain.eval()
    ids = [BOS, *text_ids("abc")]
    expected = task.model(paddle.to_tensor([ids])).numpy()
    np.testing.assert_allclose(plain(paddle.to_tensor([ids])).numpy(), expected, atol=1e-6)
    settings = plain.config.bos_token_id, plain.config.eos_token_id, plain.config.pad_token_id, plain.config.vocab_size
    assert settings == (BOS, EOS, PAD, 260)
    tokenizer = GPTTokenizer.from_pretrained(str(tmp_path / "saved"))
    assert tokenizer("<BOS>abc<EOS>")["input_ids"] == [*ids, EOS]
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<BOS>", "<EOS>", "<PAD>")
    again = make()
    reload_model(again, tmp_path / "saved")
    assert again.fast_tokenizer.encode("<BOS>abc<EOS>").ids == [*ids, EOS]
    assert input_embedding(again.model).weight.shape == [260, 16]


def test_an_untied_head_is_refused(make, start):
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps({**config, "architectures": ["GPTForTokenClassification"]}))
    with pytest.raises(UserError, match="its output head differs from its input embedding"):
        make()


def test_flash_attention_is_refused(make, start):
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps({**config, "use_flash_attention": True}))
    with pytest.raises(UserError, match="ignores the attention mask: leave it off"):
        make()


def test_texts_longer_than_the_model_are_refused(make):
    with pytest.raises(UserError, match="task.max_text_length: 33 tokens, but the model has only 32 positions"):
        make("task.max_text_length=33").encode(text_rows("a"), "train")


# ---------------------------------------------------------------------------------------------------- loss and perplexity
def test_loss_and_perplexity_are_those_of_the_models_own_logits(make):
    """The texts differ much in length, so that a mean of means, or padding counted as targets, would be noticed."""
    task = make("eval.eval_batch_size=2")
    dataset = task.encode(text_rows("abcdef", "a", "bb"), "validation")
    nll, count = [], 0
    for i in range(3):
        ids = dataset.columns["ids"][i]
        logits = task.model(paddle.to_tensor([ids.tolist()]))[0]
        token_nll = [-paddle.nn.functional.log_softmax(logits[t])[int(ids[t + 1])].item() for t in range(len(ids) - 1)]
        nll, count = [*nll, sum(token_nll)], count + len(token_nll)
    metrics = evaluate(task, dataset, "").metrics
    assert metrics["tokens"] == count == 12
    assert metrics["loss"] == pytest.approx(sum(nll) / count, abs=2e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(sum(nll) / count), rel=1e-4)


def test_the_unigram_baseline_by_hand(make):
    """The training targets are a, a and <EOS>. With one added for each of 260 entries the counts sum up to 263."""
    task = make()
    train, dataset = task.encode(text_rows("aa"), "train"), task.encode(text_rows("ab"), "validation")
    ((name, scores),) = task.baselines(dataset, train).items()
    assert name == "unigram"
    expected = ((263 / 3) * (263 / 1) * (263 / 2)) ** (1 / 3)
    assert scores.metrics["perplexity"] == pytest.approx(expected, rel=1e-5)
