"""Test that outputs are safe: control codes, secrets, closed outputs, encodings."""

import os
import pty
import subprocess
import sys

import pytest

from convert.errors import ConvertError
from convert.terminal import message, printable, without_secrets
from paddle_ft.system.errors import UserError
from tests.support.paths import ROOT

ESCAPES = "\x1b[31mred\x1b]0;title\x07 \x9b5m \x08\x7f \rover\u202efdp"


def test_control_codes_become_escapes_and_lines_stay():
    assert printable(ESCAPES) == "\\x1b[31mred\\x1b]0;title\\x07 \\x9b5m \\x08\\x7f \\rover\\u202efdp"
    assert printable("中文\tü 😀\r\nnext\n") == "中文\tü 😀\nnext\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pass@word@proxy:80/x?a=b@c", "http://***@proxy:80/x?a=b@c"),
        ("https://hf_abcdef@host/path and http://host/a@b", "https://***@host/path and http://host/a@b"),
        ("key hf_0123456789 in a header", "key [HF_TOKEN] in a header"),
        ("Failed to parse: me:hunter22@proxy", "Failed to parse: me:[HTTPS_PROXY]@proxy"),
        ("Failed to parse: me:p%40ss%2Fword@proxy and p@ss/word", "Failed to parse: me:[ALL_PROXY]@proxy and [ALL_PROXY]"),
        ("a short one: abc", "a short one: abc"),
        ("a path: /home/me/token", "a path: /home/me/token"),
    ],
)
def test_messages_have_no_secrets(text, shown, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("HF_TOKEN_PATH", "/home/me/token")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter22@proxy:3128")
    monkeypatch.setenv("ALL_PROXY", "http://me:p%40ss%2Fword@proxy:3128")
    assert without_secrets(text) == shown
    assert message(f"\x1b{text}") == f"\\x1b{shown}"


SHOW = "from convert.terminal import prepare_outputs; prepare_outputs(); "


def run(code: str, shell: str, **environment) -> subprocess.CompletedProcess:
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", SHOW + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, env={**os.environ, **environment})


def test_the_traceback_of_a_bug_has_neither_secrets_nor_control_codes():
    """A library may repeat an address with its password in an exception that nothing expects."""
    code = "\nKEY = 'x'\ndef fail():\n    raise KeyError('x')\ntry:\n    fail()\nexcept KeyError:\n    "
    raised = "import os; raise RuntimeError('\\x1b[31m ' + os.environ['HTTPS_PROXY'])"
    done = run(code + raised, '"$@"', HTTPS_PROXY="http://me:hunter22@proxy:3128")
    assert done.returncode == 1 and b"hunter22" not in done.stderr and b"\x1b" not in done.stderr
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):" and "KeyError: 'x'" in lines
    assert lines[-1] == "RuntimeError: \\x1b[31m http://***@proxy:3128"


def test_no_other_module_prints_tracebacks():
    files = [path for folder in ("convert", "paddle_ft") for path in (ROOT / folder).rglob("*.py")]
    calls = ("traceback.print_", "traceback.format_exc", "exc_info=True", ".exception(")
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    assert [name for name, text in texts.items() if any(call in text for call in calls)] == ["convert/terminal.py"]


def test_notebooks_show_errors_without_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    for error in (UserError("the key hf_0123456789"), ConvertError("the key hf_0123456789")):
        assert error._render_traceback_() == ["error: the key [HF_TOKEN]"]


def test_a_file_that_is_opened_does_not_get_the_number_of_a_closed_output(tmp_path):
    """What a library writes to stderr would be in the file otherwise."""
    code = f"import os; file = open({str(tmp_path / 'file')!r}, 'w')"
    done = run(f"{code}; os.write(2, b'noise'); os.write(1, b'noise'); print('x', file=file)", '"$@" <&- >&- 2>&-')
    assert done.returncode == 0 and (tmp_path / "file").read_text() == "x\n"


def test_what_an_encoding_lacks_is_escaped():
    done = run("print('中')", '"$@"', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u4e2d\n", b"")


def test_a_terminal_gets_no_control_codes_and_a_pipe_gets_the_text_as_it_is():
    code = SHOW + "print('\\x1b[31m中')"
    piped = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert piped.stdout.decode() == "\x1b[31m中\n"
    handle, other = pty.openpty()
    with os.fdopen(handle, "rb", buffering=0) as terminal:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=other, timeout=60, check=True)
        os.close(other)
        assert terminal.read(100).decode() == "\\x1b[31m中\r\n"
