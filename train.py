"""Fine-tune a model with a recipe: `python train.py --config NAME [section.key=value ...]`. See --help."""

import sys

from paddle_ft.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]], program="python train.py"))
