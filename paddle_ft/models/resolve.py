"""Find the checkpoint that a model's name stands for: a directory, one of PaddleNLP's built-ins, or a Hugging Face id."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from pathlib import Path

from convert.adapter import is_adapter
from convert.errors import ConvertError
from convert.files import cache_folder
from convert.identify import require_checkpoint
from paddle_ft.data.download import RemoteFile, download_missing
from paddle_ft.models.architectures import Architecture, architectures_for, import_by_name
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import read_object
from paddle_ft.system.plugins import user_module_names

WEIGHT_FILES = ("model.safetensors", "model_state.pdparams", "model.safetensors.index.json")
PLAIN_HOST, HOST = "http://bj.bcebos.com/", "https://bj.bcebos.com/"  # PaddleNLP uses both for the same host


def resolve(name: str, head_type: str, weights: bool = True) -> Path:
    """Return the directory of a model in Paddle layout. Download and convert it if necessary.

    Args:
        name: what model.pretrained or model.tokenizer says.
        head_type: the model class that a checkpoint in Hugging Face's format is converted to.
        weights: False if only the tokenizer is needed.

    Raises:
        UserError: the model does not exist, or cannot be downloaded or converted.
    """
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _paddle_layout(path, head_type) if weights else path
    if files := builtin_files(name, head_type):
        download_missing(files)
        return builtin_directory(name)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _convert(name, head_type, weights)
    raise UserError(
        f"model.pretrained: {name}: no such directory, and not the name of a model. Use a directory, a PaddleNLP name"
        f" ({_suggest_names(name, head_type)}) or a Hugging Face id (org/name)."
    )


def _paddle_layout(path: Path, head_type: str) -> Path:
    """Return the directory itself, or the directory of its converted copy if it is in Hugging Face's format."""
    try:
        require_checkpoint(path)
    except ConvertError as error:
        raise UserError(f"model.pretrained: {error}") from None
    if is_adapter(path):
        return _convert(str(path), head_type)
    config = read_config(path)
    if "paddlenlp_version" in config or (path / "model_state.pdparams").exists():
        if not any((path / name).exists() for name in WEIGHT_FILES):
            raise UserError(f"{path}: there are no weights in this directory (looked for {', '.join(WEIGHT_FILES)}).")
        return path
    return _convert(str(path), head_type)


def _convert(name: str, head_type: str, weights: bool = True) -> Path:
    """Return the converted copy of a Hugging Face checkpoint, or with `weights` false the checkpoint itself."""
    import convert

    try:
        if not weights:
            return convert.resolve(name)
        return convert.cached(name, task=head_type, imports=user_module_names("FAMILIES"))
    except convert.ConvertError as error:
        by_hand = f"python -m convert to-paddle {shlex.quote(name)} DIR {error.flags}"
        advice = f"\nConvert it by hand with `{by_hand}`, and set model.pretrained to DIR." if error.flags else ""
        where = "" if error.problem.startswith(f"{name}:") else f"{name}: "
        raise UserError(f"model.pretrained: {where}{error.problem}{advice}") from None


def read_config(directory: Path) -> dict:
    """Read a model's config.json. Raise UserError if it is missing or is not JSON."""
    path = directory / "config.json"
    if not path.exists():
        raise UserError(f"{directory}: there is no config.json, so this is not a model's directory.")
    return read_object(path)


# ---------------------------------------------------------------------------------------------------- PaddleNLP's built-ins
def _candidates(head_type: str) -> list[tuple[Architecture, type]]:
    """Return the architectures that have a class for a head type, each with that class."""
    return [(record, import_by_name(record.model_classes[head_type])) for record in architectures_for(head_type)]


def _tokenizer_class(record: Architecture, name: str) -> type | None:
    """Return the tokenizer class that has the files of a built-in, or None."""
    classes = [import_by_name(class_name) for class_name in record.tokenizer_classes]
    return next((cls for cls in classes if all(name in files for files in cls.pretrained_resource_files_map.values())), None)


def _usable_builtins(record: Architecture, cls: type) -> list[str]:
    """Return the built-ins for which PaddleNLP has sizes, weights and a tokenizer. For some it lacks one of the three."""
    names = set(cls.pretrained_init_configuration) & set(cls.pretrained_resource_files_map.get("model_state", {}))
    return [name for name in names if _tokenizer_class(record, name)]


def builtin_names(head_type: str) -> list[str]:
    """Return the names of PaddleNLP's built-ins for a head type, sorted."""
    return sorted({name for record, cls in _candidates(head_type) for name in _usable_builtins(record, cls)})


def _suggest_names(name: str, head_type: str, limit: int = 12) -> str:
    """Return names for a message: all of them if there are few, else those similar to `name`, else the first ones."""
    names = builtin_names(head_type)
    if len(names) <= limit:
        return ", ".join(names)
    return ", ".join(difflib.get_close_matches(name, names, n=limit) or names[:limit]) + ", ..."


def builtin_directory(name: str) -> Path:
    """Return the folder for the files of a built-in."""
    return cache_folder() / "models" / name


def builtin_files(name: str, head_type: str) -> list[RemoteFile]:
    """Return the files of a PaddleNLP built-in with URL and path, or an empty list if PaddleNLP does not know the name."""
    for record, cls in _candidates(head_type):
        if name not in _usable_builtins(record, cls):
            continue
        directory = builtin_directory(name)
        urls = {"model_state.pdparams": cls.pretrained_resource_files_map["model_state"][name]}
        tokenizer_class = _tokenizer_class(record, name)
        for resource, file_name in tokenizer_class.resource_files_names.items():
            urls[file_name] = tokenizer_class.pretrained_resource_files_map[resource][name]
        _write_builtin_config(cls, tokenizer_class, name, directory)
        return [
            RemoteFile(url.replace(PLAIN_HOST, HOST), directory / file, description=f"{name}: {file}") for file, url in urls.items()
        ]
    return []


def _write_builtin_config(cls, tokenizer_class, name: str, directory: Path) -> None:
    """Write config.json and tokenizer_config.json of a built-in from what PaddleNLP knows about it."""
    if (directory / "config.json").exists() and (directory / "tokenizer_config.json").exists():
        return
    config = cls.config_class(**cls.pretrained_init_configuration[name])
    settings = {"tokenizer_class": tokenizer_class.__name__, **tokenizer_class.pretrained_init_configuration.get(name, {})}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{directory} cannot be made: {error.strerror}. Set PADDLE_FT_HOME to another folder.") from None
    config.save_pretrained(str(directory))
