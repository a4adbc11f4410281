"""Run a checkpoint of either library on a fixed example batch and return the outputs of the model and of every layer."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convert.config import complete, config_to_hf
from convert.config_checks import check_types
from convert.dtypes import cast
from convert.errors import ConvertError, is_interrupt
from convert.family import Family, Task
from convert.formats import safetensors
from convert.identify import CheckpointInfo
from convert.labels import contradicts_labels, label_count, labels
from convert.loading import model_from_weights, read_weights
from convert.names import known_names, superfluous_prefix, without_prefix
from convert.paddlenlp_import import import_paddlenlp
from convert.tensors import open_weights

REFERENCE = "reference_outputs.safetensors"
MAX_ID = 1_000_000  # of the example inputs; no real vocabulary is larger
INPUT_PREFIX = "input."  # prefix of the inputs' names in that file


def hf_config_of(checkpoint: CheckpointInfo, task: Task) -> dict:
    """Return the complete Hugging Face configuration of a checkpoint of either library."""
    entries = checkpoint.family.entries(task)
    config, count = checkpoint.config, None
    if not checkpoint.paddle:
        check_types(config, entries, str(checkpoint.directory / "config.json"))
    if not checkpoint.paddle and contradicts_labels(config):
        count = label_count(checkpoint.family, task, complete(config, entries), open_weights(checkpoint.directory).tensors)
    if checkpoint.paddle:
        count = None if task.num_labels else labels(config)["num_labels"]
        where = str(checkpoint.directory / "config.json")
        config, _ = config_to_hf(config, {}, entries, where, has_labels=not task.num_labels)
    return complete(config, entries, count)


def example_inputs(family: Family, config: dict, task: Task) -> dict[str, np.ndarray]:
    """Return a batch of two texts of different length, the shorter one padded at its end. The ids are random with a fixed seed.

    Args:
        family: The architecture.
        config: A complete Hugging Face configuration.
        task: The model class.

    Returns:
        input_ids [b, s] and attention_mask [b, s]; token_type_ids [b, s] and decoder_input_ids [b, t] if the model takes them. For
        multiple choice the batch is one question with b choices: [1, b, s].
    """
    rng = np.random.default_rng(0)
    length = min(14, next((int(config[key]) for key in ("max_position_embeddings", "n_positions") if config.get(key)), 14))
    lengths = [length, max(2, length // 2)]
    pad, eos = config.get("pad_token_id"), config.get("eos_token_id")
    pad = None if pad == -1 else pad  # Paddle's configuration has -1 for a missing id
    if pad is None and task.name == "sequence_classification" and family.classifies_at_last_token:
        lengths = [length]
    ordinary_ids = [number for number in range(min(config["vocab_size"], MAX_ID)) if number not in (pad, eos)] or [0]
    ids = rng.choice(ordinary_ids, (len(lengths), length))
    mask = (np.arange(length) < np.array(lengths)[:, None]).astype(np.int64)
    if family.seq2seq and isinstance(eos, int):
        ids[np.arange(len(lengths)), np.array(lengths) - 1] = eos
    inputs = {"input_ids": np.where(mask == 1, ids, pad or 0).astype(np.int64), "attention_mask": mask}
    if family.token_types:
        second_half = np.arange(length)[None, :] >= np.array(lengths)[:, None] // 2
        inputs["token_type_ids"] = (second_half * mask * (config.get("type_vocab_size", 2) > 1)).astype(np.int64)
    if family.seq2seq:
        decoder_ids = rng.choice(ordinary_ids, (len(lengths), min(9, length)))
        decoder_ids[:, 0] = config.get("decoder_start_token_id") or pad or 0
        inputs["decoder_input_ids"] = decoder_ids.astype(np.int64)
        if task.name == "sequence_classification":  # both libraries classify at the last </s> of the decoder's input
            inputs["decoder_input_ids"] = inputs["input_ids"]
    if task.name == "multiple_choice":
        inputs = {name: value[None] for name, value in inputs.items()}
    return inputs


def layer_names(family: Family, task: Task, config: dict, *, paddle: bool) -> dict[str, str]:
    """Return label -> name of the modules whose outputs are compared, in the order of computation.

    Args:
        family: The architecture.
        task: The model class.
        config: A complete Hugging Face configuration.
        paddle: Whether to return the names in Paddle's model instead of those in transformers'.
    """
    prefix = "" if task.base else family.paddle_prefix if paddle else family.hf_prefix
    names = {}
    for hf_name, paddle_name, count in family.layers:
        for i in range(int(config[count]) if count else 1):
            names[hf_name.replace("{i}", str(i))] = prefix + (paddle_name if paddle else hf_name).replace("{i}", str(i))
    return names


def _record_output(module, label: str, outputs: dict[str, np.ndarray], register: str) -> None:
    """Make a module store its output under `label`. `register` is the name of the method that adds a forward hook."""

    def hook(_module, _inputs, output):
        outputs[label] = np.asarray((output[0] if isinstance(output, tuple | list) else output).detach().numpy(), np.float32)

    getattr(module, register)(hook)


@contextlib.contextmanager
def _loading(directory: Path, library: str) -> Iterator[None]:
    """Turn what a library raises for a checkpoint that it cannot load, which may be of any type, into a ConvertError."""
    try:
        yield
    except ConvertError:
        raise
    except Exception as error:
        raise ConvertError(f"{directory}: {library} cannot load it ({type(error).__name__}: {error})") from None


def run_paddle(checkpoint: CheckpointInfo, task: Task, hf_config: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Return the outputs of the layers and of PaddleNLP's model, computed in float32."""
    if importlib.util.find_spec("paddlenlp") is None:
        raise ConvertError(
            f"running a Paddle checkpoint needs paddlepaddle and paddlenlp, and paddlenlp is not installed in {sys.executable}:"
            " `python -m paddle_ft doctor` says how to install them here"
        )
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):  # warnings, and after Ctrl-C that Paddle's library cannot be imported
            import_paddlenlp()
            import paddle
            import paddlenlp.transformers
            from paddlenlp.utils.log import logger
    except ImportError as error:
        if not is_interrupt(error):
            sys.stderr.write(printed.getvalue())
        raise
    logger.set_level("WARNING")
    model_class = getattr(paddlenlp.transformers, task.paddle_class)
    weights = read_weights(checkpoint.directory)
    with _loading(checkpoint.directory, "PaddleNLP"):
        model = model_from_weights(model_class, checkpoint.directory, weights, dtype="float32")
    model.eval()
    recorded: dict[str, np.ndarray] = {}
    modules = dict(model.named_sublayers())
    for label, name in layer_names(checkpoint.family, task, hf_config, paddle=True).items():
        _record_output(modules[name], label, recorded, "register_forward_post_hook")
    with paddle.no_grad():
        outputs = model(**{name: paddle.to_tensor(value) for name, value in inputs.items()})
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    return recorded | {name: value.numpy().astype(np.float32) for name, value in zip(task.outputs, outputs, strict=False)}


def run_hf(checkpoint: CheckpointInfo, task: Task, hf_config: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Return the outputs of the layers and of transformers' model, computed in float32."""
    import torch

    with _loading(checkpoint.directory, "transformers"):
        model = _load_hf(checkpoint, task, hf_config).float()
    model.eval()
    recorded: dict[str, np.ndarray] = {}
    modules = dict(model.named_modules())
    for label, name in layer_names(checkpoint.family, task, hf_config, paddle=False).items():
        _record_output(modules[name], label, recorded, "register_forward_hook")
    with torch.no_grad():
        outputs = model(**{name: torch.tensor(value) for name, value in inputs.items()}, return_dict=True)
    return recorded | {name: outputs[name].numpy() for name in task.outputs}


def _load_hf(checkpoint: CheckpointInfo, task: Task, hf_config: dict):
    """Return transformers' model. What old files say in a way that it no longer understands is said anew."""
    import torch
    import transformers

    model_class, directory = getattr(transformers, task.hf_class), str(checkpoint.directory)
    old_labels = {key: hf_config[key] for key in ("id2label", "label2id")} if contradicts_labels(checkpoint.config) else {}
    config = model_class.config_class.from_pretrained(directory, **old_labels)
    tensors = open_weights(checkpoint.directory).tensors
    prefix = superfluous_prefix(tensors, lambda: known_names(checkpoint.family, hf_config))
    if not prefix:
        return model_class.from_pretrained(directory, config=config)
    state = {name: cast(tensor.read(), tensor.dtype, "float32") for name, tensor in without_prefix(tensors, prefix).items()}
    return model_class.from_pretrained(None, config=config, state_dict={name: torch.tensor(array) for name, array in state.items()})


def torch_is_installed() -> bool:
    """Return whether torch and transformers are installed, without importing them."""
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def save_reference(directory: Path, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> Path:
    """Write inputs and outputs next to a checkpoint, so that it can be compared on machines without torch."""
    arrays = {f"{INPUT_PREFIX}{name}": value for name, value in inputs.items()} | outputs
    tensors = [
        (name, "int64" if value.dtype == np.int64 else "float32", value.shape, lambda value=value: value)
        for name, value in arrays.items()
    ]
    safetensors.write(directory / REFERENCE, tensors, {"format": "np"})
    return directory / REFERENCE


def read_reference(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the inputs and the outputs that `save_reference` wrote."""
    arrays = {name: tensor.read() for name, tensor in safetensors.read(directory / REFERENCE).items()}
    inputs = {name.removeprefix(INPUT_PREFIX): value for name, value in arrays.items() if name.startswith(INPUT_PREFIX)}
    return inputs, {name: value for name, value in arrays.items() if not name.startswith(INPUT_PREFIX)}
