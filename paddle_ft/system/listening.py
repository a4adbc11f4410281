"""Listen on an address for a page or a service, and say what is wrong with an address that cannot be listened on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from paddle_ft.system.errors import UserError

LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # all addresses of this machine -> the one under which it reaches itself


def listen(command: str, host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        command: name of the command, for messages.
        host: the address.
        port: the port; 0: any free one.

    Raises:
        UserError: that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OverflowError:
        raise UserError(f"--port {port}: it must be between 0 and 65535.") from None
    except (UnicodeError, TypeError):  # it cannot be written as a name of the internet
        raise UserError(f"--host {host}: this is neither an address nor a name of a machine.") from None
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        advice = "Take another with --port, or stop the program that has it."
        # a name that is not found has a negative number, that of getaddrinfo, which create_server raises as a plain OSError
        if (error.errno or 0) < 0 or error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            everything = "::" if family == socket.AF_INET6 else "0.0.0.0"
            advice = f"Name an address of this machine with --host; {everything} stands for all of them."
        elif error.errno == errno.EACCES:
            advice = "Take one from 1024 on with --port."
        raise UserError(f"{command}: cannot listen on {host}, port {port}: {reason}. {advice}") from None


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(host: str, port: int) -> str:
    """Return the URL under which this machine reaches what listens on an address."""
    shown = LOCAL.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def describe_reach(host: str, port: int) -> str:
    """Return a line that says that other machines reach an address too; "" if they do not."""
    if is_loopback(host):
        return ""
    where = "under the name or address of this one" if host in LOCAL else f"at {host}"
    return f"other machines reach it too, {where}, port {port}"
