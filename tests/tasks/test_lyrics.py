"""The lyrics task: songs to batches, noise in training alone, genres, figures, and songs written line by line."""

import json
import shlex

import numpy as np
import pytest

from paddle_ft import inference
from paddle_ft.cli import main
from paddle_ft.config import load_config
from paddle_ft.data.lyrics import key
from paddle_ft.data.rows import Rows
from paddle_ft.errors import UserError
from paddle_ft.tasks import find_task
from paddle_ft.tasks.songwriter import SongWriter
from paddle_ft.training import session

SIZES = (
    "{d_model: 32, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2, decoder_attention_heads: 2,"
    " encoder_ffn_dim: 64, decoder_ffn_dim: 64, max_position_embeddings: 64, dropout: 0.0, attention_dropout: 0.0,"
    " activation_dropout: 0.0}"
)
FISH = ["the red fish swam by the light", "the blue fish came in the night", "an old fish put up a fight",
        "a new fish looked on in fright"]  # fmt: skip
BIRDS = ["one bird sat high in a tree", "two birds flew over the sea", "that bird is looking at me", "this bird is happy and free"]


def settings(*more):
    small = ("model.pretrained=null", f"model.config={SIZES}", "model.new_vocabulary=300", "data.cache=false", "device=cpu",
             "task.max_source_length=40", "task.max_target_length=20", "eval.bootstrap_samples=100")  # fmt: skip
    return load_config("bart_lyrics", [*small, "data.train=unused", *more])


def task_with(tmp_path, *more, songs):
    task = find_task("lyrics")(settings(*more))
    rows = task.arrange({split: Rows(found) for split, found in songs.items()})
    task.load_model(tmp_path / "tokenizer", rows["train"])
    return task, {split: task.encode(found, split) for split, found in rows.items()}


def song(lines, **more):
    return {"lyrics": "\n".join(lines), **more}


THREE = {split: [song(FISH), song(BIRDS)] for split in ("train", "validation")}


# ---------------------------------------------------------------------------------------------------- rows and batches
def test_one_source_is_split_by_song_and_counted(tmp_path, capsys):
    songs = [song([f"{name} the {number} fish" for name in ("one", "two", "three")]) for number in range(20)]
    task = find_task("lyrics")(settings())
    rows = task.arrange({"train": Rows(songs)})
    assert {split: found.info["songs"] for split, found in rows.items()} == {"train": 16, "validation": 2, "test": 2}
    numbers = {split: {row["source"].split()[2] for row in found.rows} for split, found in rows.items()}
    assert not numbers["train"] & numbers["test"] and not numbers["train"] & numbers["validation"]
    assert rows["train"].info["pairs_found"] == len(rows["train"].rows) == 32
    said = capsys.readouterr().err
    assert "train: 16 songs, 48 lines, 16 sections: 32 pairs, 0 of them repeated and removed, 32 left" in said


def test_given_splits_are_taken_as_they_are(tmp_path):
    task = find_task("lyrics")(settings())
    rows = task.arrange({"train": Rows([song(FISH)]), "test": Rows([song(FISH)])})
    assert {split: len(found) for split, found in rows.items()} == {"train": 3, "test": 3}
    with pytest.raises(UserError, match=r"data\.test: its 1 songs have no two lines that follow each other"):
        task.arrange({"train": Rows([song(FISH)]), "test": Rows([song(["one line", "[Chorus]", "another"])])})


def test_noise_is_fresh_reproducible_and_in_training_alone(tmp_path):
    task, data = task_with(tmp_path, songs=THREE)

    def inputs(split, seed):
        return task.collate(data[split], np.arange(6), np.random.default_rng(seed))["input_ids"]

    mask = task.tokenizer.mask_token_id
    assert (inputs("train", [1, 0]) == inputs("train", [1, 0])).all()
    assert not np.array_equal(inputs("train", [1, 0]), inputs("train", [1, 1]))
    assert (inputs("train", 0) == mask).any()
    assert (inputs("validation", 0) == inputs("validation", 1)).all()
    assert not (inputs("validation", 0) == mask).any()


def test_the_rate_of_noise_over_epochs(tmp_path):
    task, data = task_with(tmp_path, songs=THREE)
    words = sum(len(line.split()) for line in FISH[:3] + BIRDS[:3])
    masked = [(task.collate(data["train"], np.arange(6), np.random.default_rng(epoch))["input_ids"]
               == task.tokenizer.mask_token_id).sum() for epoch in range(300)]  # fmt: skip
    assert np.mean(masked) / words == pytest.approx(0.25, abs=0.01)


def test_noise_0_leaves_the_words_alone(tmp_path):
    task, data = task_with(tmp_path, "task.noise=0", songs=THREE)
    ids = task.collate(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
    assert not (ids == task.tokenizer.mask_token_id).any()
    assert task.fast_tokenizer.decode(ids[0]) == FISH[0]


def test_targets_are_the_next_lines_without_noise(tmp_path):
    task, data = task_with(tmp_path, songs=THREE)
    batch = task.collate(data["train"], np.array([2, 0]), np.random.default_rng(0))
    texts = [task.fast_tokenizer.decode([i for i in row if i >= 0]) for row in batch["labels"]]
    assert texts == [FISH[3], FISH[1]]


def test_a_long_source_is_cut_before_its_end_token_with_and_without_noise(tmp_path):
    for noise in (0, 0.25):
        task, data = task_with(tmp_path, "task.max_source_length=5", f"task.noise={noise}", songs=THREE)
        ids = task.collate(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
        assert ids.shape == (6, 5)
        assert (ids[:, -1] == task.tokenizer.sep_token_id).all()
        assert data["train"].info["truncated_source"] == 6


def test_several_lines_of_context_are_joined_by_a_token_of_their_own(tmp_path):
    task, data = task_with(tmp_path, "task.context_lines=3", "task.noise=0", songs=THREE)
    separator = task.fast_tokenizer.token_to_id("<line>")
    assert separator is not None
    ids = task.collate(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
    assert (ids == separator).sum(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    assert data["train"].rows[2]["source"] == "<line>".join(FISH[:3])
    assert task.model.bart.shared.weight.shape[0] == len(task.tokenizer) == separator + 1
    single, _ = task_with(tmp_path / "single", songs=THREE)
    assert single.fast_tokenizer.token_to_id("<line>") is None


# ---------------------------------------------------------------------------------------------------- genres
GENRES = {"train": [song(FISH, genre="Rap"), song(BIRDS, genre="Hip  Hop", artist="Somebody"), song(["a b", "c d"], genre="punk")]}
GENRES["validation"] = GENRES["train"]


def test_only_one_genre_or_artist_or_some(tmp_path):
    def sources(*more):
        task = find_task("lyrics")(settings(*more))
        return {row["source"] for row in task.arrange({split: Rows(found) for split, found in GENRES.items()})["train"].rows}

    assert sources("task.only=rap") == set(FISH[:3])
    assert sources("task.only=[HIP HOP, punk]") == {*BIRDS[:3], "a b"}
    assert sources("task.only=somebody", "task.style=artist") == set(BIRDS[:3])
    with pytest.raises(UserError) as caught:
        sources("task.only=rapp")
    assert str(caught.value) == (
        "task.only: no song of train has the genre 'rapp'. Did you mean rap? There is rap (1), hip hop (1), punk (1)."
    )


def test_the_genre_as_a_prefix_token(tmp_path):
    task, data = task_with(tmp_path, "task.prefix=true", songs=GENRES)
    tokens = {name: task.fast_tokenizer.token_to_id(f"<style:{name}>") for name in ("rap", "hip-hop", "punk")}
    ids = task.collate(data["train"], np.arange(7), np.random.default_rng(0))["input_ids"]
    assert ids[:, 1].tolist() == [tokens["rap"]] * 3 + [tokens["hip-hop"]] * 3 + [tokens["punk"]]
    masks = [task.collate(data["train"], np.arange(7), np.random.default_rng(i))["input_ids"][:, 1] for i in range(20)]
    assert all((one == masks[0]).all() for one in masks)  # the prefix is never masked
    assert task.fast_tokenizer.decode(ids[6]) == "a b" or "d" not in task.fast_tokenizer.decode(ids[6])


def test_songs_without_a_genre_are_refused_where_one_is_needed():
    songs = {"train": Rows([song(FISH, genre="rap"), song(BIRDS)])}
    with pytest.raises(UserError, match=r"data\.train: 1 of 2 songs have no genre, which task\.only and task\.prefix go by"):
        find_task("lyrics")(settings("task.prefix=true")).arrange(songs)
    with pytest.raises(UserError, match=r"data\.train: 2 of 2 songs have no artist"):
        find_task("lyrics")(settings("task.only=rap", "task.style=artist")).arrange(songs)


# ---------------------------------------------------------------------------------------------------- figures
def test_figures_of_given_lines(tmp_path):
    task, data = task_with(tmp_path, songs=THREE)
    rows = data["validation"].rows[:2]
    scores = task.score(["what a sight", FISH[2].upper()], rows)
    metrics = scores.metrics
    assert (metrics["rhyme"], metrics["rhyme_of_real_lines"], metrics["exact_copies"]) == (100.0, 100.0, 50.0)
    assert metrics["longest_copy_max"] == 7
    first, second = scores.predictions
    assert (first["rhymes"], first["exact_copy"], first["longest_copy"]) == (True, False, 1)
    assert (second["nearest_training_line"], second["originality"], second["exact_copy"]) == (FISH[2], 0.0, True)


def test_baselines(tmp_path):
    task, data = task_with(tmp_path, songs=THREE)
    name, random_line = task.baseline(data["validation"], data["train"])
    assert name == "random line"
    assert random_line.metrics["exact_copies"] == 100
    assert random_line.metrics == task.baseline(data["validation"], data["train"])[1].metrics
    (copied,) = task.other_baselines(data["validation"], data["train"]).values()
    assert [row["prediction"] for row in copied.predictions] == [row["source"] for row in data["validation"].rows]
    assert copied.metrics["rhyme"] == 0  # a word does not rhyme with itself


# ---------------------------------------------------------------------------------------------------- a whole run
@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two songs learnt by heart, from a folder with a genre a folder, with leftovers to clean."""
    folder = tmp_path_factory.mktemp("lyrics")
    for genre, lines in (("rap", FISH), ("country", BIRDS)):
        (folder / "songs" / genre).mkdir(parents=True)
        text = f"{genre} song Lyrics[Verse 1]\n" + "\n".join(lines) + "\n(Yeah)\n\n[Chorus]\nalone12Embed"
        (folder / "songs" / genre / "one.txt").write_text(text)
    songs = str(folder / "songs")
    config = load_config("bart_lyrics", [
        f"output_dir={folder / 'run'}", "model.pretrained=null", f"model.config={SIZES}", "model.config.d_model=64",
        "model.new_vocabulary=300", "data.cache=false", "device=cpu", f"data.train={songs}", f"data.validation={songs}",
        "task.prefix=true", "task.context_lines=2", "task.noise=0.2", "task.max_source_length=48", "task.max_target_length=20",
        "train.train_batch_size=2", "train.learning_rate=0.005", "train.num_train_epochs=30", "train.logging_steps=20",
        "eval.bootstrap_samples=100", "seed=1", "generation.num_beams=2",
    ])  # fmt: skip
    return session.train(config)


def test_a_run_learns_the_next_line_and_tells_where_lines_come_from(run):
    results = run.results()
    metrics = results["metrics"]["validation"]
    assert metrics["perplexity"] < 1.5 < results["before_training"]["validation"]["perplexity"]
    assert metrics["exact_copies"] > 50
    assert results["best"]["metric"] == "perplexity"
    assert results["baseline"]["name"] == "random line"
    assert results["other_baselines"]["line copied"]["validation"]["exact_copies"] > 0
    facts = {name: results["data"]["train"][name] for name in ("songs", "lines", "section_headers", "leftovers", "adlib_lines",
                                                               "sections", "pairs_found", "repeated_pairs", "rows")}  # fmt: skip
    assert facts == {"songs": 2, "lines": 16, "section_headers": 4, "leftovers": 4, "adlib_lines": 2, "sections": 4,
                     "pairs_found": 6, "repeated_pairs": 0, "rows": 6}  # fmt: skip
    rows = predictions(run)
    assert len(rows) == 6
    assert sum(row["prediction"] == row["target"] for row in rows) >= 4
    assert all(row["nearest_training_line"] == row["prediction"] for row in rows if row["exact_copy"])
    assert "line copied baseline" in (run / "report.html").read_text()


def predictions(run):
    return [json.loads(line) for line in (run / "predictions-validation.jsonl").read_text().splitlines()]


def test_evaluate_and_predict(run, tmp_path, capsys):
    split, metrics, _ = inference.evaluate(str(run.path), None, [], None)
    assert (split, metrics) == ("validation", run.results()["metrics"]["validation"])
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"source": f"never read\n<style:rap>{FISH[0]}\n{FISH[1]}"}) + "\n")
    inference.predict(str(run.path), str(source), str(tmp_path / "out.txt"), [])
    (same,) = [row for row in predictions(run) if row["source"] == f"<style:rap>{FISH[0]}<line>{FISH[1]}"]
    assert (tmp_path / "out.txt").read_text() == same["prediction"] + "\n"


def generate(run, capsys, *arguments):
    code = main(["generate", str(run.path), *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_generate_feeds_each_line_back(run, capsys):
    """Without noise a line is what predict says to the lines before it."""
    arguments = ["--seed-line", FISH[0], "--genre", "rap", "--lines", "2", "--noise", "0"]
    code, out, _ = generate(run, capsys, *arguments)
    song = out.splitlines()
    assert (code, len(song), song[0]) == (0, 3, FISH[0])
    task = inference.open_run(str(run.path))
    said = task.predict([f"<style:rap>{song[0]}", f"<style:rap>{song[0]}\n{song[1]}"], "")
    assert [row["prediction"] for row in said] == song[1:]
    assert generate(run, capsys, *arguments, "--stream")[1] == out + "\n"


@pytest.mark.parametrize("search", [["--beams", "3"], ["--top-p", "0.9"], ["--top-k", "5", "--temperature", "1.5"]])
def test_generate_repeats_no_line_and_follows_its_seed(run, capsys, search):
    arguments = ["--seed-line", BIRDS[0], "--genre", "country", "--lines", "6", "--noise", "0.3", "--num-return", "2", *search]
    _, out, _ = generate(run, capsys, *arguments, "--seed", "5", "--jsonl")
    songs = [json.loads(line) for line in out.splitlines()]
    assert len(songs) == 2
    for one in songs:
        keys = [key(line) for line in [BIRDS[0], *one["lines"]]]
        assert len(set(keys)) == len(keys) == 7
        assert one["text"].splitlines() == [BIRDS[0], *one["lines"]]
    assert generate(run, capsys, *arguments, "--seed", "5", "--jsonl")[1] == out
    assert generate(run, capsys, *arguments, "--seed", "6", "--jsonl")[1] != out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genre", "rap"], "error: --seed-line is missing"),
        (["--seed-line", "a", "--genre", "jazz"], "error: --genre jazz: unknown: this run was trained with country, rap"),
        (["--seed-line", "a", "--genre", "rap", "--noise", "1.5"], "error: --lines 8, --noise 1.5: lines must be at least 1"),
        (["--seed-line", "a", "--genre", "rap", "--noise", "0", "--num-return", "3"], "error: --num-return: without noise"),
    ],
)
def test_generate_refuses_what_cannot_be(run, capsys, arguments, message):
    code, _, err = generate(run, capsys, *arguments)
    assert code == 2
    assert message in err


def test_a_missing_genre_is_answered_with_the_command_to_use(run, capsys):
    code, _, err = generate(run, capsys, "--seed-line", "it's late")
    message, _, command = err.strip().rpartition("\n")
    assert code == 2
    assert message.endswith("error: --genre is missing: this run was trained with country, rap, and writes one of them, e.g.")
    program, *arguments = shlex.split(command)
    assert (program, arguments[:2]) == ("python", ["-m", "paddle_ft"])
    assert main([*arguments[2:], "--lines", "1"]) == 0
    assert capsys.readouterr().out.startswith("it's late\n")


def test_a_preview_shows_the_noise(run):
    task = inference.open_run(str(run.path))
    rows = Rows([{"source": f"<style:rap>{FISH[0]}", "target": FISH[1]}] * 2)
    source, target, ids, *_ = task.preview(task.encode(rows, "train"), 1).splitlines()
    assert (source, target) == (f"source        <style:rap>{FISH[0]}", f"target        {FISH[1]}")
    assert ids.startswith("input_ids     [CLS] <style:rap>") and "[MASK]" in ids


def test_without_chance_songs_begin_with_different_beams(run):
    task = inference.open_run(str(run.path))
    songs = list(SongWriter(task, {"num_beams": 3, "num_return_sequences": 3}, 0.0, "<style:rap>", 0).write(FISH[0], 1, None))
    assert len({key(lines[0]) for lines in songs}) == 3


def test_a_song_ends_where_no_new_line_is_found(run, monkeypatch, capsys):
    """Were repeated lines let through, or tried for ever, this would not end after one line."""
    task = inference.open_run(str(run.path))
    writer = SongWriter(task, {"num_beams": 2}, 0.25, "<style:rap>", 0)
    monkeypatch.setattr(writer, "_candidates", lambda *_: ["Same line!", "SAME line"])
    assert list(writer.write("the seed", 5, None)) == [["Same line!"]]
    assert "song 1: no line was found that is not there yet; it ends after 1" in capsys.readouterr().err


def test_the_lines_fed_back_are_noised_and_keep_their_last_word(run, monkeypatch):
    task = inference.open_run(str(run.path))
    seen = []
    real = type(task).source_ids
    monkeypatch.setattr(type(task), "source_ids", lambda self, texts: seen.extend(texts) or real(self, texts))
    list(SongWriter(task, {"num_beams": 1}, 0.5, "<style:rap>", 0).write(FISH[0], 3, None))
    assert seen[0].startswith("<style:rap>") and seen[0].count("[MASK]") in (3, 4) and seen[0].endswith("light")
    assert any("<line>" in text for text in seen)
    assert not any(text.endswith("[MASK]") or "[MASK]<line>" in text for text in seen)
