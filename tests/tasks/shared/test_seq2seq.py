"""Test Seq2Seq: the ids of batches for English and Chinese BART, the loss against PaddleNLP's logits, the tied head."""

import json

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import BartConfig, BartForConditionalGeneration, BartTokenizer, BertTokenizer

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.models.bundle import make_bundle, reload_bundle
from paddle_ft.models.vocabulary import tie_head
from paddle_ft.tasks import find_task
from paddle_ft.tasks.shared.evaluate import run_eval_steps
from paddle_ft.tasks.shared.seq2seq import join_chinese, shift_right


def tiny_bart(vocab_size, **ids):
    paddle.seed(1)
    config = BartConfig(
        vocab_size=vocab_size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=40, **ids,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    tie_head(model, from_scratch=True)
    return model


@pytest.fixture
def chinese(tmp_path):
    """Return a task with the vocabulary layout of bert-base-chinese: [PAD] 0, [UNK] 100, [CLS] 101, [SEP] 102, [MASK] 103."""
    words = ["[PAD]", *[f"[unused{i}]" for i in range(1, 100)], "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天北京晴朗"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(str(tmp_path / "vocab.txt"))
    model = tiny_bart(
        len(words), pad_token_id=0, bos_token_id=101, eos_token_id=102, decoder_start_token_id=102, forced_eos_token_id=102
    )
    return task_with(model, tokenizer, tmp_path)


@pytest.fixture
def english(tmp_path):
    """Return a task with the vocabulary layout of bart-base: <s> 0, <pad> 1, </s> 2, <unk> 3, byte-level pieces."""
    words = {w: i for i, w in enumerate(["<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "Ġ", "Ġa", "ab"])}
    words["<mask>"] = len(words)
    (tmp_path / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ a\na b\n", encoding="utf-8")
    tokenizer = BartTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    model = tiny_bart(len(words), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2)
    return task_with(model, tokenizer, tmp_path)


def task_with(model, tokenizer, folder):
    config = load_config("bart_lcsts", ["data.cache=false", "task.max_source_length=12", "task.max_target_length=6"])
    task = find_task("summarization")(config)
    task.set_model(make_bundle(model, tokenizer, folder / "tokenizer"))
    return task


def batch_of(task, *pairs):
    rows = Rows([{"source": source, "target": target} for source, target in pairs])
    dataset = task.encode(rows, "train")
    return dataset, task.collate_fn(dataset, np.arange(len(pairs)), np.random.default_rng(0))


def test_chinese_ids_exactly(chinese):
    _, batch = batch_of(chinese, ("今天北京晴朗", "北京晴"), ("天", "天"))
    assert batch["input_ids"].tolist() == [[101, 104, 105, 106, 107, 108, 109, 102], [101, 105, 102, 0, 0, 0, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 8, [1, 1, 1, 0, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[101, 106, 107, 108, 102], [101, 105, 102, -100, -100]]
    assert batch["decoder_input_ids"].tolist() == [[102, 101, 106, 107, 108], [102, 101, 105, 102, 0]]
    assert chinese.count_targets(batch) == 8
    assert "token_type_ids" not in batch


def test_english_ids_exactly(english):
    _, batch = batch_of(english, ("ab a", "ab"), ("c", "a b c"))
    assert batch["input_ids"].tolist() == [[0, 9, 8, 2], [0, 6, 2, 1]]
    assert batch["labels"].tolist() == [[0, 9, 2, -100, -100, -100], [0, 4, 7, 5, 7, 2]]  # the second is cut before its end token
    assert batch["decoder_input_ids"].tolist() == [[2, 0, 9, 2, 1, 1], [2, 0, 4, 7, 5, 7]]


def test_padding_is_a_target_only_with_the_option(chinese):
    chinese.options = chinese.options.model_copy(update={"ignore_pad_token_for_loss": False})
    _, batch = batch_of(chinese, ("今天北京晴朗", "北京晴"), ("天", "天"))
    assert batch["labels"].tolist() == [[101, 106, 107, 108, 102], [101, 105, 102, 0, 0]]
    assert chinese.count_targets(batch) == 10


def test_a_cut_target_keeps_its_end_token(chinese):
    dataset, batch = batch_of(chinese, ("今天北京晴朗今天北京晴朗", "今天北京晴朗"))
    assert batch["labels"].tolist() == [[101, 104, 105, 106, 107, 102]]
    assert len(batch["input_ids"][0]) == 12
    assert dataset.info["truncated_source"] == dataset.info["truncated_target"] == 1
    assert dataset.info["truncated_source_share"] == 1.0


def test_shift_right_leaves_no_ignored_label():
    labels = np.array([[5, 6, -100], [-100, 7, 8]])
    assert shift_right(labels, start=2, padding=1).tolist() == [[2, 5, 6], [2, 1, 7]]


def test_the_loss_is_the_cross_entropy_of_the_models_own_logits(chinese):
    dataset, batch = batch_of(chinese, ("今天北京晴朗", "北京晴"), ("天", "天"))
    model = chinese.model
    model.eval()
    tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
    logits = model(
        input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"],
        decoder_input_ids=tensors["decoder_input_ids"],
    )  # fmt: skip
    expected = paddle.nn.functional.cross_entropy(
        logits.reshape([-1, logits.shape[-1]]), tensors["labels"].reshape([-1]), ignore_index=-100, reduction="sum"
    )
    assert float(chinese.loss(tensors)) == pytest.approx(float(expected), rel=1e-6)
    assert run_eval_steps(chinese, dataset, "").loss == pytest.approx(float(expected) / 8, rel=1e-6)


def test_a_row_has_the_same_loss_alone_and_padded(chinese):
    together, _ = batch_of(chinese, ("今天北京晴朗", "北京晴"), ("天", "天"))
    alone = [batch_of(chinese, pair)[0] for pair in (("今天北京晴朗", "北京晴"), ("天", "天"))]
    total = sum(run_eval_steps(chinese, dataset, "").loss * count for dataset, count in zip(alone, (5, 3), strict=True))
    assert run_eval_steps(chinese, together, "").loss * 8 == pytest.approx(total, rel=1e-5)


def test_the_head_is_tied_and_stays_tied_through_save_and_load(chinese, tmp_path):
    assert chinese.model.lm_head_weight is chinese.model.bart.shared.weight
    chinese.bundle.save(tmp_path / "saved")
    plain = BartForConditionalGeneration.from_pretrained(str(tmp_path / "saved"))  # without our classes
    assert (plain.lm_head_weight == chinese.model.bart.shared.weight).all()
    again = reload_bundle("seq2seq", tmp_path / "saved")
    assert again.model.lm_head_weight is again.model.bart.shared.weight
    ids = BertTokenizer.from_pretrained(str(tmp_path / "saved"))("今天北京")["input_ids"]
    assert ids == [101, 104, 105, 106, 107, 102]


def test_an_untied_head_is_kept(chinese, tmp_path):
    model = tiny_bart(110, pad_token_id=0, bos_token_id=101, eos_token_id=102, decoder_start_token_id=102)
    model.add_parameter("lm_head_weight", paddle.create_parameter([110, 16], "float32"))
    head = model.lm_head_weight.numpy()
    chinese.bundle.model = model
    chinese.bundle.save(tmp_path / "untied")
    again = reload_bundle("seq2seq", tmp_path / "untied").model
    assert again.lm_head_weight is not again.bart.shared.weight
    assert (again.lm_head_weight.numpy() == head).all()


def test_join_chinese_leaves_english_alone():
    assert join_chinese("北 京 晴 ， 25 度 good day") == "北京晴，25度good day"
    assert join_chinese("good day , sir") == "good day , sir"


def test_the_preview_shows_what_the_model_sees(chinese):
    dataset, _ = batch_of(chinese, ("今天北京晴朗", "北京晴"))
    assert chinese.preview(dataset).splitlines() == [
        "source        今天北京晴朗",
        "target        北京晴",
        "input_ids     [CLS] 今 天 北 京 晴 朗 [SEP]",
        "decoder input [SEP] [CLS] 北 京 晴",
        "labels        [CLS] 北 京 晴 [SEP]",
    ]


def test_settings_of_generation_that_the_configuration_replaces_are_said(english):
    assert english.model_decisions() == []
    own = english.model.generation_config
    own.max_length = 0
    assert english.model_decisions() == []  # PaddleNLP's value for none
    own.num_beams, own.length_penalty, own.min_length, own.max_length = english.config.generation.num_beams, 2.0, 56, 142
    assert english.model_decisions() == [
        "the checkpoint's settings of generation are not used: length_penalty 2.0 (here 1.0), min_length 56 (here 0), max_length"
        f" 142 (here {english.options.max_target_length}); those of `generation` and `task` are"
    ]
