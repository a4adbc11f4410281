"""Masked language modelling: blocks and masks by hand, the loss and the perplexity against PaddleNLP's own logits."""

import json
import math

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDir
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.tasks import find_task
from paddle_ft.tasks.masked_lm.masking import IGNORE
from paddle_ft.tasks.shared.evaluate import evaluate
from paddle_ft.training.step import Stepper
from tests.support.tasks import give_model, reload_model

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "the", "a", "film", "##maker", "good", "bad", "."]
SIZES = (
    "{model_type: distilbert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32,"
    " max_position_embeddings: 16, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}"
)


@pytest.fixture
def make(tmp_path):
    """Options -> the task with a small model."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))

    def build(*more):
        config = load_config("distilbert_imdb_mlm", [
            "model.pretrained=null", f"model.config={SIZES}", f"model.tokenizer={tmp_path / 'words'}", "data.cache=false",
            "task.chunk_size=4", "task.train_chunks=null", "task.eval_chunks=null", "eval.bootstrap_samples=100", *more,
        ])  # fmt: skip
        task = find_task("masked_lm")(config)
        paddle.seed(1)
        give_model(task, tmp_path / "tokenizer", None)
        task.model.eval()
        return task

    return build


def rows(*texts):
    return Rows([{"text": text} for text in texts])


def ids(dataset):
    return [block.tolist() for block in dataset.columns["ids"]]


def test_texts_are_joined_whole_and_cut(make):
    """[CLS] the film [SEP] [CLS] playing . bad [SEP]: nothing is truncated, special tokens stay, the rest is dropped."""
    texts = rows("the film", "playing. bad")
    dataset = make().encode(texts, "train")
    assert ids(dataset) == [[2, 8, 10, 3], [2, 5, 6, 14]]
    assert dataset.info == {"rows": 2, "texts": 2, "tokens": 10, "bad_rows": 0}
    assert dataset.rows[1] == {"text": "[CLS] playing."}
    assert ids(make("task.last_chunk=pad").encode(texts, "train")) == [[2, 8, 10, 3], [2, 5, 6, 14], [13, 3]]


def test_a_text_longer_than_any_model_is_not_cut(make):
    dataset = make("task.last_chunk=pad").encode(rows("film " * 2000), "train")
    assert sum(len(block) for block in ids(dataset)) == 2002


def test_subsamples(make):
    texts = rows(*["the film playing"] * 50)
    task = make("task.train_chunks=10", "task.eval_chunks=3")
    assert [len(task.encode(texts, split)) for split in ("train", "validation", "test")] == [10, 3, 3]
    assert ids(task.encode(texts, "train")) == ids(make("task.train_chunks=10", "seed=9").encode(texts, "train"))


def test_a_subsample_is_drawn_from_all_texts(make):
    """A text a block, and no two alike: the seven bits of their numbers as words."""
    texts = rows(*[" ".join("film" if number >> place & 1 else "play" for place in range(7)) for number in range(100)])
    every = ids(make("task.chunk_size=9").encode(texts, "train"))
    assert len(every) == len({tuple(block) for block in every}) == 100
    chosen = [every.index(block) for block in ids(make("task.chunk_size=9", "task.train_chunks=10").encode(texts, "train"))]
    assert chosen == sorted(chosen) and len(set(chosen)) == 10
    assert chosen[0] < 50 < chosen[-1] and chosen != list(range(chosen[0], chosen[0] + 10))


def test_a_block_without_an_ordinary_token_is_left_out(make):
    texts = rows("[SEP] [SEP] [SEP] [SEP]", "the film playing")
    assert [2, 3, 3, 3] not in ids(make().encode(texts, "train"))


def test_too_little_text_is_refused(make):
    with pytest.raises(UserError, match=r"data.train: 3 tokens do not make one block of 4: .* task.last_chunk=pad"):
        make().encode(rows("the"), "train")


def test_chunks_longer_than_the_model_are_refused(make):
    with pytest.raises(UserError, match="task.chunk_size: 17 tokens, but the model has only 16 positions"):
        make("task.chunk_size=17").encode(rows("the"), "train")


def test_training_masks_are_fresh_and_follow_the_generator(make):
    task = make()
    dataset = task.encode(rows(*["the film playing good bad."] * 40), "train")
    everything = np.arange(len(dataset))
    one, two, again = (task.collate_fn(dataset, everything, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert one["positions"].tolist() == again["positions"].tolist() != two["positions"].tolist()
    assert (one["input_ids"] == again["input_ids"]).all()


@pytest.fixture
def take(make, tmp_path):
    """Options -> (what each step's model sees, its loss) of a training of two blocks, alike, one a step, three epochs."""

    def steps(*more):
        task = make("task.chunk_size=16", "task.mask_probability=0.5", "train.train_batch_size=1", "train.num_train_epochs=3",
                    "train.learning_rate=0.01", *more)  # fmt: skip
        dataset = task.encode(rows(*["play film the a good bad . play film the a good bad ."] * 2), "train")
        assert len(dataset) == 2 and (dataset.columns["ids"][0] == dataset.columns["ids"][1]).all()
        task.model.train()
        stepper = Stepper(task, dataset, RunDir(tmp_path), World())
        try:
            done = [stepper.train_step(step)[0] for step in range(stepper.num_steps)]
        finally:
            stepper.close()
        return [one.batches.batches[0]["input_ids"][0].tolist() for one in done], [float(one.loss) for one in done]

    return steps


def test_a_training_can_be_repeated_exactly_masks_and_losses(take):
    seen, losses = take()
    again, losses_again = take()
    assert seen == again and losses == losses_again
    other, losses_other = take("seed=9")
    assert seen != other and losses != losses_other


def test_masks_of_a_training_are_fresh_in_each_batch_and_epoch(take):
    seen, _ = take()
    assert len(seen) == 6
    assert len({tuple(row) for row in seen}) == 6


def test_padding_to_a_multiple_changes_no_mask(make):
    texts = rows("the film is good", "bad", "a filmmaker playing films.", "the bad film")
    tasks = [make("task.last_chunk=pad", "task.chunk_size=5", f"train.pad_to_multiple_of={multiple}") for multiple in (1, 8)]
    for split in ("train", "validation"):
        sets = [task.encode(texts, split) for task in tasks]
        every = np.arange(len(sets[0]))
        batches = [task.collate_fn(dataset, every, np.random.default_rng(3)) for task, dataset in zip(tasks, sets, strict=True)]
        assert batches[0]["input_ids"].shape == (len(every), 5) and batches[1]["input_ids"].shape == (len(every), 8)
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


def test_evaluation_masks_are_fixed_whatever_seed_batch_and_order(make):
    texts = rows(*["the film playing good bad."] * 20)
    sets = [make(f"seed={seed}").encode(texts, "validation") for seed in (1, 2)]
    for name in ("seen", "labels"):
        assert [row.tolist() for row in sets[0].columns[name]] == [row.tolist() for row in sets[1].columns[name]]
    task = make()
    batch = task.collate_fn(sets[0], np.array([3, 7]), np.random.default_rng(5))
    single = task.collate_fn(sets[0], np.array([7]), np.random.default_rng(6))
    assert (batch["input_ids"][1] == single["input_ids"][0]).all()


def test_the_rates_of_the_tutorial(make):
    """15 % of the tokens with 80/10/10, 20 % of the words with the mask token alone, unless the options say otherwise."""
    def settings(*more):
        masking = make(*more).masking
        return masking.rate, masking.to_mask, masking.to_random

    assert settings() == (0.15, 0.8, 0.1)
    assert settings("task.masking=whole_word") == (0.2, 1.0, 0.0)
    assert settings("task.mask_probability=0.4", "task.replacement=[0.5, 0.25, 0.25]") == (0.4, 0.5, 0.25)


def test_whole_words_reach_the_batch(make):
    task = make("task.masking=whole_word", "task.mask_probability=0.5", "task.chunk_size=8")
    dataset = task.encode(rows(*["the filmmakers playing films."] * 30), "train")
    starts = np.array(dataset.columns["starts"])
    flat = np.array(dataset.columns["ids"]).reshape(-1)
    assert starts.reshape(-1).tolist() == [not PIECES[i].startswith("##") for i in flat]
    batch = task.collate_fn(dataset, np.arange(len(dataset)), np.random.default_rng(0))
    chosen = np.zeros(flat.shape, dtype=bool)
    chosen[batch["positions"]] = True
    for i in range(1, len(flat)):
        if i % 8 and not starts.reshape(-1)[i]:
            assert chosen[i] == chosen[i - 1]
    assert (batch["input_ids"].reshape(-1)[batch["positions"]] == 4).all()


def test_the_collated_batch(make):
    task = make("task.last_chunk=pad")
    dataset = task.encode(rows("the film", "playing. bad"), "validation")
    batch = task.collate_fn(dataset, np.array([0, 2]), np.random.default_rng(0))
    labels = np.full((2, 4), IGNORE)
    labels.reshape(-1)[batch["positions"]] = batch["target_ids"]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["input_ids"][1].tolist()[2:] == [0, 0]
    assert (labels[1, 1:] == IGNORE).all()  # [SEP] and padding are no targets
    assert task.count_targets(batch) == len(batch["target_ids"]) == (labels != IGNORE).sum()


def test_loss_and_perplexity_are_those_of_the_models_own_logits(make):
    """Blocks with different numbers of masks, so that a mean of means would differ."""
    task = make("task.last_chunk=pad", "task.chunk_size=7", "task.mask_probability=0.5", "eval.eval_batch_size=2")
    dataset = task.encode(rows("the film playing good.", "bad", "a filmmaker"), "validation")
    total = count = 0
    means = []
    for seen, labels in zip(dataset.columns["seen"], dataset.columns["labels"], strict=True):
        logits = task.model(paddle.to_tensor([seen]))
        each = [float(-paddle.nn.functional.log_softmax(logits[0, i])[int(label)])
                for i, label in enumerate(labels) if label != IGNORE]  # fmt: skip
        total, count = total + sum(each), count + len(each)
        means.append(np.mean(each))
    metrics = evaluate(task, dataset, "").metrics
    assert metrics["tokens"] == count
    assert metrics["loss"] == pytest.approx(total / count, abs=2e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)
    assert abs(np.mean(means) - total / count) > 1e-4
    batch = task.collate_fn(dataset, np.arange(len(dataset)), np.random.default_rng(0))
    assert float(task.loss({k: paddle.to_tensor(v) for k, v in batch.items()})) == pytest.approx(total, rel=1e-5)


def test_evaluating_the_training_split_fixes_its_masks_and_leaves_it_as_it_was(make):
    task = make()
    dataset = task.encode(rows(*["the film playing good bad."] * 20), "train")
    assert evaluate(task, dataset, "").metrics == evaluate(task, dataset, "").metrics
    assert task.baselines(dataset, dataset)["unigram"].metrics["tokens"] == evaluate(task, dataset, "").metrics["tokens"]
    assert "labels" not in dataset.columns


def test_the_unigram_baseline_by_hand(make):
    """Training tokens: the x 4, film x 2; 15 entries with one added: 21. Special tokens do not count."""
    task = make("task.mask_probability=0.99", "task.replacement=[1.0, 0.0, 0.0]")
    train = task.encode(rows("the the", "film film", "the the"), "train")
    dataset = task.encode(rows("the film"), "validation")
    assert sorted(dataset.columns["labels"][0].tolist()) == [IGNORE, IGNORE, 8, 10]
    ((name, scores),) = task.baselines(dataset, train).items()
    assert name == "unigram"
    assert scores.metrics["perplexity"] == pytest.approx(math.sqrt((21 / 5) * (21 / 3)), abs=1e-4)
    assert scores.metrics["accuracy"] == 50


def test_fill_several_masks(make):
    task = make()
    paddle.seed(1)
    for parameter in task.model.parameters():
        if parameter.ndim > 1:  # larger weights, for guesses that differ from place to place
            parameter.set_value(paddle.randn(parameter.shape))
    (masks,) = task.fill(["the [MASK] film is [MASK] good"], 3, "")
    logits = task.model(paddle.to_tensor([[2, 8, 4, 10, 1, 4, 12, 3]]))[0]
    assert len(masks) == 2
    for place, guesses in zip((2, 5), masks, strict=True):
        probabilities = paddle.nn.functional.softmax(logits[place]).numpy()
        best = np.argsort(-probabilities)[:3]
        assert [token for token, _ in guesses] == [PIECES[i] for i in best]
        assert [p for _, p in guesses] == pytest.approx(probabilities[best].tolist(), rel=1e-5)
    assert masks[0][0][0] != masks[1][0][0]
    filled = task.predict(["the [MASK] film is [MASK] good"], "")[0]["prediction"]
    assert filled == f"the {masks[0][0][0]} film is {masks[1][0][0]} good"


def test_a_text_without_a_mask_is_refused(make):
    with pytest.raises(UserError, match=r"'the film' holds no \[MASK\]"):
        make().fill(["the film"], 3, "")


@pytest.mark.parametrize(("option", "message"), [
    ("task.replacement=[0.8, 0.1]", "three shares that add up to 1"),
    ("task.replacement=[0.8, 0.1, 0.2]", "three shares that add up to 1"),
    ("task.chinese_words=jieba", "set masking to whole_word too"),
])  # fmt: skip
def test_options_that_do_not_fit(option, message):
    with pytest.raises(UserError, match=message):
        load_config("distilbert_imdb_mlm", [option])


def test_a_whole_run_and_what_comes_after(tmp_path, make, capsys):
    """Trains, keeps the lowest perplexity, fills masks with both models, and hands its encoder on to a classifier."""
    from paddle_ft import cli
    from paddle_ft.models.build import load_pretrained
    from paddle_ft.models.vocabulary import input_embedding
    from paddle_ft.training import run as session

    start = tmp_path / "start"
    make().bundle.save(start)
    (tmp_path / "data.jsonl").write_text(json.dumps({"text": "the good film. playing a bad film"}) + "\n" * 1)
    config = load_config("distilbert_imdb_mlm", [
        f"output_dir={tmp_path / 'run'}", "device=cpu", f"model.pretrained={start}", "data.source=null",
        f"data.train={tmp_path / 'data.jsonl'}", f"data.validation={tmp_path / 'data.jsonl'}", "data.test=null",
        "data.cache=false", "task.chunk_size=5", "task.train_chunks=null", "task.eval_chunks=null",
        "task.mask_probability=0.4", "train.train_batch_size=2", "train.num_train_epochs=30", "train.learning_rate=0.01",
        "train.logging_steps=10", "eval.bootstrap_samples=100",
    ])  # fmt: skip
    run = session.train(config)
    results = run.results()
    measured = [e["perplexity"] for e in run.events() if e["event"] == "eval"]
    assert len(measured) == 31  # before training and after each epoch
    assert results["best"]["value"] == min(measured[1:])
    assert results["metrics"]["validation"]["perplexity"] == min(measured[1:]) < measured[0]
    assert results["baseline"]["name"] == "unigram"
    capsys.readouterr()
    assert cli.main(["fill-mask", str(run.path), "the [MASK] film", "a [MASK] [MASK]", "--json", "--top", "2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [len(one["after"]) for one in shown] == [1, 2]
    before = make().fill(["the [MASK] film"], 2, "")[0][0]
    assert [g["token"] for g in shown[0]["before"][0]] == [token for token, _ in before]
    classifier = load_pretrained("sequence_classification", run / "best")
    embedding = find_task("masked_lm")(config)
    reload_model(embedding, run / "best")
    assert (input_embedding(classifier).weight == input_embedding(embedding.model).weight).all()
