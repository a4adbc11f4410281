"""Two songs of four rhyming lines each, and the sizes of a tiny BART model."""

SIZES = (
    "{d_model: 32, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2, decoder_attention_heads: 2,"
    " encoder_ffn_dim: 64, decoder_ffn_dim: 64, max_position_embeddings: 64, dropout: 0.0, attention_dropout: 0.0,"
    " activation_dropout: 0.0}"
)
FISH = ["the red fish swam by the light", "the blue fish came in the night", "an old fish put up a fight",
        "a new fish looked on in fright"]  # fmt: skip
BIRDS = ["one bird sat high in a tree", "two birds flew over the sea", "that bird is looking at me", "this bird is happy and free"]
