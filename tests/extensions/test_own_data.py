"""Test a user's dataset on the command line: one YAML file, and one module if its format or its source is new."""

import json
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paddle_ft import cli
from tests.support.examples import copy_examples, evaluate_and_predict, read_results, run_command, train_example


def predictions(folder, split):
    lines = (folder / "run" / f"predictions-{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_table_needs_one_yaml(tmp_path):
    folder = copy_examples(tmp_path / "mine", "my_reviews.yaml", "reviews.csv", "reviews-dev.csv")
    printed = train_example(folder, "my_reviews.yaml", "train.num_train_epochs=1")
    results = read_results(folder)
    assert (results["data"]["train"]["rows"], results["data"]["validation"]["rows"]) == (48, 12)
    assert results["data"]["label_names"] == ["1", "2", "3", "4", "5"]
    assert "accuracy" in printed and "accuracy" in (folder / "run" / "report.html").read_text()
    (folder / "new.txt").write_text("The battery is excellent.\n")
    metrics, (row,) = evaluate_and_predict(folder, "validation", "new.txt")
    assert metrics == results["metrics"]["validation"]
    assert row["text"] == "The battery is excellent." and row["prediction"] in results["data"]["label_names"]


def test_a_format_needs_one_reader(tmp_path, monkeypatch, capsys):
    folder = copy_examples(tmp_path / "mine", "my_pairs.yaml", "my_format.py", "news.pairs", "news-dev.pairs")
    printed = train_example(folder, "my_format.py", "train.num_train_epochs=1")
    results = read_results(folder)
    assert (results["data"]["train"]["rows"], results["data"]["validation"]["rows"]) == (20, 4)
    assert "rougeL" in printed
    pairs = [f"{row['source']} => {row['target']}" for row in predictions(folder, "validation")]
    assert pairs == (folder / "news-dev.pairs").read_text().splitlines()
    metrics, rows = evaluate_and_predict(folder, "validation", "news-dev.pairs", "my_format")
    assert metrics == results["metrics"]["validation"]
    assert [row["source"] for row in rows] == [pair.split(" => ")[0] for pair in pairs]

    monkeypatch.chdir(folder)  # and without --import
    for command in (["evaluate", "run"], ["predict", "run", "--input", "news-dev.pairs"]):
        assert cli.main(command) == 2
        message = capsys.readouterr().err
        assert ".pairs: unknown extension .pairs; supported: " in message
        assert "If this is a format of your own, name its module: --import MODULE." in message


@pytest.fixture
def trained_on_pages(tmp_path):
    """Return a folder with the run of my_source.py."""
    folder = copy_examples(tmp_path / "mine", "my_pages.yaml", "my_source.py", "pages")
    train_example(folder, "my_source.py", "train.num_train_epochs=1")
    return folder


def test_a_source_is_pointed_at_or_downloaded(trained_on_pages, tmp_path, monkeypatch, capsys):
    folder = trained_on_pages
    results = read_results(folder)
    assert (results["data"]["train"]["rows"], results["data"]["test"]["rows"]) == (4, 2)
    assert [row["target"] for row in predictions(folder, "test")] == ["Market", "Tunnel"]
    (folder / "new.txt").write_text("A long text\n")
    metrics, (row,) = evaluate_and_predict(folder, "test", "new.txt", "my_source")
    assert metrics == results["metrics"]["test"] and row["source"] == "A long text"

    shutil.make_archive(str(tmp_path / "site" / "pages"), "zip", folder / "pages")
    with Website(tmp_path / "site") as address:
        monkeypatch.setenv("PADDLE_FT_MIRROR", address)  # in place of example.org
        evaluation = ["-m", "paddle_ft", "evaluate", "run", "--import", "my_source", "--json", "data.source=my_pages"]
        downloaded = json.loads(run_command(folder, *evaluation).stdout)
    assert downloaded["metrics"] == metrics
    assert (folder / "cache" / "datasets" / "pages.zip").is_file()

    monkeypatch.chdir(folder)  # and without --import
    assert cli.main(["evaluate", "run"]) == 2
    message = capsys.readouterr().err
    assert "data.source: my_pages:pages: there is no source 'my_pages'." in message
    assert "If this is a source of your own, name its module: --import MODULE." in message


class Website:
    """Serve the files of a folder on this machine. The context manager returns the address."""

    def __init__(self, folder):
        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *exc) -> None:
        self.server.shutdown()
        self.server.server_close()
