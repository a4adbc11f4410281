"""Test masked language modelling: blocks, masks, and loss and perplexity against PaddleNLP's own logits."""

import functools
import math

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.batches import IGNORE_INDEX
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.tasks.shared.evaluate import evaluate
from paddle_ft.training.step import Stepper
from tests.support.tiny_masked_lm import PIECES, make_task


@pytest.fixture
def make(tmp_path):
    """Return a function settings -> task with a small model."""
    return functools.partial(make_task, tmp_path)


def rows(*texts):
    return Rows([{"text": text} for text in texts])


def block_ids(dataset):
    return [block.tolist() for block in dataset.columns["ids"]]


def test_texts_are_joined_whole_and_cut(make):
    """Texts are joined with special tokens and without truncation; the incomplete last block is dropped, which is said."""
    texts = rows("the film", "playing. bad")
    dataset = make().encode(texts, "train")
    assert block_ids(dataset) == [[2, 8, 10, 3], [2, 5, 6, 14]]
    assert dataset.info.pop("decisions") == ["train: the last 2 of 10 tokens make no block of 4 and are left out (task.last_chunk)"]
    assert dataset.info == {"rows": 2, "texts": 2, "tokens": 10, "bad_rows": 0}
    assert dataset.rows[1] == {"text": "[CLS] playing."}
    assert block_ids(make("task.last_chunk=pad").encode(texts, "train")) == [[2, 8, 10, 3], [2, 5, 6, 14], [13, 3]]


def test_a_text_longer_than_any_model_is_not_cut(make):
    dataset = make("task.last_chunk=pad").encode(rows("film " * 2000), "train")
    assert sum(len(block) for block in block_ids(dataset)) == 2002
    assert "decisions" not in dataset.info


def test_a_last_block_of_few_tokens_is_dropped_in_silence(make):
    dataset = make().encode(rows("film " * 200), "train")
    assert dataset.info["tokens"] == 202 and sum(len(block) for block in block_ids(dataset)) == 200
    assert "decisions" not in dataset.info


def test_subsamples(make):
    texts = rows(*["the film playing"] * 50)
    task = make("task.train_chunks=10", "task.eval_chunks=3")
    assert [len(task.encode(texts, split)) for split in ("train", "validation", "test")] == [10, 3, 3]
    assert block_ids(task.encode(texts, "train")) == block_ids(make("task.train_chunks=10", "seed=9").encode(texts, "train"))


def test_a_subsample_is_drawn_from_all_texts(make):
    """Each text is one block, and its words are the seven bits of its number, so no two are equal."""
    texts = rows(*[" ".join("film" if number >> bit & 1 else "play" for bit in range(7)) for number in range(100)])
    all_blocks = block_ids(make("task.chunk_size=9").encode(texts, "train"))
    assert len(all_blocks) == len({tuple(block) for block in all_blocks}) == 100
    subsample = make("task.chunk_size=9", "task.train_chunks=10").encode(texts, "train")
    chosen = [all_blocks.index(block) for block in block_ids(subsample)]
    assert chosen == sorted(chosen) and len(set(chosen)) == 10
    assert chosen[0] < 50 < chosen[-1] and chosen != list(range(chosen[0], chosen[0] + 10))


def test_a_block_without_an_ordinary_token_is_left_out(make):
    texts = rows("[SEP] [SEP] [SEP] [SEP]", "the film playing")
    assert [2, 3, 3, 3] not in block_ids(make().encode(texts, "train"))


def test_too_little_text_is_refused(make):
    with pytest.raises(UserError, match=r"data.train: 3 tokens do not make one block of 4: .* task.last_chunk=pad"):
        make().encode(rows("the"), "train")


def test_chunks_longer_than_the_model_are_refused(make):
    with pytest.raises(UserError, match="task.chunk_size: 17 tokens, but the model has only 16 positions"):
        make("task.chunk_size=17").encode(rows("the"), "train")


def test_training_masks_are_new_and_depend_on_the_generator(make):
    task = make()
    dataset = task.encode(rows(*["the film playing good bad."] * 40), "train")
    indices = np.arange(len(dataset))
    first, second, repeated = (task.collate_fn(dataset, indices, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert first["positions"].tolist() == repeated["positions"].tolist() != second["positions"].tolist()
    assert (first["input_ids"] == repeated["input_ids"]).all()


@pytest.fixture
def train_steps(make, tmp_path):
    """Return a function settings -> (ids of each step, losses), which trains on two equal blocks for three epochs."""

    def steps(*settings):
        task = make("task.chunk_size=16", "task.mask_probability=0.5", "train.train_batch_size=1", "train.num_train_epochs=3",
                    "train.learning_rate=0.01", *settings)  # fmt: skip
        dataset = task.encode(rows(*["play film the a good bad . play film the a good bad ."] * 2), "train")
        assert len(dataset) == 2 and (dataset.columns["ids"][0] == dataset.columns["ids"][1]).all()
        task.model.train()
        stepper = Stepper(task, dataset, RunDirectory(tmp_path), World())
        try:
            results = [stepper.train_step(step)[0] for step in range(stepper.num_steps)]
        finally:
            stepper.close()
        inputs = [result.batches.batches[0]["input_ids"][0].tolist() for result in results]
        return inputs, [float(result.loss) for result in results]

    return steps


def test_a_training_can_be_repeated_exactly(train_steps):
    inputs, losses = train_steps()
    again, losses_again = train_steps()
    assert inputs == again and losses == losses_again
    other, losses_other = train_steps("seed=9")
    assert inputs != other and losses != losses_other


def test_masks_of_a_training_are_new_in_each_batch_and_epoch(train_steps):
    inputs, _ = train_steps()
    assert len(inputs) == 6
    assert len({tuple(row) for row in inputs}) == 6


def test_padding_to_a_multiple_changes_no_mask(make):
    texts = rows("the film is good", "bad", "a filmmaker playing films.", "the bad film")
    tasks = [make("task.last_chunk=pad", "task.chunk_size=5", f"train.pad_to_multiple_of={multiple}") for multiple in (1, 8)]
    for split in ("train", "validation"):
        sets = [task.encode(texts, split) for task in tasks]
        indices = np.arange(len(sets[0]))
        batches = [task.collate_fn(dataset, indices, np.random.default_rng(3)) for task, dataset in zip(tasks, sets, strict=True)]
        assert batches[0]["input_ids"].shape == (len(indices), 5) and batches[1]["input_ids"].shape == (len(indices), 8)
        assert (batches[1]["input_ids"][:, :5] == batches[0]["input_ids"]).all()
        assert (batches[1]["input_ids"][:, 5:] == 0).all() and (batches[1]["attention_mask"][:, 5:] == 0).all()
        assert (batches[1]["target_ids"] == batches[0]["target_ids"]).all()
        assert (batches[1]["positions"] == batches[0]["positions"] // 5 * 8 + batches[0]["positions"] % 5).all()
        losses = [float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()}))
                  for task, batch in zip(tasks, batches, strict=True)]  # fmt: skip
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    wide = make("task.chunk_size=4", "train.pad_to_multiple_of=100")
    assert wide.collate_fn(wide.encode(texts, "train"), np.array([0]), np.random.default_rng(0))["input_ids"].shape == (1, 16)
    metrics = [evaluate(task, dataset, "").metrics for task, dataset in zip(tasks, sets, strict=True)]
    assert metrics[0]["tokens"] == metrics[1]["tokens"] and metrics[0]["loss"] == pytest.approx(metrics[1]["loss"], rel=1e-5)


def test_evaluation_masks_do_not_depend_on_seed_batch_or_order(make):
    texts = rows(*["the film playing good bad."] * 20)
    sets = [make(f"seed={seed}").encode(texts, "validation") for seed in (1, 2)]
    for name in ("masked_ids", "labels"):
        assert [row.tolist() for row in sets[0].columns[name]] == [row.tolist() for row in sets[1].columns[name]]
    task = make()
    batch = task.collate_fn(sets[0], np.array([3, 7]), np.random.default_rng(5))
    single = task.collate_fn(sets[0], np.array([7]), np.random.default_rng(6))
    assert (batch["input_ids"][1] == single["input_ids"][0]).all()


def test_the_rates_of_the_tutorial(make):
    """The defaults are 15 % of the tokens with 80/10/10, or 20 % of the words, all replaced by the mask token."""

    def settings(*overrides):
        masking = make(*overrides).masking
        return masking.rate, masking.mask_share, masking.random_share

    assert settings() == (0.15, 0.8, 0.1)
    assert settings("task.masking=whole_word") == (0.2, 1.0, 0.0)
    assert settings("task.mask_probability=0.4", "task.replacement=[0.5, 0.25, 0.25]") == (0.4, 0.5, 0.25)


def test_a_batch_masks_whole_words(make):
    task = make("task.masking=whole_word", "task.mask_probability=0.5", "task.chunk_size=8")
    dataset = task.encode(rows(*["the filmmakers playing films."] * 30), "train")
    flat = np.array(dataset.columns["ids"]).reshape(-1)
    starts = np.array([not PIECES[i].startswith("##") for i in flat])
    batch = task.collate_fn(dataset, np.arange(len(dataset)), np.random.default_rng(0))
    chosen = np.zeros(flat.shape, dtype=bool)
    chosen[batch["positions"]] = True
    for i in range(1, len(flat)):
        if i % 8 and not starts[i]:
            assert chosen[i] == chosen[i - 1]
    assert (batch["input_ids"].reshape(-1)[batch["positions"]] == 4).all()


def test_preview_and_predictions_show_tokens(make):
    task = make()
    dataset = task.encode(rows(*["the film playing. bad"] * 3), "validation")
    assert task.preview(dataset) == (
        "input    [CLS] [MASK] film [MASK]\ntargets  the play  (at 1, 3)\n\ninput    ##ing . film [SEP]\ntargets  bad  (at 2)"
    )
    first = evaluate(task, dataset, "evaluate").predictions[0]
    assert (first["source"], first["target"]) == ("[CLS] [MASK] film [MASK]", "the play")
    assert len(first["prediction"].split()) == 2 and set(first["prediction"].split()) <= set(PIECES)


def test_the_collated_batch(make):
    task = make("task.last_chunk=pad")
    dataset = task.encode(rows("the film", "playing. bad"), "validation")
    batch = task.collate_fn(dataset, np.array([0, 2]), np.random.default_rng(0))
    labels = np.full((2, 4), IGNORE_INDEX)
    labels.reshape(-1)[batch["positions"]] = batch["target_ids"]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["input_ids"][1].tolist()[2:] == [0, 0]
    assert (labels[1, 1:] == IGNORE_INDEX).all()  # [SEP] and padding are no targets
    assert task.count_targets(batch) == len(batch["target_ids"]) == (labels != IGNORE_INDEX).sum()


def test_loss_and_perplexity_are_those_of_the_models_own_logits(make):
    """The blocks have different numbers of masks, so that a mean of block means would differ."""
    task = make("task.last_chunk=pad", "task.chunk_size=7", "task.mask_probability=0.5", "eval.eval_batch_size=2")
    dataset = task.encode(rows("the film playing good.", "bad", "a filmmaker"), "validation")
    total = count = 0
    means = []
    for ids, labels in zip(dataset.columns["masked_ids"], dataset.columns["labels"], strict=True):
        logits = task.model(paddle.to_tensor([ids]))
        token_nll = [float(-paddle.nn.functional.log_softmax(logits[0, i])[int(label)])
                for i, label in enumerate(labels) if label != IGNORE_INDEX]  # fmt: skip
        total, count = total + sum(token_nll), count + len(token_nll)
        means.append(np.mean(token_nll))
    metrics = evaluate(task, dataset, "").metrics
    assert metrics["tokens"] == count
    assert metrics["loss"] == pytest.approx(total / count, abs=2e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)
    assert abs(np.mean(means) - total / count) > 1e-4
    batch = task.collate_fn(dataset, np.arange(len(dataset)), np.random.default_rng(0))
    assert float(task.loss({k: paddle.to_tensor(v) for k, v in batch.items()})) == pytest.approx(total, rel=1e-5)


def test_evaluating_the_training_split_fixes_masks_without_changing_it(make):
    task = make()
    dataset = task.encode(rows(*["the film playing good bad."] * 20), "train")
    assert evaluate(task, dataset, "").metrics == evaluate(task, dataset, "").metrics
    assert task.baselines(dataset, dataset)["unigram"].metrics["tokens"] == evaluate(task, dataset, "").metrics["tokens"]
    assert "labels" not in dataset.columns


def test_the_unigram_baseline_by_hand(make):
    """Training has `the` 4 times and `film` twice; adding one to each of 15 entries gives 21. Special tokens do not count."""
    task = make("task.mask_probability=0.99", "task.replacement=[1.0, 0.0, 0.0]")
    train = task.encode(rows("the the", "film film", "the the"), "train")
    dataset = task.encode(rows("the film"), "validation")
    assert sorted(dataset.columns["labels"][0].tolist()) == [IGNORE_INDEX, IGNORE_INDEX, 8, 10]
    ((name, scores),) = task.baselines(dataset, train).items()
    assert name == "unigram"
    assert scores.metrics["perplexity"] == pytest.approx(math.sqrt((21 / 5) * (21 / 3)), abs=1e-4)
    assert scores.metrics["accuracy"] == 50


def test_fill_several_masks(make):
    task = make()
    paddle.seed(1)
    for parameter in task.model.parameters():
        if parameter.ndim > 1:  # larger weights, so that the guesses at the two masks differ
            parameter.set_value(paddle.randn(parameter.shape))
    (masks,) = task.fill(["the [MASK] film is [MASK] good"], 3, "")
    logits = task.model(paddle.to_tensor([[2, 8, 4, 10, 1, 4, 12, 3]]))[0]
    assert len(masks) == 2
    for position, guesses in zip((2, 5), masks, strict=True):
        probabilities = paddle.nn.functional.softmax(logits[position]).numpy()
        best = np.argsort(-probabilities)[:3]
        assert [token for token, _ in guesses] == [PIECES[i] for i in best]
        assert [p for _, p in guesses] == pytest.approx(probabilities[best].tolist(), rel=1e-5)
    assert masks[0][0][0] != masks[1][0][0]
    filled = task.predict(["the [MASK] film is [MASK] good"], "")[0]["prediction"]
    assert filled == f"the {masks[0][0][0]} film is {masks[1][0][0]} good"


def test_a_text_without_a_mask_is_refused(make):
    with pytest.raises(UserError, match=r"'the film' has no \[MASK\]"):
        make().fill(["the film"], 3, "")


@pytest.mark.parametrize(("option", "message"), [
    ("task.replacement=[0.8, 0.1]", "three shares that add up to 1"),
    ("task.replacement=[0.8, 0.1, 0.2]", "three shares that add up to 1"),
    ("task.chinese_words=jieba", "set masking to whole_word too"),
])  # fmt: skip
def test_options_that_do_not_fit(option, message):
    with pytest.raises(UserError, match=message):
        load_config("distilbert_imdb_mlm", [option])
