"""Test text generation of causal language models: prompts, flags, and a run that has memorised a text."""

import functools
import json

import pytest

from paddle_ft import cli
from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task
from tests.support.tiny_causal_lm import BOS, IDS, SIZES, make_task, save_checkpoint


@pytest.fixture
def make(tmp_path):
    """Return a function settings -> task with the model of a checkpoint."""
    return functools.partial(make_task, save_checkpoint(tmp_path / "start"), tmp_path)


def flag_values(**settings):
    return {flag.name: None for flag in find_task("causal_lm").generation_flags} | settings


@pytest.mark.parametrize(("metadata", "prompt"), [
    ({}, "<BOS>"),
    ({"prompt": "<BOS>Once"}, "<BOS>Once"),
    ({"genre": "Satire", "title": "Animal Farm"}, "<BOS>Genres: Satire. Title: Animal Farm. Summary:"),
    ({"title": "Animal Farm"}, "<BOS>Title: Animal Farm. Summary:"),
    ({"genre": "Satire"}, "<BOS>Genres: Satire."),  # the model generates the title
    ({"genre": "Satire", "title": "Animal Farm", "prompt": "Old Major calls"},
     "<BOS>Genres: Satire. Title: Animal Farm. Summary: Old Major calls"),
    ({"genre": "Satire", "prompt": "<BOS>Old Major calls"}, "<BOS>Genres: Satire. Summary: Old Major calls"),
    ({"genre": "Satire", "prompt": "<BOS>"}, "<BOS>Genres: Satire."),
])  # fmt: skip
def test_prompts_from_metadata_begin_as_training_texts_do(make, metadata, prompt):
    assert make("task.metadata=[genres, title]").prompt(flag_values(**metadata)) == prompt


def test_metadata_the_run_does_not_know_is_refused(make):
    with pytest.raises(UserError, match="--title does not fit this run: it was trained without metadata. Train with task.metadata"):
        make().prompt(flag_values(title="x"))
    with pytest.raises(UserError, match="--author does not fit this run: it was trained with genres, title"):
        make("task.metadata=[genres, title]").prompt(flag_values(author="x"))


def test_a_prompt_with_metadata_is_what_an_example_begins_with(make):
    task = make("task.metadata=[genres, title]")
    example = task.example({"text": "Old Major calls the animals", "genres": "Satire", "title": "Animal Farm"})
    assert example.startswith(task.prompt(flag_values(genre="Satire", title="Animal Farm", prompt="Old Major calls")))


@pytest.mark.parametrize("name", ["genre", "title"])
@pytest.mark.parametrize("value", ["", "  "])
def test_empty_metadata_are_refused(make, name, value):
    with pytest.raises(UserError, match=f"--{name} is empty: leave it out, or name one"):
        make("task.metadata=[genres, title]").prompt(flag_values(**{name: value}))


def test_a_stream_shows_no_half_characters(make):
    task, pieces = make(), []
    ids = [IDS[letter] for byte in "aé🐟".encode() for letter in [_byte_letter(byte)]]
    assert task._show([BOS], iter(ids), pieces.append) == ids
    assert pieces == ["a", "é", "🐟"]


def _byte_letter(byte):
    """Return the letter that represents a byte in GPT-2's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte_value for byte_value in range(256) if byte_value not in printable]
    return chr(byte) if byte in printable else chr(256 + others.index(byte))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run that has memorised one text."""
    from paddle_ft.training import run as training_run

    folder = tmp_path_factory.mktemp("finished")
    (folder / "texts.txt").write_text("the sea\n" * 10)
    sizes = ", ".join(f"{key}: {value}" for key, value in {**SIZES, "hidden_size": 32, "initializer_range": 0.1}.items())
    config = load_config("gpt2_booksum", [
        f"output_dir={folder / 'run'}", "device=cpu", "model.pretrained=null", f"model.config={{{sizes}}}", "data.source=null",
        f"data.train={folder / 'texts.txt'}", "data.cache=false", "task.max_text_length=16", "train.train_batch_size=7",
        "train.num_train_epochs=60", "train.learning_rate=0.02", "train.logging_steps=20", "eval.bootstrap_samples=100",
        "eval.eval_steps=1000", "model.new_vocabulary=257",
    ])  # fmt: skip
    return training_run.train(config)


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
    (["--stop-token", "ab"], "the model reads this as 2 tokens"),
    (["--seed", "1"], "--seed: it has an effect only with sampling"),
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


def test_predict_continues_a_text(finished):
    from paddle_ft.runs import inference

    task = inference.open_run(str(finished.path))
    rows = task.predict(["the s", "the sea" * 20], "")
    assert rows[0] == {"source": "the s", "prediction": "the sea"}
    assert rows[1]["prediction"] == "eathe seathe sea"  # only the end of a text that is too long is read
