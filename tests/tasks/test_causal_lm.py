"""Causal language modelling: examples, targets and the split by hand, the added tokens, a whole run and what it generates."""

import json
import math

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import GPTConfig, GPTLMHeadModel, GPTTokenizer
from tokenizers.pre_tokenizers import ByteLevel

from paddle_ft import cli
from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.models import bundle as models
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
         "max_position_embeddings": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
ALPHABET = sorted(ByteLevel.alphabet())
IDS = {letter: number for number, letter in enumerate([*ALPHABET, "<|endoftext|>"])}
BOS, EOS, PAD = 257, 258, 259


@pytest.fixture
def start(tmp_path):
    """A GPT-2 checkpoint whose tokens are bytes, in Paddle layout."""
    folder = tmp_path / "start"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(IDS), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    paddle.seed(1)
    model = GPTLMHeadModel(GPTConfig(**SIZES, vocab_size=257))
    model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPTTokenizer"}))
    return folder


@pytest.fixture
def make(start, tmp_path):
    def build(*more):
        config = load_config("gpt2_booksum", [
            f"model.pretrained={start}", "data.cache=false", "task.max_text_length=8", "eval.bootstrap_samples=100", *more,
        ])  # fmt: skip
        task = find_task("causal_lm")(config)
        task.load_model(tmp_path / "tokenizer", None)
        task.model.eval()
        return task

    return build


def rows(*texts, **more):
    return Rows([{"text": text, **more} for text in texts])


def text_ids(text):
    return [IDS[letter] for letter in text]


def test_an_example_and_its_targets(make):
    task = make()
    dataset = task.encode(rows("abc", "a"), "train")
    batch = task.collate(dataset, np.array([0, 1]), np.random.default_rng(0))
    a, b, c = text_ids("abc")
    assert batch["input_ids"].tolist() == [[BOS, a, b, c, EOS], [BOS, a, EOS, PAD, PAD]]
    assert batch["positions"].tolist() == [0, 1, 2, 3, 5, 6]  # nothing is said after <EOS>, and padding is never a target
    assert batch["target_ids"].tolist() == [a, b, c, EOS, a, EOS]
    assert task.count_targets(batch) == 6


def test_padding_to_a_multiple_adds_no_target(make):
    task, padded = make(), make("train.pad_to_multiple_of=4")
    dataset = task.encode(rows("abc", "a"), "train")
    plain, wide = (one.collate(dataset, np.array([0, 1]), np.random.default_rng(0)) for one in (task, padded))
    assert wide["input_ids"].shape == (2, 8)
    assert (wide["input_ids"][:, :5] == plain["input_ids"]).all() and (wide["input_ids"][:, 5:] == PAD).all()
    assert wide["positions"].tolist() == [0, 1, 2, 3, 8, 9]
    assert (wide["target_ids"] == plain["target_ids"]).all()
    losses = [float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()})) for batch in (plain, wide)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_text_that_is_cut_has_no_end(make):
    dataset = make().encode(rows("abcdefghij"), "train")
    assert dataset.columns["ids"][0].tolist() == [BOS, *text_ids("abcdefg")]
    assert dataset.info["truncated_text"] == 1


def test_packed_blocks_lose_nothing(make):
    dataset = make("task.packed=true").encode(rows("abcdefghij", "k"), "train")
    assert [ids.tolist() for ids in dataset.columns["ids"]] == [
        [BOS, *text_ids("abcdefg")], [*text_ids("hij"), EOS, BOS, *text_ids("k"), EOS],
    ]  # fmt: skip
    assert dataset.info["texts"] == 2
    assert dataset.rows[1] == {"text": "hij<EOS><BOS>k<EOS>"}


def test_a_last_block_of_one_token_is_left_out_as_it_predicts_nothing(make):
    dataset = make("task.packed=true").encode(rows("abcdefg"), "train")
    assert [ids.tolist() for ids in dataset.columns["ids"]] == [[BOS, *text_ids("abcdefg")]]
    assert dataset.info["rows"] == 1


def test_tokens_around_a_text_are_not_doubled(make):
    assert make().example({"text": " <BOS> abc <EOS>"}) == "<BOS>abc<EOS>"


def test_metadata_stands_before_the_text_in_the_order_asked_for(make):
    task = make("task.metadata=[genres, title]")
    row = {"text": "abc", "title": "Animal Farm", "genres": "Satire, Fiction", "author": "Orwell"}
    assert task.example(row) == "<BOS>Genres: Satire, Fiction. Title: Animal Farm. Summary: abc<EOS>"
    assert task.example({**row, "genres": ""}) == "<BOS>Title: Animal Farm. Summary: abc<EOS>"


def test_one_set_of_texts_is_split_70_20_10_whatever_the_seed(make):
    every = rows(*[f"text {i}" for i in range(100)])
    parts = make().arrange({"train": every})
    assert {split: len(part) for split, part in parts.items()} == {"train": 70, "validation": 20, "test": 10}
    texts = [row["text"] for part in parts.values() for row in part.rows]
    assert sorted(texts) == sorted(row["text"] for row in every.rows)
    order = np.random.default_rng(2022).permutation(100)  # drawn, as files are often sorted
    assert [row["text"] for row in parts["test"].rows] == [f"text {i}" for i in order[:10]]
    assert [row["text"] for row in parts["validation"].rows] == [f"text {i}" for i in order[10:30]]
    again = make("seed=7").arrange({"train": every})
    assert [row["text"] for part in again.values() for row in part.rows] == texts


def test_splits_that_are_given_stay(make):
    given = {"train": rows("a"), "validation": rows("b")}
    assert make().arrange(given) is given


def test_a_split_that_leaves_nothing_to_train_on(make):
    with pytest.raises(UserError, match="of 1 texts none is left to train on"):
        make("task.test_share=0.9").arrange({"train": rows("a")})


def test_the_written_texts(make):
    task = make()
    task.encode(rows("abc", "two\nlines"), "train")
    task.encode(rows("d"), "validation")
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
    batch = task.collate(task.encode(rows("abc", "a"), "train"), np.array([0, 1]), np.random.default_rng(0))
    task.loss({name: paddle.to_tensor(value) for name, value in batch.items()}).backward()
    gradient = abs(weight.grad.numpy()).sum(axis=1)
    assert gradient[PAD] == 0
    assert (gradient[[BOS, EOS]] > 0).all()


def test_the_vocabulary_survives_save_and_load_in_plain_paddlenlp(make, tmp_path):
    task = make()
    task.save_model(tmp_path / "saved")
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
    again.reload_model(tmp_path / "saved")
    assert again.fast_tokenizer.encode("<BOS>abc<EOS>").ids == [*ids, EOS]
    assert models.input_embedding(again.model).weight.shape == [260, 16]


def test_a_head_of_its_own_is_refused(make, start):
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
        make("task.max_text_length=33").encode(rows("a"), "train")


# ---------------------------------------------------------------------------------------------------- loss and perplexity
def test_loss_and_perplexity_are_those_of_the_models_own_logits(make):
    """Texts of very different length, so that a mean of means, or counted padding, would differ."""
    task = make("eval.eval_batch_size=2")
    dataset = task.encode(rows("abcdef", "a", "bb"), "validation")
    nll, count = [], 0
    for i in range(3):
        ids = dataset.columns["ids"][i]
        logits = task.model(paddle.to_tensor([ids.tolist()]))[0]
        each = [-paddle.nn.functional.log_softmax(logits[t])[int(ids[t + 1])].item() for t in range(len(ids) - 1)]
        nll, count = [*nll, sum(each)], count + len(each)
    metrics = task.evaluate(dataset, "").metrics
    assert metrics["tokens"] == count == 12
    assert metrics["loss"] == pytest.approx(sum(nll) / count, abs=2e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(sum(nll) / count), rel=1e-4)


def test_the_unigram_baseline_by_hand(make):
    """Training targets: a a <EOS>; 260 entries with one added: 263."""
    task = make()
    train, dataset = task.encode(rows("aa"), "train"), task.encode(rows("ab"), "validation")
    name, scores = task.baseline(dataset, train)
    assert name == "unigram"
    expected = ((263 / 3) * (263 / 1) * (263 / 2)) ** (1 / 3)
    assert scores.metrics["perplexity"] == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------------------------------------------- generate
def asked(**more):
    return {flag.name: None for flag in find_task("causal_lm").generation_flags} | more


@pytest.mark.parametrize(("given", "prompt"), [
    ({}, "<BOS>"),
    ({"prompt": "<BOS>Once"}, "<BOS>Once"),
    ({"genre": "Satire", "title": "Animal Farm"}, "<BOS>Genres: Satire. Title: Animal Farm. Summary:"),
    ({"title": "Animal Farm"}, "<BOS>Title: Animal Farm. Summary:"),
    ({"genre": "Satire"}, "<BOS>Genres: Satire."),  # the title is the model's to find
    ({"genre": "Satire", "title": "Animal Farm", "prompt": "Old Major calls"},
     "<BOS>Genres: Satire. Title: Animal Farm. Summary: Old Major calls"),
    ({"genre": "Satire", "prompt": "<BOS>Old Major calls"}, "<BOS>Genres: Satire. Summary: Old Major calls"),
    ({"genre": "Satire", "prompt": "<BOS>"}, "<BOS>Genres: Satire."),
])  # fmt: skip
def test_prompts_from_metadata_begin_as_training_texts_do(make, given, prompt):
    assert make("task.metadata=[genres, title]").prompt(asked(**given)) == prompt


def test_metadata_the_run_does_not_know_is_refused(make):
    with pytest.raises(UserError, match="--title: it was trained on texts alone. Train with task.metadata"):
        make().prompt(asked(title="x"))
    with pytest.raises(UserError, match="--author: it knows genres, title"):
        make("task.metadata=[genres, title]").prompt(asked(author="x"))


def test_a_prompt_with_metadata_is_what_an_example_begins_with(make):
    task = make("task.metadata=[genres, title]")
    example = task.example({"text": "Old Major calls the animals", "genres": "Satire", "title": "Animal Farm"})
    assert example.startswith(task.prompt(asked(genre="Satire", title="Animal Farm", prompt="Old Major calls")))


@pytest.mark.parametrize("name", ["genre", "title"])
@pytest.mark.parametrize("value", ["", "  "])
def test_empty_metadata_are_refused(make, name, value):
    with pytest.raises(UserError, match=f"--{name} is empty: leave it out, or give one"):
        make("task.metadata=[genres, title]").prompt(asked(**{name: value}))


def test_a_stream_shows_no_half_characters(make):
    task, pieces = make(), []
    ids = [IDS[letter] for byte in "aé🐟".encode() for letter in [_letter(byte)]]
    assert task._show([BOS], iter(ids), pieces.append) == ids
    assert pieces == ["a", "é", "🐟"]


def _letter(byte):
    """The letter that stands for a byte in GPT-2's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [one for one in range(256) if one not in printable]
    return chr(byte) if byte in printable else chr(256 + others.index(byte))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Trained until it knows one text by heart."""
    from paddle_ft.training import run as session

    folder = tmp_path_factory.mktemp("finished")
    (folder / "texts.txt").write_text("the sea\n" * 10)
    sizes = ", ".join(f"{key}: {value}" for key, value in {**SIZES, "hidden_size": 32, "initializer_range": 0.1}.items())
    config = load_config("gpt2_booksum", [
        f"output_dir={folder / 'run'}", "device=cpu", "model.pretrained=null", f"model.config={{{sizes}}}", "data.source=null",
        f"data.train={folder / 'texts.txt'}", "data.cache=false", "task.max_text_length=16", "train.train_batch_size=7",
        "train.num_train_epochs=60", "train.learning_rate=0.02", "train.logging_steps=20", "eval.bootstrap_samples=100",
        "eval.eval_steps=1000", "model.new_vocabulary=257",
    ])  # fmt: skip
    return session.train(config)


def test_it_learns_its_text_by_heart(finished):
    results = finished.results()
    assert results["metrics"]["test"]["perplexity"] < 1.1
    assert results["before_training"]["test"]["perplexity"] > 50
    assert results["metrics"]["test"]["perplexity"] < results["baseline"]["test"]["perplexity"]
    assert results["data"]["train"]["rows"] == 7
    assert (finished / "texts" / "valid.txt").read_text() == "<BOS>the sea<EOS>\n" * 2


def generate(finished, capsys, *flags):
    capsys.readouterr()
    code = cli.main(["generate", str(finished.path), *flags])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_generate_stops_at_the_stop_token(finished, capsys):
    assert generate(finished, capsys)[:2] == (0, "the sea\n")
    _, out, _ = generate(finished, capsys, "--jsonl", "--length", "3")
    assert json.loads(out) == {"prompt": "<BOS>", "text": "the", "tokens": 3, "stopped": False}
    _, out, _ = generate(finished, capsys, "--jsonl", "--prompt", "<BOS>the", "--stop-token", "e")
    assert json.loads(out)["text"] == "the se"


def test_generate_several_to_a_file_and_as_a_stream(finished, capsys, tmp_path):
    flags = ["--top-k", "5", "--temperature", "0.1", "--num-return", "3", "--output", str(tmp_path / "out.jsonl")]
    assert generate(finished, capsys, *flags)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["the sea"] * 3
    assert generate(finished, capsys, "--stream")[:2] == (0, "the sea\n")
    assert generate(finished, capsys, "--beams", "2")[1] == "the sea\n"


@pytest.mark.parametrize(("flags", "message"), [
    (["--stop-token", "ab"], "this is 2 tokens for the model"),
    (["--seed", "1"], "--seed: only sampling draws anything"),
    (["--beams", "2", "--top-p", "0.9"], "choose beam search or sampling"),
    (["--stream", "--jsonl"], "--stream writes text to the terminal"),
    (["--length", "40"], "the model has 32 positions"),
    (["--stream", "--num-return", "5"], "--stream shows one text as it is written, token by token: leave out --num-return"),
    (["--stream", "--beams", "2"], "--stream shows one text as it is written, token by token: leave out --num-return"),
])  # fmt: skip
def test_flags_that_do_not_fit(finished, capsys, flags, message):
    code, _, err = generate(finished, capsys, *flags)
    assert code == 2
    assert message in err


def test_predict_goes_on_with_a_text(finished):
    from paddle_ft.runs import inference

    task = inference.open_run(str(finished.path))
    rows = task.predict(["the s", "the sea" * 20], "")
    assert rows[0] == {"source": "the s", "prediction": "the sea"}
    assert rows[1]["prediction"] == "eathe seathe sea"  # of a text without room, the last 16 tokens
