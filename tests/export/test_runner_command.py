"""Test that what an exported runner prints cannot change a terminal."""

import pytest

from convert import terminal
from paddle_ft.export.runner import command
from paddle_ft.export.runner.tasks import InputError


def test_control_codes_are_escaped_as_everywhere_else():
    text = "".join(map(chr, range(0x2100)))
    assert command.printable(text) == terminal.printable(text)


@pytest.mark.parametrize("error", [InputError("<style:\x1b[31m>"), OSError("<style:\x1b[31m>")])
def test_messages_of_wrong_input_and_damaged_exports_are_printable(monkeypatch, capsys, error):
    def load_model(folder, threads):
        raise error

    monkeypatch.setattr(command, "load_model", load_model)
    assert command.main(["a text"]) == 2
    assert capsys.readouterr().err.endswith("<style:\\x1b[31m>\n")
    with pytest.raises(SystemExit):
        command.main(["--\x9b2J"])
    assert "unrecognized arguments: --\\x9b2J" in capsys.readouterr().err
