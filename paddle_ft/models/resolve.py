"""A name becomes a directory in Paddle layout: a directory, a PaddleNLP built-in, a Hugging Face id."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path

from paddle_ft.data.download import RemoteFile, download_missing, home
from paddle_ft.models.classes import MODEL_CLASSES, WEIGHT_FILES
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.load import default_tokenizer_class

PLAIN_HOST, HOST = "http://bj.bcebos.com/", "https://bj.bcebos.com/"  # PaddleNLP names the same host in both ways


def resolve(name: str, kind: str, weights: bool = True) -> Path:
    """The directory of a model in Paddle layout. Downloads and converts where needed. Raises UserError."""
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _paddle_layout(path, kind) if weights else path
    if wanted := builtin_files(name, kind):
        download_missing(wanted)
        return builtin_directory(name, kind)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        import convert

        try:
            return convert.cached(name, task=kind) if weights else convert.resolve(name)
        except convert.ConvertError as error:
            raise UserError(f"model.pretrained: {name}: {error}") from None
    raise UserError(
        f"model.pretrained: {name}: no such directory, and not the name of a model. Use a directory, a PaddleNLP name"
        f" ({_some_names(name, kind)}) or a Hugging Face id (org/name)."
    )


def _paddle_layout(path: Path, kind: str) -> Path:
    """The directory itself, or a converted copy if it is in Hugging Face's layout."""
    config = read_config(path)
    if "paddlenlp_version" in config or (path / "model_state.pdparams").exists():
        if not any((path / name).exists() for name in WEIGHT_FILES):
            raise UserError(f"{path}: there are no weights in this directory (looked for {', '.join(WEIGHT_FILES)}).")
        return path
    import convert

    try:
        return convert.cached(str(path), task=kind)
    except convert.ConvertError as error:
        raise UserError(f"model.pretrained: {path}: {error}") from None


def read_config(directory: Path) -> dict:
    """config.json of a model. Raises UserError if it is missing or is not JSON."""
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{directory}: there is no config.json, so this is not a model's directory.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: a model's configuration is a JSON object, this is a {type(config).__name__}.")
    return config


# ---------------------------------------------------------------------------------------------------- PaddleNLP's own names
def _builtin_classes(kind: str) -> list:
    import paddlenlp.transformers as library

    return [getattr(library, name) for name in MODEL_CLASSES[kind].values()]


def _names_of(cls) -> list[str]:
    """Built-ins of which PaddleNLP knows the sizes, the weights and a tokenizer; of some it lacks one of the three."""
    names = set(cls.pretrained_init_configuration) & set(cls.pretrained_resource_files_map["model_state"])
    return [name for name in names if default_tokenizer_class(cls.config_class.model_type, name)]


def builtin_names(kind: str) -> list[str]:
    return sorted({name for cls in _builtin_classes(kind) for name in _names_of(cls)})


def _some_names(name: str, kind: str, most: int = 12) -> str:
    """All built-in names where they are few, else those like `name`, else the first."""
    names = builtin_names(kind)
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(difflib.get_close_matches(name, names, n=most) or names[:most]) + ", ..."


def builtin_directory(name: str, kind: str) -> Path:
    return home() / "models" / name


def builtin_files(name: str, kind: str) -> list[RemoteFile]:
    """The files of a PaddleNLP built-in, and where they are kept; empty if the name is none of theirs."""
    for cls in _builtin_classes(kind):
        if name not in _names_of(cls):
            continue
        directory = builtin_directory(name, kind)
        urls = {"model_state.pdparams": cls.pretrained_resource_files_map["model_state"][name]}
        tokenizer_class = default_tokenizer_class(cls.config_class.model_type, name)
        for resource, file_name in tokenizer_class.resource_files_names.items():
            urls[file_name] = tokenizer_class.pretrained_resource_files_map[resource][name]
        _write_builtin_config(cls, tokenizer_class, name, directory)
        return [
            RemoteFile(url.replace(PLAIN_HOST, HOST), directory / file, description=f"{name}: {file}") for file, url in urls.items()
        ]
    return []


def _write_builtin_config(cls, tokenizer_class, name: str, directory: Path) -> None:
    """What PaddleNLP knows about a built-in beside its files: the sizes, and whether capitals count."""
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
