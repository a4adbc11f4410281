"""Run `python -m paddle_ft COMMAND`."""

import sys

from paddle_ft.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
