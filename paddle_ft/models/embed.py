"""Turn texts into vectors with an encoder: the mean of its last hidden states over the tokens of a text."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paddle_ft.data.batches import attention_mask, pad
from paddle_ft.models.build import load_pretrained
from paddle_ft.models.bundle import make_bundle
from paddle_ft.models.resolve import resolve
from paddle_ft.system.progress import Progress
from paddle_ft.tokenization.encode import encode_texts
from paddle_ft.tokenization.load import load_tokenizer

HEAD_TYPE = "sequence_classification"  # the encoder is that of a classifier, whose head is not used
MAX_LENGTH = 256  # tokens of a text; longer ones are cut
BATCH_SIZE = 32


class Embedder:
    """An encoder that turns texts into vectors.

    Args:
        pretrained: a directory with a model, or one of the other names that model.pretrained may have.

    Raises:
        UserError: there is no such model, or it is no encoder.
    """

    def __init__(self, pretrained: str):
        directory = resolve(pretrained, HEAD_TYPE)
        model = load_pretrained(HEAD_TYPE, directory)
        with tempfile.TemporaryDirectory() as folder:
            bundle = make_bundle(model, load_tokenizer(directory), Path(folder))
        self._encoder = getattr(model, model.base_model_prefix)
        self._encoder.eval()
        self._tokenizer = bundle.fast_tokenizer
        self._padding = model.config.pad_token_id
        self._limit = min(MAX_LENGTH, bundle.architecture.longest_input(model.config))

    def embed(self, texts: Sequence[str], label: str = "embed") -> np.ndarray:
        """Return the vector of each text, [texts, hidden], of length 1. The vector of a text without tokens is 0.

        Args:
            texts: the texts.
            label: name of the progress bar.

        Source: Reimers & Gurevych (2019), Sentence-BERT (mean pooling).
        """
        import paddle

        encoded = encode_texts(self._tokenizer, texts, max_length=self._limit, label="", cache=False)
        rows = [encoded[i] for i in range(len(texts))]
        vectors = []
        with paddle.no_grad(), Progress(len(rows), label, unit="text") as bar:
            for start in range(0, len(rows), BATCH_SIZE):
                part = rows[start : start + BATCH_SIZE]
                ids = pad([row if len(row) else [self._padding] for row in part], self._padding)
                mask = attention_mask([len(row) for row in part], ids.shape[1])
                output = self._encoder(paddle.to_tensor(ids), attention_mask=paddle.to_tensor(mask))
                hidden = (output if isinstance(output, paddle.Tensor) else output[0]).astype("float32").numpy()
                sums = (hidden * mask[:, :, None]).sum(axis=1)
                vectors.append(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12))
                bar.update(len(part))
        return np.concatenate(vectors)

    def similarity(self, texts: Sequence[str], others: Sequence[str], label: str) -> np.ndarray:
        """Return 100 * the cosine of the vectors of each pair of texts, [texts]. `label` is the name of the progress bar."""
        return 100 * (self.embed(texts, label) * self.embed(others, label)).sum(axis=1)
