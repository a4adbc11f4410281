"""Test the page in a real browser: what a visitor sees, types and clicks, on a desktop and on a phone, in both languages.

Chromium is driven by playwright. The screenshots are in the test's temporary folder (--basetemp keeps it). Without a browser the
tests fail; CONTRIBUTING.md says how to install one, and how to leave them out.
"""

import shutil
import threading
import time

import pytest

import paddle_ft.generation as generation
from paddle_ft.demo.server import DemoServer
from tests.support import tiny_demo
from tests.support.browser import open_browser

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TASKS = ("summarization", "questions", "masked_lm", "lyrics", "causal_lm")
LONG = 60_000  # milliseconds after which a test that hangs fails

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {name: str(getattr(tiny_demo, name)(tmp_path_factory.mktemp("runs") / name)) for name in TASKS}


@pytest.fixture(scope="module")
def server(runs, tmp_path_factory):
    other = shutil.copytree(runs["summarization"], tmp_path_factory.mktemp("runs") / "other")
    with DemoServer([*runs.values(), str(other)], port=0) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser, server):  # the browser first, because making the runs takes a while
    """Return a function that opens the page as a new visitor. At the end, no visitor has seen an error or another host."""
    contexts, foreign, errors = [], [], []

    def open_page(locale="en-US", size=DESKTOP):
        contexts.append(browser.new_context(locale=locale, viewport=size))
        page = contexts[-1].new_page()
        page.set_default_timeout(LONG)
        page.on("request", lambda request: foreign.append(request.url)
                if not request.url.startswith((server.url, "data:", "blob:")) else None)  # fmt: skip
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server.url)
        page.locator(".ft-run:visible").wait_for()
        page.get_by_text("中文", exact=True).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign == [] and errors == []


def panel(page, number):
    """Open a tab, and return what it shows. Tabs that do not fit on a phone are in a menu."""
    tabs = page.get_by_role("tab")
    if number < tabs.count():
        tabs.nth(number).click()
    else:
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button").nth(number - tabs.count()).click()
    shown = page.locator(".tabitem:visible").first
    shown.locator(".ft-run").wait_for()
    return shown


def ask_example(shown):
    """Click the first example, and at once the button."""
    shown.locator(".gallery-item").first.click()
    shown.locator(".ft-run").click()


def complete(shown):
    """Wait for the time below the answer, and return the text of the answer."""
    shown.locator(".ft-output .ft-remark", has_text="s").last.wait_for()
    return shown.locator(".ft-output").first.inner_text()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("number", range(len(TASKS)), ids=TASKS)
def test_an_example_is_clicked_and_answered(visit, tmp_path, number, size):
    page = visit(size=size)
    shown = panel(page, number)
    ask_example(shown)
    assert len(complete(shown)) > 10
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page is wider than the screen"


def test_runs_of_one_task_answer_beside_each_other(visit):
    shown = panel(visit(), 0)
    ask_example(shown)
    first, second = shown.locator(".ft-output .ft-large").nth(0), shown.locator(".ft-output .ft-large").nth(1)
    first.wait_for()
    second.wait_for()
    assert first.inner_text() == second.inner_text() != ""  # the second run is a copy of the first
    assert abs(first.bounding_box()["y"] - second.bounding_box()["y"]) < 100  # the names above may have one line more
    assert first.bounding_box()["x"] + 100 < second.bounding_box()["x"]


def test_the_language_is_the_browsers_and_can_be_switched(visit):
    page = visit("zh-CN")
    page.get_by_role("button", name="生成摘要").wait_for()
    page.get_by_text("English", exact=True).click()
    page.get_by_role("button", name="Summarise").wait_for()
    panel(page, 1).get_by_text("First text").wait_for()
    assert page.get_by_text("生成摘要").count() == 0


@pytest.mark.parametrize(("number", "text", "message"), [
    (0, "   ", "is empty: type a text or click an example"), (2, "no mask here", "The text has no [MASK]"),
    (2, "[MASK] " + "a " * 50, "the model has only 16 positions"), (0, "字" * 20_001, "at most 20000 are allowed"),
], ids=["empty", "no mask", "too long for the model", "too long for the page"])  # fmt: skip
def test_wrong_input_gives_one_message_and_the_next_input_an_answer(visit, number, text, message):
    shown = panel(visit(), number)
    shown.locator("textarea").first.fill(text)
    shown.locator(".ft-run").click()
    problem = shown.locator(".ft-output .ft-problem").first
    problem.wait_for()
    assert message in problem.inner_text() and shown.locator(".ft-output").first.inner_text() == problem.inner_text()
    ask_example(shown)
    shown.locator(".ft-output .ft-large").first.wait_for()
    assert shown.locator(".ft-problem").count() == 0


def test_a_text_that_is_far_too_long_is_refused_in_the_visitors_language_in_place_of_the_answer(visit):
    page = visit("zh-CN")
    shown = panel(page, 4)
    shown.locator("textarea").first.fill("the fox")
    shown.locator(".ft-run").click()
    shown.locator(".ft-output .ft-remark", has_text="用时").wait_for()
    shown.locator("textarea").first.fill("字" * 3_000_000)
    shown.locator(".ft-run").click()
    problem = shown.locator(".ft-output .ft-problem")
    problem.wait_for()
    assert "有 3000000 个字符，最多允许 20000 个。" in problem.inner_text()
    assert shown.locator(".ft-output").first.inner_text() == problem.inner_text()
    assert page.locator(".toast-wrap .toast-body").count() == 0


def test_the_title_is_there_on_a_phone(visit):
    page = visit(size=PHONE)
    title, switch = page.locator(".ft-header h1"), page.get_by_text("中文", exact=True)
    assert title.is_visible() and switch.is_visible()
    edge = """() => { const range = document.createRange(); range.selectNodeContents(document.querySelector('.ft-header h1'));
                      return range.getBoundingClientRect().right; }"""
    written = page.evaluate(edge)
    assert written < page.locator(".ft-header label").first.bounding_box()["x"], "the switch covers the title"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_stop_says_so_only_where_something_was_stopped(visit, monkeypatch):
    """The second answer is stopped before anything of it is there: the first one must not be taken for it."""
    real, hold = generation.stream, threading.Event()

    def slowly(*arguments):
        for token in real(*arguments):
            hold.wait(LONG / 1000)
            yield token

    page = visit()
    shown = panel(page, 4)
    status = shown.locator(".ft-status").first
    shown.locator(".ft-stop").click()
    shown.locator("textarea").first.fill("the fox")
    shown.locator(".ft-run").click()
    complete(shown)
    assert status.inner_text() == ""
    shown.locator(".ft-stop").click()
    page.wait_for_timeout(500)
    assert status.inner_text() == ""
    monkeypatch.setattr(generation, "stream", slowly, raising=False)
    shown.locator(".ft-run").click()
    page.wait_for_timeout(500)
    shown.locator(".ft-stop").click()
    shown.locator(".ft-status", has_text="Stopped.").first.wait_for()
    page.wait_for_timeout(500)
    assert shown.locator(".ft-output").first.inner_text() == "" and status.inner_text() == "Stopped."
    hold.set()
    shown.locator(".ft-run").click()
    complete(shown)
    assert status.inner_text() == ""


def test_a_wrong_number_gives_one_message_in_the_visitors_language(visit):
    """The browser itself keeps numbers in the slider's range, but not whole."""
    shown = panel(visit("zh-CN"), 0)
    shown.locator("input[type=number]").first.fill("2.7")
    ask_example(shown)
    problem = shown.locator(".ft-output .ft-problem").first
    problem.wait_for()
    assert problem.inner_text() == "“束宽（1：贪心搜索）”必须是 1 到 8 之间的整数。"


def test_html_and_emoji_of_a_visitor_are_shown_as_they_are(visit):
    page = visit()
    shown = panel(page, 4)
    shown.locator("textarea").first.fill("<img src=x onerror=alert(1)>😀")
    shown.locator(".ft-run").click()
    assert "<img src=x onerror=alert(1)>" in complete(shown)
    assert page.locator("img[src=x]").count() == 0


def test_two_visitors_at_once_get_their_own_answers(visit):
    pages = [visit(), visit("zh-CN")]
    prompts = ["the fox", "the king"]
    panels = [panel(page, 4) for page in pages]
    for shown, prompt in zip(panels, prompts, strict=True):
        shown.locator("textarea").first.fill(prompt)
    for shown in panels:
        shown.locator(".ft-run").click()
    for shown, prompt in zip(panels, prompts, strict=True):
        shown.locator(".ft-output .ft-remark").last.wait_for()
        assert prompt in shown.locator(".ft-output .ft-large").inner_text()


@pytest.mark.parametrize("how", ["the button", "the window is closed"])
def test_a_generation_that_nobody_waits_for_stops(visit, monkeypatch, how):
    """The text grows on the page, until the visitor stops it. Another visitor, who waited in the queue, is then served."""
    steps, stopped, real = [], threading.Event(), generation.stream

    def slowly(*arguments):
        try:
            while True:
                for token in real(*arguments):
                    steps.append(token)
                    time.sleep(0.05)
                    yield token
        finally:
            stopped.set()

    monkeypatch.setattr(generation, "stream", slowly, raising=False)
    page, other = visit(), visit()
    shown, waiting = panel(page, 4), panel(other, 1)
    shown.locator("textarea").first.fill("the fox")
    shown.locator(".ft-run").click()
    shown.locator(".ft-output .ft-large").wait_for()
    ask_example(waiting)
    assert not stopped.is_set()
    if how == "the button":
        shown.locator(".ft-stop").click()
        shown.locator(".ft-status", has_text="Stopped.").first.wait_for()
    else:
        page.close()
    assert stopped.wait(LONG / 1000)
    count = len(steps)
    waiting.locator(".ft-output .ft-large").wait_for()
    assert len(steps) == count
