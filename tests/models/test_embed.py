"""Test the vectors of texts against the mean of the encoder's hidden states, and the score that is made of them."""

import numpy as np
import paddle
import pytest

from paddle_ft.models.embed import Embedder
from paddle_ft.system.errors import UserError
from tests.support.tiny_classification import make_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    task, _ = make_task(tmp_path_factory.mktemp("encoder"))
    folder = tmp_path_factory.mktemp("saved")
    task.bundle.save(folder)
    return folder, task


def test_a_vector_is_the_mean_of_the_hidden_states_also_beside_longer_texts(folder):
    path, task = folder
    texts = ["a good film", "we liked this film and this fine story"]
    vectors = Embedder(str(path)).embed(texts)
    task.model.eval()
    for text, vector in zip(texts, vectors, strict=True):
        ids = paddle.to_tensor([task.fast_tokenizer.encode(text).ids])
        output = getattr(task.model, task.model.base_model_prefix)(ids)
        hidden = (output if isinstance(output, paddle.Tensor) else output[0]).numpy()[0]
        mean = hidden.mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_similarity_is_the_cosine(folder):
    embedder = Embedder(str(folder[0]))
    first, second = ["a good film", "a bad story"], ["a good film", "we hated this film"]
    a, b = embedder.embed(first), embedder.embed(second)
    similar = embedder.similarity(first, second, "")
    assert similar[0] == pytest.approx(100, abs=1e-3)
    assert similar[1] == pytest.approx(100 * float(a[1] @ b[1]), abs=1e-3) and similar[1] < 100


def test_a_directory_without_a_model(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        Embedder(str(tmp_path))
