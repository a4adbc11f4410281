"""Make runs.tar.xz: runs of an earlier version of this project, and what that version's commands give for them.

    git worktree add ../earlier 7070f49
    python -m tests.compatibility.make_runs ../earlier

The commands are those of the given checkout. They run in a new folder with relative paths, so that the runs can be unpacked
anywhere. The archive contains

    data/            the invented rows that the runs train on
    home/            PADDLE_FT_HOME: a downloaded model, its conversions, tokenised data
    hf/, converted/  Hugging Face checkpoints from tests/fixtures, and the same after `convert to-paddle`
    NAME/            a run of cases.py, stopped by SIGTERM or finished
    expected.json    for each run the outputs of its commands, the files after --resume, the outputs after that, and the tensors
                     that `convert to-hf` writes for its model
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import product
from pathlib import Path

from tests.compatibility.cases import CASES, CONVERTED, HUB_ID, STOP_AFTER, TRAINING, without_measured
from tests.compatibility.reading import list_files, read_jsonl, tensor_hashes

HERE = Path(__file__).resolve().parent
ARCHIVE = HERE / "runs.tar.xz"
MODIFIED = 1_700_000_000  # modification time of the hub's files, because the name of their conversion depends on it
TIMEOUT = 300  # seconds for one command


# ---------------------------------------------------------------------------------------------------- data
def write_data(folder: Path) -> None:
    """Write the invented rows of all runs."""
    folder.mkdir()
    write_news(folder)
    write_songs(folder)
    write_reviews(folder)
    write_books(folder)


def write_news(folder: Path) -> None:
    cities = ["北京", "上海", "广州", "深圳"]
    events = [("今天天气晴朗", "晴"), ("明天有大雨", "雨"), ("今晚举行比赛", "赛"), ("地铁新线开通", "铁")]
    rows = [f"{city}{short}\t{city}{event}\n" for city, (event, short) in product(cities, events)]
    (folder / "news.tsv").write_text("".join(rows), encoding="utf-8")
    (folder / "news_dev.tsv").write_text("".join(rows[1::5]), encoding="utf-8")
    (folder / "new_news.txt").write_text("北京明天有比赛\n深圳今天有雨\n上海新线开通\n", encoding="utf-8")


def write_songs(folder: Path) -> None:
    pairs = {
        "rap": [
            ("the red fox ran over the hill", "the blue fox stood there still"),
            ("an old fox slept in the light", "a new fox woke in the night"),
            ("the red fish swam by the mill", "the grey fish ate its fill"),
        ],
        "country": [
            ("a bird flew over the sea", "a bird sat high in a tree"),
            ("two birds are looking at me", "all birds are happy and free"),
            ("the wind blew the leaves from the tree", "the rain fell into the sea"),
        ],
    }
    for name, part in (("songs", slice(None)), ("songs_dev", slice(1, 3))):
        for genre, songs in pairs.items():
            (folder / name / genre).mkdir(parents=True)
            for number, lines in enumerate(songs[part]):
                text = "[Verse 1]\n" + "\n".join([*lines, f"and {lines[0]}"]) + "\n"
                (folder / name / genre / f"song{number}.txt").write_text(text)
    lines = ["<style:rap>the red fox ran over the hill", "<style:country>a bird sat high in a tree"]
    (folder / "new_lines.jsonl").write_text("".join(json.dumps({"source": line}) + "\n" for line in lines))


def write_reviews(folder: Path) -> None:
    words = {"pos": ["good", "fine", "warm", "lovely"], "neg": ["bad", "poor", "cold", "boring"]}
    frames = ["a {} film with a {} story", "the end was {} and the music {}", "we saw a {} play , so {} !"]
    rows = [
        {"text": frame.format(first, second), "label": label}
        for frame in frames
        for label, adjectives in words.items()
        for first, second in zip(adjectives, adjectives[1:] + adjectives[:1], strict=True)
    ]
    for name, split in (("reviews", rows), ("reviews_dev", rows[::3])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in split))
    with open(folder / "reviews_test.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["text", "label"], lineterminator="\n")
        table.writeheader()
        table.writerows(rows[1::4])
    (folder / "new_reviews.txt").write_text("a good play\nthe story was boring , so bad !\nwarm music and a poor end\n")


def write_books(folder: Path) -> None:
    heroes = ["fox", "bird", "fish", "girl", "king"]
    deeds = ["finds a home by the sea", "loses a friend in the night", "saves the old town"]
    rows = [
        {
            "text": f"The {hero} {deed}. Then the {hero} is happy.",
            "genres": "Fable" if number % 2 else "Satire",
            "title": f"The {hero.title()}",
        }
        for number, (hero, deed) in enumerate(product(heroes, deeds))
    ]
    (folder / "books.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


# ---------------------------------------------------------------------------------------------------- commands
class Checkout:
    """A checkout of the project. Its commands run in `folder`."""

    def __init__(self, tree: Path, folder: Path):
        self.tree, self.folder = tree, folder
        self.environment = {
            **os.environ, "PYTHONPATH": str(tree), "PADDLE_FT_HOME": str(folder / "home"),
            "HF_ENDPOINT": "http://127.0.0.1:9", "PADDLE_FT_MIRROR": "http://127.0.0.1:9",
        }  # fmt: skip

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=self.environment, text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a command to its end. Return its output. Raise SystemExit if it fails."""
        process = self.start(*command)
        output, errors = process.communicate(timeout=TIMEOUT)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}:\n{errors}")
        return output

    def train(self, *arguments: str) -> str:
        return self.run(str(self.tree / "train.py"), *arguments)

    def output_of(self, arguments: tuple[str, ...]) -> str:
        """Run `python -m paddle_ft`. Return its output, or the contents of the file that --output OUTPUT.* names."""
        arguments = tuple(argument.replace("OUTPUT", "output") for argument in arguments)
        output = self.run("-m", "paddle_ft", *arguments)
        files = [self.folder / name for name in arguments if name.startswith("output.")]
        if not files:
            return output
        text = files[0].read_text(encoding="utf-8")
        files[0].unlink()
        return text

    def train_until_stopped(self, name: str, arguments: list[str]) -> int:
        """Start a training and stop it with SIGTERM after STOP_AFTER steps. Return the step of its last checkpoint."""
        process = self.start(str(self.tree / "train.py"), *arguments)
        metrics = self.folder / name / "metrics.jsonl"
        while process.poll() is None:
            if metrics.exists() and f'"step": {STOP_AFTER},' in metrics.read_text():
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.001)
        _, errors = process.communicate(timeout=TIMEOUT)
        if process.returncode != 143:
            raise SystemExit(f"{name} was not stopped but ended with exit code {process.returncode}:\n{errors}")
        step = json.loads((self.folder / name / "last/trainer/state.json").read_text())["step"]
        print(f"{name}: stopped at step {step}", flush=True)
        return step


def make_hub_model(checkout: Checkout) -> None:
    """Make a tiny model in Hugging Face's layout, in the directory of a download from the hub."""
    model = CASES["finished"].settings[1]
    checkout.train(
        "--config", "distilbert_imdb_mlm", *TRAINING, "output_dir=base", "model.pretrained=null", model, "model.new_vocabulary=80",
        "data.train=data/reviews.jsonl", "data.validation=data/reviews_dev.jsonl", "task.chunk_size=12", "task.train_chunks=null",
        "task.eval_chunks=null", "train.max_steps=5", "data.cache=false",
    )  # fmt: skip
    target = checkout.folder / "home" / "hub" / HUB_ID.replace("/", "--")
    target.parent.mkdir(parents=True)
    checkout.run("-m", "convert", "to-hf", "base/best", str(target))
    for path in target.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
    shutil.rmtree(checkout.folder / "base")


def convert_fixtures(checkout: Checkout) -> None:
    """Convert checkpoints of tests/fixtures to Paddle, and keep both versions."""
    for name in CONVERTED:
        family, task = name.split("/")
        with tarfile.open(HERE.parent / "fixtures" / f"{family}.tar.xz") as archive:
            members = [m for m in archive if m.name.startswith(f"{task}/") and "gradients" not in m.name]
            archive.extractall(checkout.folder / "hf" / family, members, filter="data")
        checkout.run("-m", "convert", "to-paddle", f"hf/{name}", f"converted/{name}")


def make_run(checkout: Checkout, name: str) -> int:
    """Make one run. Return the step of its last checkpoint."""
    case = CASES[name]
    arguments = ["--config", case.recipe, f"output_dir={name}", *TRAINING, *case.settings]
    if not case.finished:
        return checkout.train_until_stopped(name, arguments)
    checkout.train(*arguments)
    return json.loads((checkout.folder / name / "last/trainer/state.json").read_text())["step"]


def expected_results(checkout: Checkout, name: str, step: int) -> dict:
    """Return the entry of expected.json for a run: outputs and files before and after --resume. This finishes the run."""
    case, run = CASES[name], checkout.folder / name
    expected = {"step": step, "answers": command_outputs(checkout, name)}
    if case.hf:
        checkout.run("-m", "convert", "to-hf", f"{name}/best", "back")
        expected["hf_tensors"] = tensor_hashes(checkout.folder / "back")
        expected["hf_config"] = json.loads((checkout.folder / "back" / "config.json").read_text())
        shutil.rmtree(checkout.folder / "back")
    checkout.train("--config", f"{name}/config.yaml", "--resume")
    expected["metrics"] = without_measured(read_jsonl(run / "metrics.jsonl"))
    expected["results"] = without_measured(json.loads((run / "results.json").read_text(encoding="utf-8")))
    expected["predictions"] = {path.name: read_jsonl(path) for path in sorted(run.glob("predictions-*.jsonl"))}
    expected["files"] = list_files(run)
    expected["answers_after_resume"] = command_outputs(checkout, name)
    return expected


def command_outputs(checkout: Checkout, name: str) -> dict[str, str]:
    """Return the output of each command of a case, by the command's name."""
    return {label: checkout.output_of(arguments) for label, arguments in CASES[name].commands.items()}


def main(tree: Path) -> None:
    """Make the archive with the commands of a checkout."""
    with tempfile.TemporaryDirectory() as name:
        folder, archived = Path(name) / "work", Path(name) / "archived"
        folder.mkdir()
        checkout = Checkout(tree.resolve(), folder)
        write_data(folder / "data")
        make_hub_model(checkout)
        convert_fixtures(checkout)
        steps = {case: make_run(checkout, case) for case in CASES}
        shutil.copytree(folder, archived)
        for case in CASES:  # plots and report can be made again from the other files of a run
            shutil.rmtree(archived / case / "plots", ignore_errors=True)
            (archived / case / "report.html").unlink(missing_ok=True)
        expected = {case: expected_results(checkout, case, steps[case]) for case in CASES}
        expected["commit"] = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tree, text=True).strip()
        (archived / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1), encoding="utf-8")
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            for path in sorted(archived.iterdir()):
                archive.add(path, path.name, filter=without_owner)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes, made by {expected['commit']}")


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m tests.compatibility.make_runs CHECKOUT")
    main(Path(sys.argv[1]))
