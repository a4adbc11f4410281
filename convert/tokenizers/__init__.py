"""Convert tokenizers. A Paddle checkpoint always gets a tokenizer.json, which PaddleNLP runs exactly as transformers does.

PaddleNLP's own Python tokenizers split some symbols differently from Hugging Face's, so only its PretrainedTokenizerFast is used.
If the source has only vocabulary files, convert.tokenizers.builders makes the tokenizer.json as transformers would.
"""
