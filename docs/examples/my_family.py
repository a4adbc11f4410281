"""A family of your own for the converter: BERT's computation under other tensor and field names.

python -m convert to-paddle SRC DST --import my_family
python -m convert to-hf DST BACK --import my_family
"""

from convert.family import Family, Task
from convert.fields import Field, Fixed, PaddleConstant
from convert.rules import Embedding, Group, LayerNorm, Linear, Repeat

WIDTH, INNER = "width", "inner_width"

# Hugging Face's name, Paddle's name (if it differs), and the value where a file leaves the field out.
CONFIG = (
    Field("vocab_size", default=30522),
    Field(WIDTH, "hidden_size", default=256),
    Field(INNER, "intermediate_size", default=1024),
    Field("depth", "num_hidden_layers", default=4),
    Field("heads", "num_attention_heads", default=4),
    Field("max_length", "max_position_embeddings", default=512),
    Field("segments", "type_vocab_size", default=2),
    Field("activation", "hidden_act", default="gelu", values={"gelu": "gelu", "relu": "relu"}),
    Field("dropout", "hidden_dropout_prob", default=0.1),
    Field("attention_dropout", "attention_probs_dropout_prob", default=0.1),
    Field("epsilon", "layer_norm_eps", default=1e-12),
    Field("pad_token_id", default=0),
    Fixed("rotary_positions", (False,)),  # changes the computation, and PaddleNLP's BERT computes only this
    PaddleConstant("pool_act", "tanh"),
    PaddleConstant("fuse", False),
)

# One rule per layer: its name in the checkpoint, its name in Paddle's model, and its sizes.
BLOCK = (
    *(Linear(f"blocks.{{i}}.attention.{x}", f"encoder.layers.{{i}}.self_attn.{x}_proj", WIDTH, WIDTH) for x in "qkv"),
    Linear("blocks.{i}.attention.out", "encoder.layers.{i}.self_attn.out_proj", WIDTH, WIDTH),
    LayerNorm("blocks.{i}.norm1", "encoder.layers.{i}.norm1", WIDTH),
    Linear("blocks.{i}.up", "encoder.layers.{i}.linear1", WIDTH, INNER),
    Linear("blocks.{i}.down", "encoder.layers.{i}.linear2", INNER, WIDTH),
    LayerNorm("blocks.{i}.norm2", "encoder.layers.{i}.norm2", WIDTH),
)
BACKBONE = (
    Embedding("tokens", "embeddings.word_embeddings", "vocab_size", WIDTH),
    Embedding("positions", "embeddings.position_embeddings", "max_length", WIDTH),
    Embedding("segments", "embeddings.token_type_embeddings", "segments", WIDTH),
    LayerNorm("norm", "embeddings.layer_norm", WIDTH),
    Repeat("depth", BLOCK),
    Group("pooler", (Linear("pooler", "pooler.dense", WIDTH, WIDTH),)),
)

FAMILIES = (
    Family(
        model_type="my_bert",
        paddle_type="bert",  # PaddleNLP's classes for it are those of BERT
        hf_prefix="body.",
        paddle_prefix="bert.",
        config=CONFIG,
        backbone=BACKBONE,
        tasks=(
            Task("base", "MyBertModel", "BertModel", base=True, outputs=("last_hidden_state", "pooler_output")),
            Task("sequence_classification", "MyBertClassifier", "BertForSequenceClassification",
                 (Linear("head", "classifier", WIDTH, "num_labels"),)),
        ),
        layers=(("norm", "embeddings", None), ("blocks.{i}", "encoder.layers.{i}", "depth")),
        tokenizer="wordpiece",
        token_types=True,
    ),
)  # fmt: skip
