"""GPT-2, which PaddleNLP calls GPT. Its gelu is always the tanh form and its layer norm epsilon always 1e-5."""

from convert.family import Family, Task
from convert.fields import Field, Fixed, HfOnly, MergedDropout, PaddleConstant
from convert.rules import Alias, Conv1D, Embedding, LayerNorm, Linear, Repeat

D, V = "n_embd", "vocab_size"

CONFIG = (
    Field(V, default=50257),
    Field(D, "hidden_size", default=768),
    Field("n_layer", "num_hidden_layers", default=12),
    Field("n_head", "num_attention_heads", default=12),
    Field("n_inner", "intermediate_size", if_none=lambda config: 4 * config.get(D, 768)),
    Field("n_positions", "max_position_embeddings", default=1024),
    Field("activation_function", "hidden_activation", default="gelu_new",
          values={"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu"}),
    Field("resid_pdrop", "hidden_dropout_prob", default=0.1),
    Field("attn_pdrop", "attention_probs_dropout_prob", default=0.1),
    MergedDropout("embd_pdrop", "resid_pdrop", default=0.1),
    Field("initializer_range", default=0.02),
    Field("bos_token_id", default=50256),
    Field("eos_token_id", default=50256),
    Field("classifier_dropout"),
    Fixed("layer_norm_epsilon", (1e-5,)),
    Fixed("scale_attn_weights", (True,)),
    Fixed("scale_attn_by_inverse_layer_idx", (False,)),
    Fixed("reorder_and_upcast_attn", (False, True)),  # the same sums in another order
    PaddleConstant("normalize_before", True),
    PaddleConstant("scale_qk_coeff", 1.0),
    PaddleConstant("fuse_attention_qkv", False),
    PaddleConstant("fuse_attention_ffn", False),
)  # fmt: skip
BACKBONE = (
    Embedding("wte", "embeddings.word_embeddings", V, D),
    Embedding("wpe", "embeddings.position_embeddings", "n_positions", D),
    Repeat("n_layer", (
        LayerNorm("h.{i}.ln_1", "decoder.layers.{i}.norm1", D),
        Conv1D("h.{i}.attn.c_attn", tuple(f"decoder.layers.{{i}}.self_attn.{x}_proj" for x in "qkv"), D, D),
        Conv1D("h.{i}.attn.c_proj", ("decoder.layers.{i}.self_attn.out_proj",), D, D),
        LayerNorm("h.{i}.ln_2", "decoder.layers.{i}.norm2", D),
        Conv1D("h.{i}.mlp.c_fc", ("decoder.layers.{i}.linear1",), D, "n_inner"),
        Conv1D("h.{i}.mlp.c_proj", ("decoder.layers.{i}.linear2",), "n_inner", D),
    )),
    LayerNorm("ln_f", "decoder.norm", D),
)  # fmt: skip
UNTIED = (
    "the head differs from the embedding, and PaddleNLP's GPTLMHeadModel always ties the two: written as a "
    "GPTForTokenClassification over the vocabulary, which gives the same logits at every position but has no generate(). A guard, "
    "lm_head.weight, makes GPTForCausalLM refuse the checkpoint, where it would compute other logits"
)

FAMILIES = (
    Family(
        model_type="gpt2",
        paddle_type="gpt",
        hf_prefix="transformer.",
        paddle_prefix="gpt.",
        config=CONFIG,
        backbone=BACKBONE,
        tasks=(
            Task("base", "GPT2Model", "GPTModel", base=True, outputs=("last_hidden_state",)),
            Task("causal_lm", "GPT2LMHeadModel", "GPTForCausalLM", (Alias("wte.weight", "lm_head.weight", "lm_head.weight"),)),
            Task("causal_lm", "GPT2LMHeadModel", "GPTForTokenClassification",
                 (Linear("lm_head", "classifier", D, V, bias="paddle"),), untied=True, note=UNTIED, num_labels=V,
                 guards=("lm_head.weight",)),
            # to find the last token, PaddleNLP looks for eos_token_id where transformers looks for pad_token_id
            Task("sequence_classification", "GPT2ForSequenceClassification", "GPTForSequenceClassification",
                 (Linear("score", "score", D, "num_labels", bias=False),),
                 config=(Field("pad_token_id", "eos_token_id", if_none=lambda config: -1), HfOnly("eos_token_id", 50256))),
            Task("token_classification", "GPT2ForTokenClassification", "GPTForTokenClassification",
                 (Linear("classifier", "classifier", D, "num_labels"),)),
        ),
        layers=(("drop", "embeddings", None), ("h.{i}", "decoder.layers.{i}", "n_layer"), ("ln_f", "decoder.norm", None)),
        tokenizer="byte_bpe",
        classifies_at_last_token=True,
        harmless=("summary_activation", "summary_use_proj", "n_ctx", "summary_first_dropout"),
        ignored={r"^h\.\d+\.attn\.(bias|masked_bias)$": "a buffer: the causal mask"},
    ),
)  # fmt: skip
