"""Fine-tune a model with a recipe: `python train.py --config NAME [section.key=value ...]`. See --help."""

import sys

from paddle_ft.__main__ import start

if __name__ == "__main__":
    sys.exit(start(["train", *sys.argv[1:]], program="python train.py"))
