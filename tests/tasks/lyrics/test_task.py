"""Test the lyrics task: batches of songs, noise in training only, genres, metrics."""

import math

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task
from paddle_ft.tasks.lyrics.scores import random_pairs, score_lines
from paddle_ft.tasks.shared.evaluate import evaluate
from paddle_ft.tasks.shared.rows import load_rows
from tests.support.tasks import give_model
from tests.support.tiny_lyrics import BIRDS, FISH, SIZES


def settings(*overrides):
    small = ("model.pretrained=null", f"model.config={SIZES}", "model.new_vocabulary=300", "data.cache=false", "device=cpu",
             "task.max_source_length=40", "task.max_target_length=20", "eval.bootstrap_samples=100")  # fmt: skip
    return load_config("bart_lyrics", [*small, "data.train=unused", *overrides])


def make_task(tmp_path, *overrides, songs):
    task = find_task("lyrics")(settings(*overrides))
    rows = task.prepare_rows({split: Rows(split_songs) for split, split_songs in songs.items()})
    give_model(task, tmp_path / "tokenizer", rows["train"])
    return task, {split: task.encode(split_rows, split) for split, split_rows in rows.items()}


def song(lines, **fields):
    return {"lyrics": "\n".join(lines), **fields}


FISH_AND_BIRDS = {split: [song(FISH), song(BIRDS)] for split in ("train", "validation")}


# ---------------------------------------------------------------------------------------------------- rows and batches
def test_one_source_is_split_by_song_and_counted(tmp_path, capsys):
    songs = [song([f"{name} the {number} fish" for name in ("one", "two", "three")]) for number in range(20)]
    task = find_task("lyrics")(settings())
    rows = task.prepare_rows({"train": Rows(songs)})
    assert {split: loaded.info["songs"] for split, loaded in rows.items()} == {"train": 16, "validation": 2, "test": 2}
    numbers = {split: {row["source"].split()[2] for row in loaded.rows} for split, loaded in rows.items()}
    assert not numbers["train"] & numbers["test"] and not numbers["train"] & numbers["validation"]
    assert rows["train"].info["pairs_found"] == len(rows["train"].rows) == 32
    messages = capsys.readouterr().err
    assert "train: 16 songs, 48 lines, 16 sections: 32 pairs, 0 of them repeated and removed, 32 left" in messages


def test_configured_splits_are_not_split_again(tmp_path):
    task = find_task("lyrics")(settings())
    rows = task.prepare_rows({"train": Rows([song(FISH)]), "test": Rows([song(FISH)])})
    assert {split: len(loaded) for split, loaded in rows.items()} == {"train": 3, "test": 3}
    with pytest.raises(UserError, match=r"data\.test: its only song has no two lines that follow each other"):
        task.prepare_rows({"train": Rows([song(FISH)]), "test": Rows([song(["one line", "[Chorus]", "another"])])})


def test_splits_of_one_source_share_no_pair():
    chorus = "\n\n[Chorus]\nold fish\nnew fish\n"
    songs = [song([f"{name} the {number} fish" for name in ("one", "two")] + [chorus]) for number in range(20)]
    rows = find_task("lyrics")(settings()).prepare_rows({"train": Rows(songs)})
    pairs = [(row["source"], row["target"]) for loaded in rows.values() for row in loaded.rows]
    assert len(rows) == 3 and pairs.count(("old fish", "new fish")) == 1
    assert len(pairs) == len(set(pairs)) == 21


def test_equal_and_nearly_equal_songs_are_in_one_split_and_named():
    names = ("red", "blue", "old", "new", "long")
    songs = [song([f"the {name} fish saw the {number} sea" for name in names]) for number in range(10)]
    again = [dict(songs[0]), {"lyrics": songs[1]["lyrics"].upper() + "\none more line for the remix"}]
    rows = find_task("lyrics")(settings()).prepare_rows({"train": Rows([*songs, *again])})
    numbers = {split: {row["source"].lower().split()[-2] for row in loaded.rows} for split, loaded in rows.items()}
    assert sum(map(len, numbers.values())) == 10 == len(set.union(*numbers.values()))
    assert any("the songs are split at random: " in decision for decision in rows["train"].decisions)
    assert "train: 4 songs are the same as another one or nearly so, and are together in one split" in rows["train"].decisions
    assert sum(loaded.info["repeated_songs"] for loaded in rows.values()) == 1
    assert "train: 1 of 12 songs is repeated and left out" in rows["train"].decisions


def test_too_few_different_songs_cannot_be_split():
    with pytest.raises(
        UserError, match=r"^data: 1 different song cannot be split into train, validation and test\. .* put a line ====="
    ):
        find_task("lyrics")(settings()).prepare_rows({"train": Rows([song(FISH)] * 10)})


def test_songs_of_a_users_split_that_are_in_train_too_are_named_and_stay():
    rows = {
        "train": Rows([song(FISH), song(BIRDS)]),
        "validation": Rows([song([*FISH[:3], "and another end"]), song(["a b c", "d e f"])]),
    }
    rows = find_task("lyrics")(settings()).prepare_rows(rows)
    assert len(rows["validation"]) == 4
    assert rows["train"].decisions == [
        "validation: 1 of 2 songs is in train too, or nearly so; it stays, so its scores are partly those of lines that were learnt"
    ]


def test_one_file_of_an_artist_is_split_by_its_songs(capsys):
    lines = [[f"{name} the {number} fish" for name in ("one", "two", "three")] for number in range(20)]
    text = "".join(f"Title {i} Lyrics[Verse 1: Name]\n" + "\n".join(song_lines) + f"{i}Embed" for i, song_lines in enumerate(lines))
    task = find_task("lyrics")(settings())
    rows = task.prepare_rows({"train": Rows([{"lyrics": text}])})
    assert {split: loaded.info["songs"] for split, loaded in rows.items()} == {"train": 16, "validation": 2, "test": 2}
    numbers = {split: {row["source"].split()[2] for row in loaded.rows} for split, loaded in rows.items()}
    assert sum(map(len, numbers.values())) == 20
    how = "remains of Genius pages such as 44Embed or Title Lyrics["
    assert rows["train"].decisions == [
        f"train: 20 songs were found in 1 file or row, told apart by {how}",
        "data.validation and data.test are not set, so the songs are split at random: 16 for train, 2 for validation, 2 for test",
    ]
    assert rows["test"].decisions == [] and task.facts() == {"songs_told_apart_by": how}
    assert f"train: 20 songs, told apart by {how}\ntrain: 16 songs, 64 lines" in capsys.readouterr().err


def test_a_folder_or_glob_of_texts_needs_no_source(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(f"the {number} fish\nwas on the dish\n\n[Chorus]\nfish {number}\nis my wish")
    for own in (tmp_path, f"{tmp_path}/*.txt"):
        task = find_task("lyrics")(settings("data.source=null", f"data.train={own}"))
        rows = load_rows(task.config, task)
        assert {split: loaded.info["songs"] for split, loaded in rows.items()} == {"train": 2, "validation": 1, "test": 1}
        assert sum(map(len, rows.values())) == 8


def test_a_limit_counts_songs_of_one_file_too():
    text = "\n=====\n".join("\n".join(f"{name} the {number} fish" for name in ("one", "two")) for number in range(9))
    task = find_task("lyrics")(settings("data.limit_train=6"))
    rows = task.prepare_rows({"train": Rows([{"lyrics": text}])})
    assert sum(loaded.info["songs"] for loaded in rows.values()) == 6


def test_credits_that_were_left_out_are_named():
    rows = {"train": Rows([song(["作词：甲", "作曲：乙", *FISH])]), "test": Rows([song(BIRDS)])}
    rows = find_task("lyrics")(settings()).prepare_rows(rows)
    assert rows["train"].decisions == ["train: 2 lines with titles and credits (作词, Produced by) are left out"]


def test_the_training_lines_are_those_of_train():
    task = find_task("lyrics")(settings())
    rows = task.prepare_rows({"train": Rows([song(FISH)]), "validation": Rows([song(BIRDS)]), "test": Rows([song(BIRDS[::-1])])})
    assert list(task.training_lines) == FISH
    assert [len(loaded) for loaded in rows.values()] == [3, 3, 3]


def test_noise_is_new_each_time_reproducible_and_only_in_training(tmp_path):
    task, data = make_task(tmp_path, songs=FISH_AND_BIRDS)

    def inputs(split, seed):
        return task.collate_fn(data[split], np.arange(6), np.random.default_rng(seed))["input_ids"]

    mask = task.tokenizer.mask_token_id
    assert (inputs("train", [1, 0]) == inputs("train", [1, 0])).all()
    assert not np.array_equal(inputs("train", [1, 0]), inputs("train", [1, 1]))
    assert (inputs("train", 0) == mask).any()
    assert (inputs("validation", 0) == inputs("validation", 1)).all()
    assert not (inputs("validation", 0) == mask).any()


def test_the_rate_of_noise_over_epochs(tmp_path):
    task, data = make_task(tmp_path, songs=FISH_AND_BIRDS)
    words = sum(len(line.split()) for line in FISH[:3] + BIRDS[:3])
    masked = [(task.collate_fn(data["train"], np.arange(6), np.random.default_rng(epoch))["input_ids"]
               == task.tokenizer.mask_token_id).sum() for epoch in range(300)]  # fmt: skip
    assert np.mean(masked) / words == pytest.approx(0.25, abs=0.01)


def test_noise_0_masks_nothing(tmp_path):
    task, data = make_task(tmp_path, "task.noise=0", songs=FISH_AND_BIRDS)
    ids = task.collate_fn(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
    assert not (ids == task.tokenizer.mask_token_id).any()
    assert task.fast_tokenizer.decode(ids[0]) == FISH[0]


def test_targets_are_the_next_lines_without_noise(tmp_path):
    task, data = make_task(tmp_path, songs=FISH_AND_BIRDS)
    batch = task.collate_fn(data["train"], np.array([2, 0]), np.random.default_rng(0))
    texts = [task.fast_tokenizer.decode([i for i in row if i >= 0]) for row in batch["labels"]]
    assert texts == [FISH[3], FISH[1]]


def test_a_long_source_is_cut_before_its_end_token_with_and_without_noise(tmp_path):
    for noise in (0, 0.25):
        task, data = make_task(tmp_path, "task.max_source_length=5", f"task.noise={noise}", songs=FISH_AND_BIRDS)
        ids = task.collate_fn(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
        assert ids.shape == (6, 5)
        assert (ids[:, -1] == task.tokenizer.sep_token_id).all()
        assert data["train"].info["truncated_source"] == 6


def test_a_line_that_the_model_has_no_positions_for_is_refused_by_the_setting_that_the_user_has(tmp_path):
    task, _ = make_task(tmp_path, "task.max_target_length=64", songs=FISH_AND_BIRDS)
    with pytest.raises(UserError) as caught:
        task.predict(["red fish"], "")
    assert str(caught.value) == (
        "task.max_target_length: 64 tokens and the start token do not fit the model's 64 positions (max_position_embeddings),"
        " so they cannot be generated. Lower it to 63."
    )
    task.options.max_target_length = 63
    assert len(task.predict(["red fish"], "")) == 1


def test_several_lines_of_context_are_joined_by_a_separator_token(tmp_path):
    task, data = make_task(tmp_path, "task.context_lines=3", "task.noise=0", songs=FISH_AND_BIRDS)
    separator = task.fast_tokenizer.token_to_id("<line>")
    assert separator is not None
    ids = task.collate_fn(data["train"], np.arange(6), np.random.default_rng(0))["input_ids"]
    assert (ids == separator).sum(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    assert data["train"].rows[2]["source"] == "<line>".join(FISH[:3])
    assert task.model.bart.shared.weight.shape[0] == len(task.tokenizer) == separator + 1
    single, _ = make_task(tmp_path / "single", songs=FISH_AND_BIRDS)
    assert single.fast_tokenizer.token_to_id("<line>") is None


# ---------------------------------------------------------------------------------------------------- genres
GENRES = {"train": [song(FISH, genre="Rap"), song(BIRDS, genre="Hip  Hop", artist="Somebody"), song(["a b", "c d"], genre="punk")]}
GENRES["validation"] = GENRES["train"]


def test_only_takes_one_genre_or_artist_or_several(tmp_path):
    def sources(*overrides):
        task = find_task("lyrics")(settings(*overrides))
        rows = task.prepare_rows({split: Rows(split_songs) for split, split_songs in GENRES.items()})
        return {row["source"] for row in rows["train"].rows}

    assert sources("task.only=rap") == set(FISH[:3])
    assert sources("task.only=[HIP HOP, punk]") == {*BIRDS[:3], "a b"}
    assert sources("task.only=somebody", "task.style=artist") == set(BIRDS[:3])
    with pytest.raises(UserError) as caught:
        sources("task.only=rapp")
    assert str(caught.value) == (
        "task.only: no song of train has the genre 'rapp'. Did you mean rap? There is rap (1), hip hop (1), punk (1)."
    )


def test_the_genre_as_a_prefix_token(tmp_path):
    task, data = make_task(tmp_path, "task.prefix=true", songs=GENRES)
    tokens = {name: task.fast_tokenizer.token_to_id(f"<style:{name}>") for name in ("rap", "hip-hop", "punk")}
    ids = task.collate_fn(data["train"], np.arange(7), np.random.default_rng(0))["input_ids"]
    assert ids[:, 1].tolist() == [tokens["rap"]] * 3 + [tokens["hip-hop"]] * 3 + [tokens["punk"]]
    masks = [task.collate_fn(data["train"], np.arange(7), np.random.default_rng(i))["input_ids"][:, 1] for i in range(20)]
    assert all((row == masks[0]).all() for row in masks)  # the prefix is never masked
    assert task.fast_tokenizer.decode(ids[6]) == "a b" or "d" not in task.fast_tokenizer.decode(ids[6])


def test_songs_without_a_genre_are_refused_if_one_is_needed():
    songs = {"train": Rows([song(FISH, genre="rap"), song(BIRDS)])}
    with pytest.raises(UserError, match=r"data\.train: 1 of 2 songs have no genre, which task\.only and task\.prefix need"):
        find_task("lyrics")(settings("task.prefix=true")).prepare_rows(songs)
    with pytest.raises(UserError, match=r"data\.train: 2 of 2 songs have no artist"):
        find_task("lyrics")(settings("task.only=rap", "task.style=artist")).prepare_rows(songs)


# ---------------------------------------------------------------------------------------------------- figures
def test_figures_of_generated_lines(tmp_path):
    task, data = make_task(tmp_path, songs=FISH_AND_BIRDS)
    rows = data["validation"].rows[:2]
    scores = task.score(["what a sight", FISH[2].upper()], rows)
    metrics = scores.metrics
    assert (metrics["rhyme"], metrics["rhyme_of_real_lines"], metrics["exact_copies"]) == (100.0, 100.0, 50.0)
    assert metrics["longest_copy_max"] == 7
    first, second = scores.predictions
    assert (first["rhymes"], first["exact_copy"], first["longest_copy"]) == (True, False, 1)
    assert (second["nearest_training_line"], second["originality"], second["exact_copy"]) == (FISH[2], 0.0, True)


def test_rhyme_is_with_the_last_line_of_the_context(tmp_path):
    task, _ = make_task(tmp_path, "task.context_lines=2", songs=FISH_AND_BIRDS)
    sources = {"in the night<line>on the sea": "a light", "on the sea<line>in the night": "me"}
    rows = [{"source": source, "target": target} for source, target in sources.items()]
    scores = task.score(["a fight", "a fight"], rows)
    assert [row["rhymes"] for row in scores.predictions] == [False, True]
    assert (scores.metrics["rhyme"], scores.metrics["rhyme_of_real_lines"]) == (50.0, 0.0)


def test_slant_rhymes_and_the_length_of_rhymes_stand_beside_those_of_real_lines_and_of_chance(tmp_path):
    task, _ = make_task(tmp_path, songs=FISH_AND_BIRDS)
    real = {"lazy days": "crazy ways", "in the night": "on my mind", "take me home": "a stone throw", "one sea": "two seas"}
    rows = [{"source": source, "target": target} for source, target in real.items()]
    scores = task.score(["hazy mate", "in the light", "the dome", "in the rain"], rows)
    fields = [(row["rhymes"], row["slant_rhymes"], row["rhyme_length"]) for row in scores.predictions]
    assert fields == [(False, True, 3), (True, True, 3), (True, True, 2), (False, False, 0)]
    metrics = scores.metrics
    assert [metrics[name] for name in ("rhyme", "slant_rhyme", "rhyme_length")] == [50.0, 75.0, 2.0]
    assert [metrics[f"{name}_of_real_lines"] for name in ("rhyme", "slant_rhyme", "rhyme_length")] == [25.0, 100.0, 1.5]
    assert {name for name in metrics if name.endswith("_ci")} >= {"rhyme_ci", "slant_rhyme_ci", "rhyme_length_ci"}


def test_chance_pairs_real_lines_with_lines_that_they_do_not_follow():
    pairs = random_pairs(6)
    assert pairs == random_pairs(6) and all(i != j for i, j in pairs)
    assert {i for i, _ in pairs} == {j for _, j in pairs} == set(range(6)) and 40 < len(pairs) <= 60
    assert random_pairs(1) == []
    rows = [{"source": source, "target": target} for source, target in (("night", "light"), ("sea", "me"))]
    config = settings("task.noise=0")
    by_chance = score_lines(["light", "me"], rows, config).metrics
    assert (by_chance["rhyme"], by_chance["rhyme_of_real_lines"], by_chance["rhyme_by_chance"]) == (100.0, 100.0, 0.0)
    assert (by_chance["slant_rhyme_by_chance"], by_chance["rhyme_length_by_chance"]) == (0.0, 0.0)
    swapped = [{"source": source, "target": target} for source, target in (("night", "me"), ("sea", "light"))]
    assert score_lines(["x", "y"], swapped, config).metrics["rhyme_by_chance"] == 100.0
    assert not any(name.endswith("_by_chance") for name in score_lines(["light"], rows[:1], config).metrics)


def test_evaluation_has_no_noise_even_on_train_and_perplexity_is_per_token(tmp_path):
    task, data = make_task(tmp_path, "task.noise=0.9", "task.generated_lines=1", "generation.num_beams=1", songs=FISH_AND_BIRDS)
    train, validation = (evaluate(task, data[split], "").metrics for split in ("train", "validation"))
    assert train["loss"] == validation["loss"]
    batch = task.collate_fn(data["validation"], np.arange(6), np.random.default_rng(0))
    loss = float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()})) / task.count_targets(batch)
    assert train["loss"] == pytest.approx(loss, rel=1e-4)
    assert train["perplexity"] == pytest.approx(math.exp(loss), rel=1e-3)


def test_baselines(tmp_path):
    task, data = make_task(tmp_path, songs=FISH_AND_BIRDS)
    baselines = task.baselines(data["validation"], data["train"])
    assert list(baselines) == ["random line", "line copied"]
    random_line, copied = baselines.values()
    assert random_line.metrics["exact_copies"] == 100
    assert random_line.metrics == task.baselines(data["validation"], data["train"])["random line"].metrics
    assert [row["prediction"] for row in copied.predictions] == [row["source"] for row in data["validation"].rows]
    assert copied.metrics["rhyme"] == 0  # a word does not rhyme with itself
