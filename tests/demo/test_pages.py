"""Test the page of each task with a tiny trained model: its examples, its answers, and what it says to wrong input."""

import dataclasses
from types import SimpleNamespace

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.demo.app import DemoApp, _describe, group_pages, tab_label
from paddle_ft.demo.blocks import Bars, Columns, Note, Problem, Text, Verse
from paddle_ft.demo.fields import LONGEST_TEXT
from paddle_ft.demo.labels import Label
from paddle_ft.demo.page import DemoPage, Reply
from paddle_ft.demo.pages.lyrics import NO_RHYME, rhyme_note
from paddle_ft.demo.pages.masked_lm import cut_example
from paddle_ft.demo.server import load_page
from paddle_ft.demo.worker import Job, Stopped, Worker
from paddle_ft.tasks.base import Task
from tests.support import tiny_demo
from tests.support.demo_answers import ask, find

TASKS = ("summarization", "sentences", "questions", "lyrics", "masked_lm", "causal_lm")


def problem(page, **values):
    """Return the one message that a page answers with."""
    ((block,),) = ask(page, **values)
    assert isinstance(block, Problem)
    return block.text


def count_steps(page, **values):
    """Return how many tokens a page generates."""
    steps = []

    class CountingReply(Reply):
        def check(self):
            steps.append(1)

    values = {field.name: values.get(field.name, field.value) for field in page.fields()}
    page.answer(values, CountingReply(Job([].append), tuple))
    return len(steps)


@pytest.mark.parametrize("name", TASKS)
def test_every_example_is_answered(pages, name):
    page = pages(name)
    assert page.examples(), name
    for example in page.examples():
        answer = ask(page, lines=2, **example)[-1]
        assert not find(answer, Problem) and len(answer) > 1, example


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("text", [
    pytest.param(text, id=name) for name, text in {
        "emoji": "😀😀👩‍👩‍👧", "half a surrogate pair": "\ud83d", "control characters": "\u0000\u200b",
        "one long word": "a" * LONGEST_TEXT, "html": "<b>&amp;</b>", "long Chinese": "字" * 5000,
    }.items()
])  # fmt: skip
def test_odd_texts_get_an_answer_or_one_message(pages, name, text):
    page = pages(name)
    answer = ask(page, lines=1, **dict.fromkeys(page.examples()[0], text))[-1]
    problems = find(answer, Problem)
    assert not problems or (len(answer) == 1 and "on the server" not in problems[0].text.en), problems


@pytest.mark.parametrize("name", ["summarization", "sentences", "questions", "lyrics", "masked_lm"])
def test_an_empty_text_is_named(pages, name):
    label = problem(pages(name), text="  \n", text_pair="", seed_line=" ")
    assert "is empty: type a text or click an example" in label.en and "为空" in label.zh


@pytest.mark.parametrize("name", TASKS)
def test_a_text_beyond_the_limit_is_refused_with_its_length(pages, name):
    page = pages(name)
    label = problem(page, **dict.fromkeys(page.examples()[0], "a" * (LONGEST_TEXT + 1)))
    assert f"has {LONGEST_TEXT + 1} characters; at most {LONGEST_TEXT} are allowed" in label.en


def test_a_bug_becomes_a_message_and_its_traceback_goes_to_the_console(pages, monkeypatch, capsys):
    page = pages("sentences")
    monkeypatch.setattr(page.task, "predict", lambda texts, label: 1 / 0)
    assert problem(page, text="a good film").en.startswith("Something went wrong on the server.")
    assert "ZeroDivisionError" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- each task
def test_a_summary_is_that_of_predict_and_its_copies_are_marked(pages):
    page = pages("summarization")
    source = page.examples()[0]["text"]
    summary, *others = ask(page, text=source)[-1]
    assert summary.text == page.task.predict([source], "")[0]["prediction"]
    texts = {block.title.en: block for block in others if isinstance(block, Text)}
    assert page.references[source] == texts["In the data"].text and texts["Text"].text == source


def test_the_settings_of_a_summary_are_used(pages):
    page = pages("summarization")
    source = page.examples()[0]["text"]
    assert problem(page, text=source, max_length=4, min_length=8).en == "The shortest length (8) is above the longest (4)."
    steps = [count_steps(page, text=source, num_beams=beams, max_length=n, min_length=n) for beams in (1, 2) for n in (12, 5)]
    assert steps == [12, 5, 12, 5]
    # 24 tokens are what this run reads of a source
    notes = [note.text.en for note in find(ask(page, text=source * 6)[-1], Note)]
    assert any(note.endswith("the model read the first 24 only.") for note in notes)


def test_classes_have_the_probabilities_of_predict(pages):
    page = pages("questions")
    texts = tuple(page.examples()[0].values())
    assert len(texts) == 2
    answer = ask(page, **page.examples()[0])[-1]
    (row,) = page.task.predict([texts], "")
    assert answer[0].text == row["prediction"] and dict(find(answer, Bars)[0].values) == row["probabilities"]
    assert [field.name for field in pages("sentences").fields()] == ["text"]


def test_a_missing_second_question_is_named(pages):
    assert problem(pages("questions"), text="how old are you").en.startswith("“Second text” is empty")


def test_masks_are_filled_by_the_models_before_and_after(pages, tmp_path):
    trained = pages("masked_lm")
    answer = ask(trained, text="the [MASK] film [MASK] .", top=3)[-1]
    assert [len(bars.values) for bars in find(answer, Bars)] == [3, 3] and not find(answer, Columns)
    assert any("started from random weights" in note.text.en for note in find(answer, Note))
    page = load_page(str(tiny_demo.masked_lm(tmp_path / "next", f"{trained.run.path}/best")))
    answer = ask(page, text="the [MASK] film .")[-1]
    (columns,) = find(answer, Columns)
    before, after = ([probability for _, probability in bars.values] for bars in columns.blocks)
    assert [bars.title.en for bars in columns.blocks] == ["before training", "after training"]
    assert before == [p for _, p in trained.task.fill(["the [MASK] film ."], 5, "")[0][0]] and before != after


def test_without_the_pretrained_model_the_page_says_so(pages, tmp_path):
    start = tmp_path / "start"
    start.symlink_to(f"{pages('masked_lm').run.path}/best")
    run = tiny_demo.masked_lm(tmp_path / "next", start)
    start.unlink()
    answer = ask(load_page(str(run)), text="the [MASK] film .")[-1]
    assert len(find(answer, Bars)) == 1
    assert any("The model before training is not reachable" in note.text.en for note in find(answer, Note))


def test_a_text_without_a_mask_or_too_long_for_the_model_is_refused(pages):
    page = pages("masked_lm")
    assert problem(page, text="the film").en == "The text has no [MASK]: put one where a word is to be guessed."
    assert "has 42 tokens, but the model has only 16 positions" in problem(page, text="[MASK] " + "a " * 39).en


@pytest.mark.parametrize(("block", "example"), [
    ("[CLS] [MASK] was ##gu . the film is [MASK] and long [SEP] a [MASK]", "was ##gu . the film is [MASK] and long"),
    ("今天天[MASK]很好[MASK]", "今天天[MASK]很好"), ("[MASK] a", ""), ("no mask at all", ""),
    ("##ing film was very [MASK] too", "film was very [MASK] too"),
])  # fmt: skip
def test_examples_of_masks_are_short_texts_with_one_mask(block, example):
    assert cut_example(block, "[MASK]", ["[CLS]", "[SEP]", "[MASK]"]) == example


def test_a_story_is_streamed_and_depends_on_the_seed(pages):
    page = pages("causal_lm")
    answers = ask(page, prompt="the fox", length=20)
    texts = [find(answer, Text)[0].text for answer in answers]
    assert texts[-1].startswith("the fox") and all(texts[-1].startswith(text.strip()) for text in texts[:-1])
    assert ask(page, prompt="the fox", length=20)[-1][0] == answers[-1][0]
    assert ask(page, prompt="the fox", length=20, seed=2)[-1][0] != answers[-1][0]
    assert "The beginning has 201 tokens" in problem(page, prompt="x" * 201).en


def test_a_song_is_written_line_by_line_with_rhyme_and_originality(pages):
    page = pages("lyrics")
    answers = ask(page, seed_line="the red fish swam by the light", genre="pop", lines=4, noise=0, temperature=0)
    songs = [[verse.line for verse in find(answer, Verse)] for answer in answers]
    assert songs[0] == ["the red fish swam by the light"] and [len(song) for song in songs[:5]] == [1, 2, 3, 4, 5]
    first, *verses = find(answers[-1], Verse)
    assert not first.notes and all(verse.notes[0][0].en.startswith(("rhymes", "slant rhyme", "no rhyme")) for verse in verses)
    assert all(verse.notes[1][0].en.startswith(("originality", "copied")) for verse in verses)
    assert "In colour: a rhyme, and an originality above 50." in [note.text.en for note in find(answers[-1], Note)]


def test_the_labels_of_a_song_are_explained_if_they_are_there(pages):
    page = pages("lyrics")

    def explained(*notes):
        verses = [Verse("the first"), *(Verse("a line", (note,)) for note in notes)]
        return [label.en.split(":")[0] for label in page._explain(verses)]

    assert explained() == []
    assert explained((NO_RHYME, False)) == ["Rhyme", "Originality", "In colour"]
    assert explained((NO_RHYME, False), rhyme_note("heart of stone", "take me home")) == [
        "Rhyme", "Slant rhyme", "Originality", "In colour"
    ]  # fmt: skip


@pytest.mark.parametrize(("styles", "first"), [
    (("country", "hip hop", "rap"), "hip hop"), (("pop", "trap", "rap/rnb"), "rap/rnb"), (("流行", "说唱"), "说唱"),
    (("b", "c"), "b"),
])  # fmt: skip
def test_a_song_begins_with_a_genre_that_is_rapped(pages, monkeypatch, styles, first):
    page = pages("lyrics")
    monkeypatch.setattr(page.task, "known_prefixes", lambda: [f"<style:{style}>" for style in styles])
    assert {field.name: field.value for field in page.fields()}["genre"] == first


def test_the_songs_are_read_without_the_lines_of_a_training(pages, capsys):
    load_page(pages("lyrics").run.path)
    assert "song" not in capsys.readouterr().err


def test_a_run_without_examples_does_not_speak_of_them(pages):
    run = pages("sentences").run
    page = type(pages("sentences"))(dataclasses.replace(run, predictions=[]))
    assert problem(page, text=" ").en == "“Text” is empty: type a text."
    assert problem(pages("sentences"), text=" ").en == "“Text” is empty: type a text or click an example."


def test_the_page_says_that_a_training_has_not_finished(pages):
    run = pages("sentences").run
    assert "not finished" not in _describe(run).en
    unfinished = _describe(dataclasses.replace(run, results={**run.results, "status": "training"}))
    assert "its training has not finished" in unfinished.en and "训练尚未完成" in unfinished.zh


@pytest.mark.parametrize(
    ("line", "previous", "english", "chinese", "is_good"),
    [
        ("came at night", "by the light", "rhymes", "押韵", True),
        ("crazy ways", "lazy days", "rhymes, 3 syllables", "押韵，3 个音节", True),
        ("heart of stone", "take me home", "slant rhyme", "近韵", True),
        ("地上的英雄", "天上的星星", "slant rhyme, 4 syllables", "近韵，4 个音节", True),
        ("in the rain", "by the light", "no rhyme", "不押韵", False),
        ("by the light", "by the light", "no rhyme", "不押韵", False),
    ],
)
def test_the_remark_about_the_rhyme_of_a_line(line, previous, english, chinese, is_good):
    assert rhyme_note(line, previous) == (Label(english, chinese), is_good)


def test_without_the_training_songs_there_is_no_originality(pages, tmp_path):
    run = tiny_demo.lyrics(tmp_path)
    (tmp_path / "songs.jsonl").unlink()
    answer = ask(load_page(str(run)), seed_line="two birds", genre="folk", lines=1)[-1]
    (_, verse) = find(answer, Verse)
    assert len(verse.notes) == 1 and verse.source is None
    assert any("No originality: it needs the training songs" in note.text.en for note in find(answer, Note))


# ---------------------------------------------------------------------------------------------------- any task
def test_a_task_of_the_users_own_gets_the_page_for_all_tasks(pages, monkeypatch):
    run = pages("sentences").run
    monkeypatch.setattr(type(run.task), "demo_page", Task.demo_page)
    from paddle_ft.demo.pages import make_page

    page = make_page(run)
    assert type(page) is DemoPage
    answer = ask(page, **page.examples()[0])[-1]
    assert answer[0].text == page.task.predict([page.examples()[0]["text"]], "")[0]["prediction"]


def test_runs_whose_forms_are_the_same_share_a_tab(pages):
    sentences, questions, summaries = (pages(name) for name in ("sentences", "questions", "summarization"))
    assert group_pages([sentences, summaries, questions, sentences]) == [[sentences, sentences], [summaries], [questions]]
    assert [tab_label(group) for group in ([sentences], [sentences, sentences, sentences])] == ["run", "run +2"]


@pytest.mark.parametrize("name", TASKS)
def test_fields_start_with_values_that_they_accept(pages, name):
    for field in pages(name).fields():
        assert field.clean(field.value) == field.value, field


@pytest.mark.parametrize(("name", "values"), [
    ("summarization", {"max_length": 30, "min_length": 30, "num_beams": 4}),
    ("summarization", {"max_length": 30, "min_length": 30, "num_beams": 1}),
    ("causal_lm", {"length": 30}), ("lyrics", {"lines": 24}),
])  # fmt: skip
def test_a_generation_stops_between_two_tokens(pages, name, values):
    """Nothing is shown before the generation has been stopped at its third check, and nothing after it."""
    page, checks = pages(name), []

    class StoppedReply(Reply):
        def check(self):
            checks.append(1)
            if len(checks) == 3:
                self._job.stop()
            super().check()

    shown = []
    reply = StoppedReply(Job(shown.append), tuple)
    values = {field.name: values.get(field.name, field.value) for field in page.fields()} | page.examples()[0]
    with pytest.raises(Stopped):
        page.answer(values, reply)
    assert len(checks) == 3


def test_the_page_is_laid_out_for_all_runs(pages):
    worker = Worker()
    try:
        blocks = DemoApp(group_pages([pages(name) for name in TASKS]), worker, "zh").build()
        names = {function.api_name for function in blocks.fns.values() if function.api_visibility == "public"}
    finally:
        worker.close()
    assert names == {"summarization", "classification", "classification_2", "lyrics", "masked_lm", "causal_lm"}


def test_a_sample_run_is_named_by_what_it_was_trained_on(pages):
    run = pages("sentences").run
    generated = dataclasses.replace(run, results={"sample": True})
    assert "a short training with --sample" in _describe(generated).en  # on the tests' own sentences
    generated.task = SimpleNamespace(config=load_config("distilbert_sst2", sample=True))
    assert "trained on generated text only" in _describe(generated).en and "仅用生成的样例文本训练" in _describe(generated).zh
    scored = dataclasses.replace(run, results={"best": {"metric": "accuracy"}, "metrics": {"test": {"accuracy": 50.0}}})
    assert "accuracy 50.00 (test)" in _describe(scored).en and "准确率 50.00 (测试集)" in _describe(scored).zh
