"""Load PaddleNLP tokenizers from a directory."""

from __future__ import annotations

from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.files import read_object

CONFIG = "tokenizer_config.json"
GUESSES = {"vocab.txt": "BertTokenizer", "merges.txt": "BartTokenizer"}  # file -> class, where tokenizer_config.json names none


def read_json(path: Path) -> dict:
    """Read one of a tokenizer's JSON files. Return {} if it does not exist, raise UserError if it is no JSON object."""
    return read_object(path) if path.exists() else {}


def load_tokenizer(directory: Path):
    """Load PaddleNLP's tokenizer from a directory.

    tokenizer_config.json names the class. Without that, vocab.txt means BertTokenizer and merges.txt BartTokenizer.

    Raises:
        UserError: there is no tokenizer, or its files do not fit its class.
    """
    directory = Path(directory)
    path = directory / CONFIG
    if guess := guessed_class(directory):
        name, _ = guess
    else:
        name = str(read_json(path).get("tokenizer_class") or "")
    if not name:
        raise UserError(f"{directory}: there is no tokenizer here (no vocab.txt, no vocab.json with merges.txt).")
    cls = _tokenizer_class(name, path)
    try:
        return cls.from_pretrained(str(directory))
    except MemoryError:
        raise
    except Exception as error:  # PaddleNLP's classes raise many types for files that do not fit them
        raise UserError(f"{directory}: {name} (tokenizer_class) cannot be made of the files here: {error}") from None


def guessed_class(directory: Path) -> tuple[str, str] | None:
    """Return the class of a tokenizer whose tokenizer_config.json does not name one, and the file that decided; else None."""
    if read_json(directory / CONFIG).get("tokenizer_class"):
        return None
    return next(((name, file) for file, name in GUESSES.items() if (directory / file).exists()), None)


def _tokenizer_class(name: str, path: Path):
    """Return PaddleNLP's class of this name. Raise UserError if it is not a tokenizer, or reads a pickle.

    Args:
        name: the name of the class.
        path: the file that has the name, for the message.
    """
    import paddlenlp.transformers as library
    from paddlenlp.transformers.tokenizer_utils_base import PretrainedTokenizerBase

    cls = getattr(library, name, None) or getattr(library, name.removesuffix("Fast"), None)
    is_tokenizer = isinstance(cls, type) and issubclass(cls, (PretrainedTokenizerBase, library.RobertaTokenizer))
    if not is_tokenizer:
        raise UserError(f"{path}: PaddleNLP has no tokenizer class {name}.")
    if pickled := [file for file in getattr(cls, "resource_files_names", {}).values() if file.endswith(".pickle")]:
        raise UserError(f"{path}: a {name} is not allowed: its {pickled[0]} is a pickle, which can run any code. Name another.")
    return cls
