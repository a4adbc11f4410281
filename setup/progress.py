"""Show the progress of the setup in one line. It is updated in place on a terminal, and printed every 10 seconds elsewhere."""

import re
import shutil
import sys
import time
from pathlib import Path

PLAIN_INTERVAL = 10.0  # seconds


class Progress:
    """The progress line.

    Args:
        log: the file with the output of pip or uv. The packages in it are counted.
    """

    def __init__(self, log: Path):
        self.log = log
        self.started = time.monotonic()
        self.on_terminal = sys.stdout.isatty()
        self.step = ""
        self.next_plain_line = 0.0
        self.packages: list[str] = []
        self.site_packages: Path | None = None

    def seconds(self) -> float:
        """Return the seconds since the setup started."""
        return time.monotonic() - self.started

    def count_packages(self, packages: list[str], site_packages: Path | None) -> None:
        """Set which packages are counted from now on.

        Args:
            packages: names of the packages. [] stops counting.
            site_packages: the folder that they are installed into.
        """
        self.packages, self.site_packages = packages, site_packages

    def start(self, step: str) -> None:
        """Start a step, such as "installing packages"."""
        self.step = step
        self.next_plain_line = 0.0
        self.show()

    def show(self) -> None:
        """Update the line on a terminal. Elsewhere, print it if 10 seconds have passed."""
        if self.on_terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r" + self.text()[:width] + "\x1b[K")
            sys.stdout.flush()
        elif self.seconds() >= self.next_plain_line:
            self.next_plain_line = self.seconds() + PLAIN_INTERVAL
            print(self.text(), flush=True)

    def end(self) -> None:
        """End the line on a terminal, so that the next message starts on a new line."""
        if self.on_terminal and self.step:
            print(flush=True)

    def text(self) -> str:
        """Return the line: the step, the number of packages that are done, and the seconds so far."""
        count = f": {self.count()}" if self.packages else ""
        return f"setup: {self.step}{count}, {self.seconds():.0f} s"

    def count(self) -> str:
        """Return how many packages are downloaded or, once their installation has started, installed."""
        total = len(self.packages)
        installed = installed_names(self.site_packages) & {normalize(name) for name in self.packages}
        log = self.log.read_text(encoding="utf-8", errors="replace")
        if "Installing collected packages" in log.rsplit("\n$ ", 1)[-1]:
            return f"{len(installed)} of {total} installed"
        collected = re.findall(r"^(?:Collecting |Processing \S*/)([A-Za-z0-9_.]+(?:-[A-Za-z_][A-Za-z0-9_.]*)*)", log, re.MULTILINE)
        downloaded = {normalize(name) for name in collected} & {normalize(name) for name in self.packages}
        return f"{len(downloaded | installed)} of {total}"


def installed_names(site_packages: Path) -> set[str]:
    """Return the normalized names of the packages that are installed in a folder."""
    return {normalize(path.name.split("-")[0]) for path in site_packages.glob("*.dist-info")}


def normalize(name: str) -> str:
    """Return the normalized name of a package (PEP 503), for comparisons."""
    return re.sub(r"[-_.]+", "-", name).lower()
