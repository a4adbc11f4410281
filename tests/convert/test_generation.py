"""Test that converted models generate the token ids that transformers generated: greedily and with four beams."""

import json

import numpy as np
import pytest

import convert


@pytest.mark.parametrize("search", ["greedy", "beam4"])
@pytest.mark.parametrize("name", ["bart/seq2seq", "gpt2/causal_lm"])
def test_generates_the_ids_of_transformers(checkpoints, tmp_path, name, search):
    import paddlenlp.transformers as library

    from paddle_ft.generation import GenerationOptions, generate

    report = convert.to_paddle(checkpoints(name), tmp_path / "paddle", progress=False)
    model = getattr(library, report.target_class).from_pretrained(str(tmp_path / "paddle"))
    expected = json.loads((checkpoints(name) / "generation.json").read_text())
    rows, pad = expected["input_ids"], model.config.pad_token_id
    width = max(map(len, rows))
    ids = np.array([row + [pad] * (width - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    # transformers also applies the checkpoint's own forced tokens
    forced = {key: getattr(model.config, key, None) for key in ("forced_bos_token_id", "forced_eos_token_id")}
    generated = generate(model, ids, mask, GenerationOptions(**expected[search]["options"], **forced))
    unpadded = [row[: len(row) - row[::-1].index(next(t for t in row[::-1] if t != pad))] for row in expected[search]["ids"]]
    assert [sequences[0] for sequences in generated] == unpadded
    assert len({tuple(row) for row in unpadded}) == 2 and all(len(row) > 4 for row in unpadded), "the fixture shows nothing"
