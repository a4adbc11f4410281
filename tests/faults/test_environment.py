"""Run whole commands in odd environments: a C locale, odd paths, closed outputs, a clock that jumps."""

import json
import shlex
import sys

import pytest

from tests.support.faults import Training, run_afresh
from tests.support.tiny_runs import PAIRS

pytestmark = pytest.mark.slow

C_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_in_a_c_locale_chinese_texts_are_trained_predicted_and_reported(training, uninterrupted, tmp_path):
    result = run_afresh("train", *training.arguments, environment=C_LOCALE).check()
    assert "test" in result.output
    training.check_equals(uninterrupted)
    (tmp_path / "新闻.txt").write_text("".join(f"{source}\n" for source, _ in PAIRS), encoding="utf-8")
    for output in ("-", str(tmp_path / "摘要.jsonl")):
        arguments = ("predict", str(training.run), "--input", str(tmp_path / "新闻.txt"), "--output", output)
        result = run_afresh(*arguments, environment=C_LOCALE).check()
    rows = [json.loads(line) for line in (tmp_path / "摘要.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["source"] for row in rows] == [source for source, _ in PAIRS]
    run_afresh("report", str(training.run), environment=C_LOCALE).check()
    assert PAIRS[0][0] in (training.run / "report.html").read_text(encoding="utf-8")


def test_in_a_c_locale_errors_name_chinese_files(tmp_path):
    result = run_afresh("predict", str(tmp_path / "没有"), "--input", "-", environment=C_LOCALE)
    assert "this is not the directory of a run" in result.error()


@pytest.mark.parametrize("name", ["a b 'c' \"d\" $e", "中文 文件夹", "[x]*{y}", "-dash", "#=;&"])
def test_any_characters_in_a_path(name, tmp_path, prepared, uninterrupted):
    training = Training(tmp_path / name, prepared)
    killed = training.start(at=("paddle_ft.training.step.Stepper.train_step", "8", "kill"))
    assert killed.code == -9, killed.errors
    training.go_on()
    training.check_equals(uninterrupted)
    for command in (("evaluate", str(training.run), "--json"), ("report", str(training.run))):
        training.command(*command).check()


def test_from_another_working_directory_with_relative_paths(training, tmp_path, uninterrupted):
    arguments = [argument.replace(f"{tmp_path}/", "") for argument in training.arguments]
    assert "output_dir=run" in arguments and "data.train=pairs.tsv" in arguments
    training.command("train", *arguments, cwd=tmp_path).check()
    training.check_equals(uninterrupted)
    (tmp_path / "elsewhere").mkdir()
    error = training.command("evaluate", "../run", cwd=tmp_path / "elsewhere").error()
    assert "pairs.tsv" in error and f"working directory: {tmp_path}/elsewhere" in error
    training.command("report", "../run", cwd=tmp_path / "elsewhere").check()


# ---------------------------------------------------------------------------------------------------- outputs
SHELL = {
    "a reader that closes": '"$@" | head -1',
    "no stdout": '"$@" >&-',
    "no stderr": '"$@" 2>&-',
    "no stdin": '"$@" <&-',
    "nothing open": '"$@" <&- >&- 2>&-',
}


@pytest.mark.parametrize("shell", SHELL)
def test_closed_outputs(shell, training, uninterrupted):
    result = run_afresh("train", *training.arguments, shell=SHELL[shell])
    assert result.code == 0 and "Traceback" not in result.errors and "Exception ignored" not in result.errors, result
    training.check_equals(uninterrupted)


def test_a_full_output_is_one_error(training):
    training.start().check()
    result = run_afresh("evaluate", str(training.run), shell='"$@" >/dev/full')
    assert "No space left on device" in result.error()


@pytest.mark.parametrize("lines", [1, 3])
def test_predict_into_a_reader_that_closes(lines, training, tmp_path):
    training.start().check()
    texts = tmp_path / "texts.txt"
    texts.write_text("今天北京天气晴朗\n" * 5000, encoding="utf-8")
    result = run_afresh("predict", str(training.run), "--input", str(texts), shell=f'"$@" | head -{lines}')
    assert result.code == 0 and "Traceback" not in result.errors and "Exception ignored" not in result.errors, result.errors


def test_the_converter_into_a_reader_that_closes():
    command = f"{shlex.quote(sys.executable)} -m convert --help | head -1"
    result = run_afresh(shell=command)
    assert result.code == 0 and result.errors == "" and result.output.startswith("usage:")


# ---------------------------------------------------------------------------------------------------- clock
@pytest.mark.parametrize("days", ["-4000", "4000"])
def test_a_clock_that_jumps(days, training, uninterrupted):
    training.start(at=("paddle_ft.training.step.Stepper.train_step", "5", "clock", days)).check()
    training.check_equals(uninterrupted)
