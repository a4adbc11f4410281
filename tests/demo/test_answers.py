"""Test that the answers of a page are those of its run and of its settings: marks, notes, and whose answer stands where."""

import asyncio

from paddle_ft.demo.app import DemoApp
from paddle_ft.demo.blocks import Note, Text, Verse
from paddle_ft.demo.pages import lyrics
from paddle_ft.demo.pages.lyrics import COPY, NEAREST, ORIGINALITY
from paddle_ft.demo.server import load_page
from paddle_ft.demo.worker import Worker
from paddle_ft.tasks.lyrics.songwriter import SongWriter
from tests.support.demo_answers import ask, find


def test_what_a_summary_copies_is_marked_in_both(pages, monkeypatch):
    page = pages("summarization")
    monkeypatch.setattr(page.task, "texts", lambda rows: ["天气晴朗，北京"])
    answer = ask(page, text="今天北京天气晴朗")[-1]
    texts = {block.title.en: block for block in find(answer, Text)}
    summary, source = texts["Summary"], texts["Text"]
    assert [summary.text[start:end] for start, end in summary.spans] == ["天气晴朗", "北京"]
    assert [source.text[start:end] for start, end in source.spans] == ["北京", "天气晴朗"]
    assert any(note.text.en.startswith("100 % of the summary's words (in Chinese: characters) are") for note in find(answer, Note))


def test_each_line_of_a_song_has_its_originality_and_its_nearest_training_line(pages, monkeypatch):
    page = pages("lyrics")
    known = page.index.lines[3]
    near = f"{known} tonight"
    monkeypatch.setattr(SongWriter, "write", lambda self, seed, count, show: ([show(line) for line in (seed, near, known, "zzz")],))
    _, changed, copied, own = find(ask(page, seed_line="two birds", genre="pop", lines=3)[-1], Verse)
    origin = page.index.origin(near)
    assert 0 < origin.bleu < 100
    assert changed.notes[1] == (ORIGINALITY.format(value=100 - origin.bleu), origin.bleu < 50)
    assert changed.source == NEAREST.format(line=known)
    assert copied.notes[1] == (COPY, False) and copied.source is None
    assert own.notes[1] == (ORIGINALITY.format(value=100), True) and own.source is None


def test_the_settings_of_a_song_reach_its_writer(pages, monkeypatch):
    page, made = pages("lyrics"), []

    class Writer(SongWriter):
        def __init__(self, task, search, noise, prefix, seed, check):
            made.append((search, noise, prefix, seed))
            super().__init__(task, search, noise, prefix, seed, check)

    monkeypatch.setattr(lyrics, "SongWriter", Writer)
    ask(page, seed_line="two birds", genre="folk", lines=1, noise=0.4, temperature=0.7, seed=5)
    ask(page, seed_line="two birds", genre="pop", lines=1, noise=0, temperature=0, seed=6)
    beams = page.task.config.generation
    assert made == [
        ({"do_sample": True, "temperature": 0.7}, 0.4, "<style:folk>", 5),
        ({"num_beams": beams.num_beams, "early_stopping": beams.early_stopping}, 0.0, "<style:pop>", 6),
    ]


def test_the_temperature_of_a_story_is_used(pages):
    page = pages("causal_lm")
    texts = {t: ask(page, prompt="the fox", length=20, temperature=t)[-1][0].text for t in (0, 0.1, 2)}
    (row,) = page.task.generate_texts(
        {"prompt": "the fox", "genre": None, "title": None, "author": None, "stop_token": None, "length": 20, "run": "", "seed": 1},
        {"num_return_sequences": 1}, None,
    )  # fmt: skip
    assert texts[0] == row["text"] and len(set(texts.values())) > 1 and texts[0.1] != texts[2]


def test_runs_that_share_a_tab_answer_with_their_own_models(pages, monkeypatch):
    """Each column has the answer of its run, also before the runs after it have theirs."""
    first = pages("sentences")
    second = load_page(first.run.path)
    for page, name in ((first, "one"), (second, "two")):
        row = {"prediction": name, "probabilities": {name: 1.0}}
        monkeypatch.setattr(page.task, "predict", lambda texts, label, row=row: [row])
    worker = Worker()
    try:
        app = DemoApp([[first, second]], worker, "en")
        answer = app._handler([first, second], first.fields(), "tab")

        async def collect():
            return [update async for update in answer("a good film", "en")]

        updates = asyncio.run(collect())
    finally:
        worker.close()
    assert updates[0] == ["", ""], "the earlier answers go"
    assert "one" in updates[1][0] and updates[1][1] == ""
    assert "one" in updates[-1][0] and "two" not in updates[-1][0] and "two" in updates[-1][1] and "one" not in updates[-1][1]
