"""Sizes of tiny models, and a batch of two rows, the second of which is padded."""

import paddle

SIZES = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
         "max_position_embeddings": 16}  # fmt: skip
BART = {"vocab_size": 20, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 16}  # fmt: skip
IDS = paddle.to_tensor([[3, 4, 5, 6, 7], [8, 9, 10, 1, 1]])
MASK = paddle.to_tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
