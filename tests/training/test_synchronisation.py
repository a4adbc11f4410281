"""Test that no value is read from the device inside a training step, which would make Python wait for a GPU.

The steps run as on a GPU: without the shortcuts for CPUs, with attention by scaled_dot_product_attention. Reads from Python are
counted; a read inside one of Paddle's kernels is not seen here.
"""

import contextlib
import sys
import traceback

import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system import runtime
from paddle_ft.system.world import World
from paddle_ft.tasks import find_task
from paddle_ft.training.step import Stepper
from tests.support import tiny_causal_lm, tiny_classification, tiny_masked_lm
from tests.support.paths import ROOT
from tests.support.regression import Regression, regression_dataset
from tests.support.tasks import give_model
from tests.support.tiny_lyrics import BIRDS, FISH
from tests.support.tiny_lyrics import SIZES as LYRICS_SIZES
from tests.support.tiny_runs import PAIRS, overrides

READS = ("numpy", "item", "tolist", "cpu", "__float__", "__int__", "__long__", "__bool__", "__nonzero__", "__index__", "__array__",
         "__str__", "__repr__", "__format__")  # fmt: skip
# every pass is clipped, the last step of an epoch has fewer batches than the others, and dropout draws
SETTINGS = ("train.train_batch_size=2", "train.gradient_accumulation_steps=2", "train.max_grad_norm=0.001", "model.attention=sdpa")


@contextlib.contextmanager
def reads_of_tensors():
    """Record each read of a tensor's value as "method: file:line", the lines being ours and the one that reads."""
    reads, originals, depth = [], {name: getattr(paddle.Tensor, name) for name in READS if hasattr(paddle.Tensor, name)}, [0]

    def recorded(name, original):
        def call(*args, **kwargs):
            if not depth[0]:  # tolist calls numpy, for example
                frames = traceback.extract_stack()[:-1]
                own = [frame for frame in frames if str(ROOT / "paddle_ft") in frame.filename][-1:]
                reads.append(f"{name}: " + ", ".join(f"{frame.filename}:{frame.lineno}" for frame in [*own, frames[-1]]))
            depth[0] += 1
            try:
                return original(*args, **kwargs)
            finally:
                depth[0] -= 1

        return call

    for name, original in originals.items():
        setattr(paddle.Tensor, name, recorded(name, original))
    try:
        yield reads
    finally:
        for name, original in originals.items():
            setattr(paddle.Tensor, name, original)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Let all of the program but the choice of the device take the branch for a GPU."""
    on_cpu = runtime.on_cpu
    for name, module in list(sys.modules.items()):
        if name.startswith("paddle_ft.") and getattr(module, "on_cpu", None) is on_cpu:
            monkeypatch.setattr(module, "on_cpu", lambda: False)


def classification(folder, *settings):
    return tiny_classification.make_task(folder, tiny_classification.ROWS, "bert", *settings)


def pairs_of_texts(folder, *settings):
    return tiny_classification.make_task(folder, [*tiny_classification.PAIRS, tiny_classification.PAIRS[0]], "roberta", *settings)


def masked_lm(folder, *settings):
    task = tiny_masked_lm.make_task(folder, *settings)
    return task, task.encode(Rows([{"text": "the film playing"}] * 10), "train")


def causal_lm(folder, *settings):
    task = tiny_causal_lm.make_task(tiny_causal_lm.save_checkpoint(folder / "start"), folder, *settings)
    return task, task.encode(tiny_causal_lm.text_rows("abc", "a", "abcd", "ab", "e"), "train")


def seq2seq(folder, *settings):
    task = find_task("summarization")(load_config("bart_lcsts", overrides(folder, *settings)))
    rows = Rows([{"source": source, "target": target} for source, target in PAIRS[:5]])
    give_model(task, folder / "tokenizer", rows)
    return task, task.encode(rows, "train")


def lyrics(folder, *settings):
    small = ("model.pretrained=null", f"model.config={LYRICS_SIZES}", "model.new_vocabulary=300", "data.cache=false", "device=cpu",
             "task.max_source_length=40", "task.max_target_length=20", "data.train=unused")  # fmt: skip
    task = find_task("lyrics")(load_config("bart_lyrics", [*small, *settings]))
    songs = Rows([{"lyrics": "\n".join(lines)} for lines in (FISH, BIRDS)])
    rows = task.prepare_rows({"train": songs, "validation": songs})["train"]
    give_model(task, folder / "tokenizer", rows)
    return task, task.encode(rows, "train")


CASES = {
    "classification": (classification, ()),
    "classification of pairs, LSTM head": (pairs_of_texts, ("model.pooling=lstm_attention",)),
    "masked_lm": (masked_lm, ()),
    "masked_lm, packed": (masked_lm, ("task.packing=true",)),
    "causal_lm": (causal_lm, ()),
    "causal_lm, packed": (causal_lm, ("task.packing=true",)),
    "summarization": (seq2seq, ()),
    "summarization, adapters": (seq2seq, ("model.lora.rank=2",)),
    "summarization, recompute": (seq2seq, ("train.recompute=true",)),
    "lyrics": (lyrics, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_reads_no_value_of_a_tensor(case, tmp_path, as_on_a_gpu):
    make, settings = CASES[case]
    task, dataset = make(tmp_path, *SETTINGS, *settings)
    task.model.train()
    stepper = Stepper(task, dataset, RunDirectory(tmp_path), World())
    with reads_of_tensors() as reads:
        for step in range(stepper.steps_per_epoch + 1):
            stepper.train_step(step)
    stepper.check_finite()
    stepper.close()
    assert stepper.steps_per_epoch > 1
    assert reads == []


class Reading(Regression):
    def loss(self, batch):
        value = super().loss(batch)
        self.read(value)
        return value


@pytest.mark.parametrize("read", [float, int, bool, str, "{:.2f}".format, lambda x: x.numpy(), lambda x: x.item(),
                                  lambda x: x.tolist(), lambda x: [0, 1][x > 1e9]])  # fmt: skip
def test_reads_of_every_kind_are_found(read, tmp_path):
    task = Reading(load_config("bart_lcsts", overrides(tmp_path)))
    task.read = lambda value: read(value.detach())
    stepper = Stepper(task, regression_dataset(), RunDirectory(tmp_path), World())
    with reads_of_tensors() as reads:
        stepper._forward_backward(stepper._collate(0).batches[0], 4)
    stepper.close()
    assert len(reads) >= 1
    assert all(__file__ in line for line in reads)
