"""Load PaddleNLP models without running pickles. PaddleNLP itself would run the pickle of a .pdparams file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.tensors import PDPARAMS, SAFETENSORS, open_weights


def read_weights(directory: Path) -> dict[str, np.ndarray]:
    """Read all weights of a Paddle checkpoint without running any code from its files.

    Returns:
        Parameter name -> array. bfloat16 arrays are uint16 bit patterns, as Paddle expects.

    Raises:
        ConvertError: A file is damaged, or is a pickle that needs more than arrays.
    """
    return {name: tensor.read() for name, tensor in open_weights(directory, (SAFETENSORS, PDPARAMS)).tensors.items()}


def model_from_weights(cls, directory: Path, weights: dict[str, np.ndarray], config=None, **options):
    """Build the model that `cls.from_pretrained(directory)` would build, from weights that are already in memory.

    Args:
        cls: A model class of PaddleNLP.
        directory: The checkpoint; its config.json and generation_config.json are read.
        weights: Parameter name -> array, as `read_weights` returns them.
        config: A configuration to use instead of the directory's.
        options: Further arguments of `from_pretrained`.
    """
    from paddlenlp.generation import GenerationConfig

    config = config or cls.config_class.from_pretrained(str(directory))
    model = cls.from_pretrained(None, config=config, state_dict=weights, **options)  # with None it opens no file
    if model.can_generate() and (directory / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(str(directory))
    return model
