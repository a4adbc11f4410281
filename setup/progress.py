"""One line that says what the set-up is doing: rewritten in place on a terminal, printed every 10 seconds elsewhere."""

import re
import shutil
import sys
import time
from pathlib import Path

PLAIN_INTERVAL = 10.0  # seconds


class Progress:
    """The line of progress.

    Args:
        log: the file that pip or uv writes to; the packages named there are counted.
    """

    def __init__(self, log: Path):
        self.log = log
        self.started = time.monotonic()
        self.on_terminal = sys.stdout.isatty()
        self.what = ""
        self.next_plain_line = 0.0
        self.packages: list[str] = []
        self.site_packages: Path | None = None

    def seconds(self) -> float:
        """Return the seconds since the set-up began."""
        return time.monotonic() - self.started

    def count_packages(self, packages: list[str], site_packages: Path | None) -> None:
        """Count these packages from now on, in the log while they are fetched, in `site_packages` while they are installed."""
        self.packages, self.site_packages = packages, site_packages

    def start(self, what: str) -> None:
        """Begin a step."""
        self.what = what
        self.next_plain_line = 0.0
        self.show()

    def show(self) -> None:
        """Show the line, if it is time to."""
        if self.on_terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r" + self.text()[:width] + "\x1b[K")
            sys.stdout.flush()
        elif self.seconds() >= self.next_plain_line:
            self.next_plain_line = self.seconds() + PLAIN_INTERVAL
            print(self.text(), flush=True)

    def end(self) -> None:
        """Finish the line on a terminal, so that the next message begins on its own."""
        if self.on_terminal and self.what:
            print(flush=True)

    def text(self) -> str:
        """Return the line: what is done, how many packages of how many, the seconds so far."""
        counted = f": {self.count()}" if self.packages else ""
        return f"setup: {self.what}{counted}, {self.seconds():.0f} s"

    def count(self) -> str:
        """Return how many packages are fetched, or installed once that has begun."""
        total = len(self.packages)
        installed = installed_names(self.site_packages) & {normalize(name) for name in self.packages}
        log = self.log.read_text(encoding="utf-8", errors="replace")
        if "Installing collected packages" in log.rsplit("\n$ ", 1)[-1]:
            return f"{len(installed)} of {total} installed"
        found = re.findall(r"^(?:Collecting |Processing \S*/)([A-Za-z0-9_.]+(?:-[A-Za-z_][A-Za-z0-9_.]*)*)", log, re.MULTILINE)
        fetched = {normalize(name) for name in found} & {normalize(name) for name in self.packages}
        return f"{len(fetched | installed)} of {total}"


def installed_names(site_packages: Path) -> set[str]:
    """Return the names of the packages that a folder holds."""
    return {normalize(path.name.split("-")[0]) for path in site_packages.glob("*.dist-info")}


def normalize(name: str) -> str:
    """Return a package's name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
