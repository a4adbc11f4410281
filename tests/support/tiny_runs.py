"""A tiny training: eight pairs of Chinese texts, and a BART of two layers."""

from pathlib import Path

from paddle_ft.config.load import load_config
from paddle_ft.training import run as training_run

PAIRS = [
    ("今天北京天气晴朗", "北京晴"),
    ("上海明天有大雨", "上海雨"),
    ("广州今晚举行比赛", "广州赛"),
    ("深圳地铁新线开通", "深圳铁"),
    ("成都举办美食大会", "成都食"),
    ("杭州发布旅游计划", "杭州游"),
    ("南京大学庆祝校庆", "南京庆"),
    ("西安古城修缮完成", "西安修"),
]

SIZES = (
    "{d_model: 32, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2, decoder_attention_heads: 2,"
    " encoder_ffn_dim: 64, decoder_ffn_dim: 64, max_position_embeddings: 32, dropout: 0.1, attention_dropout: 0.1,"
    " activation_dropout: 0.0}"
)

# without dropout, evaluation before the training, and beams: the results then do not depend on the number of processes
PLAIN = ("model.config.dropout=0.0", "model.config.attention_dropout=0.0", "eval.before_training=false", "generation.num_beams=1")


def write_pairs(path: Path, pairs=PAIRS) -> Path:
    """Write a TSV in the layout of LCSTS: no header, and the summary first. Return the path."""
    path.write_text("".join(f"{target}\t{source}\n" for source, target in pairs), encoding="utf-8")
    return path


def overrides(folder: Path, *settings: str) -> list[str]:
    """Return overrides that make bart_lcsts a training of a few seconds in `folder`/run."""
    folder.mkdir(parents=True, exist_ok=True)
    data = write_pairs(folder / "pairs.tsv")
    return [
        f"output_dir={folder / 'run'}",
        "device=cpu",
        "model.pretrained=null",
        f"model.config={SIZES}",
        "data.source=null",
        f"data.train={data}",
        f"data.validation={data}",
        f"data.test={data}",
        "data.columns={source: 1, target: 0}",
        "data.cache=false",
        "task.max_source_length=24",
        "task.max_target_length=8",
        "train.train_batch_size=4",
        "train.learning_rate=0.01",
        "train.num_train_epochs=3",
        "train.logging_steps=1",
        "generation.num_beams=2",
        "eval.bootstrap_samples=100",
        *settings,
    ]


def train(folder: Path, *settings: str, **flags):
    """Train in this process. Return the run directory. `flags` are arguments of `training.run.train`, such as resume=True."""
    return training_run.train(load_config("bart_lcsts", overrides(folder, *settings)), **flags)


def read_weights(directory: Path) -> bytes:
    """Return the bytes of a checkpoint's weights file."""
    return (directory / "model.safetensors").read_bytes()
