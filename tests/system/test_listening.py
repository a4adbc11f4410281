"""Test that what is wrong with an address is named with advice that helps, and who reaches one is said."""

import errno
import os
import socket

import pytest

from paddle_ft.system.errors import UserError
from paddle_ft.system.listening import describe_reach, is_loopback, listen, url_of


def refusal(host, port=0):
    with pytest.raises(UserError) as caught:
        listen("demo", host, port)
    return str(caught.value)


def test_a_port_that_is_taken(tmp_path):
    with listen("demo", "127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        advice = "Take another with --port, or stop the program that has it."
        assert refusal("127.0.0.1", port) == f"demo: cannot listen on 127.0.0.1, port {port}: Address already in use. {advice}"


def test_a_port_that_needs_rights(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket, "create_server", refuse)  # the tests may run with all rights
    advice = "Take one from 1024 on with --port."
    assert refusal("127.0.0.1", 80) == f"demo: cannot listen on 127.0.0.1, port 80: Permission denied. {advice}"


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no.such.host.invalid", "2001:db8::1"])
def test_a_host_that_is_not_this_machine(host):
    message = refusal(host)
    assert message.startswith(f"demo: cannot listen on {host}, port 0: ")
    every = "::" if ":" in host else "0.0.0.0"
    assert message.endswith(f"Name an address of this machine with --host; {every} stands for all of them.")


def test_what_is_no_host_and_no_port():
    assert refusal("é" * 64) == f"--host {'é' * 64}: this is neither an address nor a name of a machine."
    assert refusal("127.0.0.1", 70_000) == "--port 70000: it must be between 0 and 65535."


@pytest.mark.parametrize(("host", "url", "reach"), [
    ("127.0.0.1", "http://127.0.0.1:80", ""),
    ("localhost", "http://localhost:80", ""),
    ("::1", "http://[::1]:80", ""),
    ("0.0.0.0", "http://127.0.0.1:80", "other machines reach it too, under the name or address of this one, port 80"),
    ("::", "http://[::1]:80", "other machines reach it too, under the name or address of this one, port 80"),
    ("192.0.2.1", "http://192.0.2.1:80", "other machines reach it too, at 192.0.2.1, port 80"),
])  # fmt: skip
def test_who_reaches_an_address_is_said(host, url, reach):
    assert (url_of(host, 80), describe_reach(host, 80), is_loopback(host)) == (url, reach, not reach)
