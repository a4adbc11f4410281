"""PaddleNLP's models with weights read by this package: PaddleNLP would run the pickle that a .pdparams file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.tensors import PDPARAMS, SAFETENSORS, open_weights


def read_weights(directory: Path) -> dict[str, np.ndarray]:
    """Name -> array of a directory in Paddle layout (bfloat16 as bit patterns in uint16, as Paddle takes it).

    Nothing found in a file is run.
    Raises: ConvertError for a damaged file, and for a pickle that asks for anything but arrays.
    """
    return {name: tensor.read() for name, tensor in open_weights(directory, (SAFETENSORS, PDPARAMS)).tensors.items()}


def with_weights(cls, directory: Path, weights: dict[str, np.ndarray], config=None, **options):
    """A model as cls.from_pretrained(directory) makes it, from weights that were read before.

    cls: a model class of PaddleNLP. config: instead of the directory's. options: for from_pretrained.
    """
    from paddlenlp.generation import GenerationConfig

    config = config or cls.config_class.from_pretrained(str(directory))
    model = cls.from_pretrained(None, config=config, state_dict=weights, **options)  # without a name it opens no file
    if model.can_generate() and (directory / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(str(directory))
    return model
