"""A tiny masked language model: fifteen word pieces and a DistilBERT of one layer."""

from pathlib import Path

import paddle

from paddle_ft.config.load import load_config
from paddle_ft.tasks import find_task
from tests.support.tasks import give_model

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "the", "a", "film", "##maker", "good", "bad", "."]
SIZES = (
    "{model_type: distilbert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32,"
    " max_position_embeddings: 16, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}"
)


def write_vocabulary(folder: Path) -> Path:
    """Write the word pieces to vocab.txt in `folder`. Return the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    return folder


def make_task(folder: Path, *settings: str):
    """Return the task with a new model of fixed weights, in evaluation mode. Its blocks have four tokens."""
    vocabulary = write_vocabulary(folder / "words")
    config = load_config("distilbert_imdb_mlm", [
        "model.pretrained=null", f"model.config={SIZES}", f"model.tokenizer={vocabulary}", "data.cache=false",
        "task.chunk_size=4", "task.train_chunks=null", "task.eval_chunks=null", "eval.bootstrap_samples=100", *settings,
    ])  # fmt: skip
    task = find_task("masked_lm")(config)
    paddle.seed(1)
    give_model(task, folder / "tokenizer", None)
    task.model.eval()
    return task
