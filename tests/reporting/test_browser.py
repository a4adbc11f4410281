"""Open the report and the model card of hostile data in a real browser: no script of the data runs."""

import json

import markdown
import pytest

from paddle_ft.reporting.card import write_card
from paddle_ft.reporting.page import write_report
from tests.support.browser import open_browser

pytestmark = pytest.mark.slow

ATTACKS = (
    "<script>document.title='HACKED'</script>",
    "<img src=x onerror=\"document.title='HACKED'\">",
    "\"><svg onload=document.title='HACKED'>",
    "</title></style></script><script>document.title='HACKED'</script>",
    "javascript:document.title='HACKED'",
    "<iframe srcdoc=\"<script>parent.document.title='HACKED'</script>\"></iframe>",
    "{{ 7 * 7 }} ${7 * 7} <%= 7 * 7 %>",
)


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run in which every text that comes from data, files or settings is an attack."""
    folder = tmp_path_factory.mktemp("run")
    every = " ".join(ATTACKS)
    config = {"recipe": every, "seed": 1, "task": {"name": "summarization", every: every}, "model": {"pretrained": every},
              "data": {"source": every, "train": every}, "train": {}}  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps(config))
    facts = {"rows": 3, f"rows of class {every}": 3, every: every}
    results = {
        "task": every, "status": "finished", "data": {"train": facts, "validation": facts, "label_names": list(ATTACKS)},
        "metrics": {"validation": {"loss": 1.0, every: 2.0, "tokenizer": every, "confusion_matrix": [[1, 2], [3, 4]]}},
        "baseline": {"name": every, "validation": {"loss": 2.0}}, "best": {"metric": every, "value": 2.0, "step": 1},
        "train": {every: every}, "versions": {every: every}, "decisions": list(ATTACKS),
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    events = [{"event": "eval", "split": "validation", "step": 1, "loss": 1.0, every: 2.0}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    rows = [{"source": attack, "target": attack, "prediction": attack, attack: attack} for attack in ATTACKS]
    (folder / "predictions-validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "best").mkdir()
    (folder / "best" / "config.json").write_text(json.dumps({"architectures": [every], "model_type": every}))
    write_report(folder)
    write_card(folder)
    return folder


def title_of(browser, html: str) -> str:
    """Return the title of a page after its scripts have had time to run."""
    page = browser.new_page()
    try:
        page.set_content(html)
        page.wait_for_timeout(500)
        return page.title()
    finally:
        page.close()


def test_a_script_would_run(browser):
    for attack in (ATTACKS[0], ATTACKS[1]):
        assert title_of(browser, f"<title>fine</title>{attack}") == "HACKED"


def test_no_script_runs_in_the_report(browser, run):
    """Not even without the rule in the page that forbids the browser to run any."""
    html = (run / "report.html").read_text(encoding="utf-8")
    start = html.index('<meta http-equiv="Content-Security-Policy"')
    without_rule = html[:start] + html[html.index(">", start) + 1 :]
    for text in (html, without_rule):
        title = title_of(browser, text)
        assert title != "HACKED" and title.startswith(ATTACKS[0])
    assert "49" not in title_of(browser, html)


def test_no_script_runs_in_the_card(browser, run):
    """Markdown is made into HTML as it stands, while the hubs also remove scripts."""
    text = (run / "best" / "README.md").read_text(encoding="utf-8")
    html = markdown.markdown(text, extensions=["fenced_code", "tables"])
    assert "<script" not in html and "&lt;script&gt;" in html
    assert title_of(browser, f"<title>fine</title>{html}") == "fine"
