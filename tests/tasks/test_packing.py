"""Test task.packing: the loss and gradients of padded rows, no row that sees another, and runs that resume to the bit."""

import functools
import shutil

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.models.compile import compile_stacks
from paddle_ft.system.errors import UserError
from paddle_ft.training import run as training_run
from tests.support import tiny_causal_lm, tiny_masked_lm
from tests.support.processes import computed_events
from tests.support.tiny_runs import read_weights

TEXTS = ["the film", "playing. bad", "a good film. the filmmaker plays", "good", "a bad film",
         "the film plays a good film. a bad bad"]  # fmt: skip
INDICES = np.array([4, 0, 2, 1, 5, 3])


def masked_lm(folder, model_type, *settings):
    """Return a task with a model of two layers, whose weights are large, and six training rows of 3 to 12 tokens."""
    task = tiny_masked_lm.make_task(folder, "task.packing=true", "task.chunk_size=12", f"model.config.model_type={model_type}",
                                    "model.config.num_hidden_layers=2", "model.config.max_position_embeddings=20",
                                    *settings)  # fmt: skip
    return spread(task), task.encode(Rows([{"text": text} for text in TEXTS]), "train")


def causal_lm(folder, _, *settings):
    start = folder / "start"
    if not start.exists():
        tiny_causal_lm.save_checkpoint(start)
    task = tiny_causal_lm.make_task(start, folder, "task.packing=true", "task.max_text_length=12", *settings)
    return spread(task), task.encode(tiny_causal_lm.text_rows("ab", "abcd", "abcdefghij", "a", "cde", "efghabcdab"), "train")


def spread(task):
    """Make weights large, so that attention and positions matter."""
    paddle.seed(3)
    for parameter in task.model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    return task


FAMILIES = {"gpt": causal_lm, "bert": masked_lm, "distilbert": masked_lm, "roberta": masked_lm}


def loss_and_gradients(task, batch):
    loss = task.loss({name: paddle.to_tensor(value) for name, value in batch.items()})
    loss.backward()
    gradients = {name: p.grad.numpy() for name, p in task.model.named_parameters() if p.grad is not None}
    task.model.clear_gradients()
    return float(loss), gradients


def batches(task, dataset):
    """Return the same rows padded and packed."""
    return [make(dataset, INDICES, np.random.default_rng(1)) for make in (task.collate_fn, task.train_batch)]


def assert_same_loss(task, dataset):
    padded, packed = batches(task, dataset)
    assert packed["input_ids"].size < 0.75 * padded["input_ids"].size
    assert sorted(packed["target_ids"]) == sorted(padded["target_ids"])
    (loss, gradients), (packed_loss, packed_gradients) = (loss_and_gradients(task, batch) for batch in (padded, packed))
    assert packed_loss == pytest.approx(loss, rel=1e-6)
    assert packed_gradients.keys() == gradients.keys()
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(packed_gradients[name], gradient, rtol=1e-4, atol=2e-6 * largest, err_msg=name)


@pytest.mark.parametrize("attention", ["plain", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_the_padded_rows(family, attention, tmp_path):
    task, dataset = FAMILIES[family](tmp_path, family, f"model.attention={attention}")
    assert_same_loss(task, dataset)
    task.model.train()  # the CPU layers; there is no dropout
    assert_same_loss(task, dataset)


def test_a_compiled_model_and_a_padded_width(tmp_path):
    task, dataset = masked_lm(tmp_path, "bert", "train.compile=true", "train.pad_to_multiple_of=8")
    task.model.train()
    compile_stacks(task.model)
    assert_same_loss(task, dataset)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_row_sees_another(family, tmp_path):
    """Other tokens in one row change the losses of that row alone, to the bit."""
    task, dataset = FAMILIES[family](tmp_path, family)
    packed = task.train_batch(dataset, INDICES, np.random.default_rng(1))
    segments = packed["segment_ids"]
    sequence = next(number for number, ids in enumerate(segments) if len(set(ids) - {0}) > 1)
    row = segments == segments[sequence, 0]
    changed = {**packed, "input_ids": packed["input_ids"].copy()}
    changed["input_ids"][row] = changed["input_ids"][row][::-1]
    nll = []
    for batch in (packed, changed):
        tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
        nll.append(task._packed_logits(tensors).logsumexp(axis=-1).numpy())
    of_row = row.reshape(-1)[packed["positions"]]
    assert (nll[0][of_row] != nll[1][of_row]).any()
    np.testing.assert_array_equal(nll[0][~of_row], nll[1][~of_row])


def test_a_masked_training_has_each_text_by_itself_and_evaluation_has_blocks(tmp_path):
    task = tiny_masked_lm.make_task(tmp_path, "task.packing=true")  # pieces of four tokens
    texts = Rows([{"text": "the film"}, {"text": "playing. bad film"}, {"text": "good"}])
    train, validation = (task.encode(texts, split) for split in ("train", "validation"))
    pieces = [piece.tolist() for piece in train.columns["ids"]]
    assert pieces == [[2, 8, 10, 3], [2, 5, 6, 14], [13, 10, 3], [2, 12, 3]]
    assert train.lengths.tolist() == [4, 4, 3, 3] and train.info["rows"] == 4
    assert [block.tolist() for block in validation.columns["ids"]] == [[2, 8, 10, 3], [2, 5, 6, 14], [13, 10, 3, 2]]
    assert "segment_ids" not in task.collate_fn(train, np.array([0, 1]), np.random.default_rng(0))


def test_padding_is_counted(tmp_path):
    task, dataset = causal_lm(tmp_path, None)
    padded, packed = batches(task, dataset)
    assert padded["attention_mask"].size == 72 and packed["attention_mask"].size == 48
    assert padded["attention_mask"].sum() == packed["attention_mask"].sum() == 42


def test_packed_and_packing_exclude_each_other():
    with pytest.raises(UserError, match="packed joins texts, and packing keeps them apart: set one of them"):
        load_config("gpt2_booksum", ["task.packed=true", "task.packing=true"])


def test_a_model_that_takes_no_positions_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_ft.models.architectures.record.Architecture.takes_positions", lambda *_: False)
    with pytest.raises(UserError) as caught:
        tiny_masked_lm.make_task(tmp_path, "task.packing=true")
    assert str(caught.value) == (
        "task.packing: PaddleNLP's models of type 'distilbert' take no positions, so that texts in one sequence cannot be kept"
        " apart. Set it to false."
    )


def test_a_training_resumes_to_the_bit(tmp_path):
    words = tiny_masked_lm.write_vocabulary(tmp_path / "words")
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS * 3))
    common = ["model.pretrained=null", f"model.config={tiny_masked_lm.SIZES}", f"model.tokenizer={words}", "data.cache=false",
              "data.source=null", f"data.train={tmp_path / 'texts.txt'}", f"data.validation={tmp_path / 'texts.txt'}", "device=cpu",
              "task.chunk_size=12", "task.train_chunks=null", "task.eval_chunks=null", "train.train_batch_size=5",
              "train.logging_steps=1", "train.lr_scheduler_type=constant_with_warmup", "eval.bootstrap_samples=100",
              "train.learning_rate=0.01", "eval.before_training=false"]  # fmt: skip
    train = functools.partial(lambda name, *settings, **flags: training_run.train(
        load_config("distilbert_imdb_mlm", [*common, f"output_dir={tmp_path / name}", *settings]), **flags))  # fmt: skip
    whole = train("whole", "task.packing=true", "train.num_train_epochs=2")
    shutil.copytree(train("half", "task.packing=true", "train.num_train_epochs=1").path, tmp_path / "grown")
    grown = train("grown", "task.packing=true", "train.num_train_epochs=2", resume=True)
    assert read_weights(grown / "last") == read_weights(whole / "last")
    assert computed_events(grown) == computed_events(whole)
