"""Run `python -m paddle_ft COMMAND`."""

import os
import sys
from pathlib import Path

# `python -m` searches the working directory first. A file there that is named like a library, in a folder that somebody else has
# made, must not be imported in its place. --import adds the directory again.
if sys.path[0] in ("", os.getcwd()) and Path.cwd() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from paddle_ft.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
