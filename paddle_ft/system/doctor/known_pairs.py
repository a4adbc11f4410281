"""Pairs of package versions that do not work together. Each was tried by installing and importing them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from paddle_ft.system.installation import INSTALL_PADDLE

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class BadPair:
    """Two packages with version ranges that fail together.

    Attributes:
        first, second: package names as pip knows them; "paddle" stands for paddlepaddle or paddlepaddle-gpu.
        first_range, second_range: (at_least, below), the lowest bad version and the first good one above; None: no limit.
        level: ERROR, or WARNING for a pair that can be imported although one package declares that it needs another version
            of the other.
        reason: why they fail.
        remedy: the pip command that fixes it.
    """

    first: str
    first_range: tuple[str | None, str | None]
    second: str
    second_range: tuple[str | None, str | None]
    level: str
    reason: str
    remedy: str

    def applies(self, versions: dict[str, str]) -> bool:
        """Return whether both packages are installed (`versions`: name -> version) in versions that fail together."""
        return _is_within(versions.get(self.first), self.first_range) and _is_within(versions.get(self.second), self.second_range)


ANY = (None, None)
KNOWN_BAD = [
    BadPair(
        *("paddlepaddle", ANY, "paddlepaddle-gpu", ANY, ERROR),
        "both unpack into the same folder and overwrite each other's files",
        f"pip uninstall -y paddlepaddle paddlepaddle-gpu, then one of them again: {INSTALL_PADDLE}",
    ),
    BadPair(
        *("paddlenlp", ("3.0", None), "paddle", (None, "3.0"), ERROR),
        "paddlenlp 3 uses paddle.float8_e5m2, which Paddle 2 does not have: it does not import",
        INSTALL_PADDLE,
    ),
    BadPair(
        *("paddlenlp", ANY, "aistudio-sdk", ("0.3.0", None), ERROR),
        "paddlenlp imports aistudio_sdk.hub.download, which 0.3.0 removed",
        'pip install "aistudio-sdk==0.2.6"',
    ),
    BadPair(
        *("paddlenlp", ANY, "huggingface_hub", ("2.0", None), ERROR),
        "paddlenlp imports repo_type_and_id_from_hf_id, which huggingface_hub 2.0 removed",
        'pip install "huggingface_hub==0.36.2"',
    ),
    BadPair(
        *("paddlenlp", ANY, "datasets", (None, "2.16"), ERROR),
        "paddlenlp passes trust_remote_code to load_dataset, which fails before datasets 2.16",
        'pip install "datasets==3.6.0"',
    ),
    BadPair(
        *("paddle", ANY, "protobuf", (None, "3.20"), ERROR),
        "Paddle imports google.protobuf.internal.builder, which protobuf has from 3.20 on",
        'pip install "protobuf==6.33.6"',
    ),
    BadPair(
        *("numpy", (None, "2.0"), "pyarrow", ("26.0", None), ERROR),
        "pyarrow 26 refuses NumPy below 2 when it is imported, paddlenlp declares numpy<=1.26.4",
        'pip install "pyarrow==19.0.1"',
    ),
    BadPair(
        *("huggingface_hub", (None, "1.0"), "datasets", ("5.2", None), ERROR),
        "datasets 5.2 imports names that huggingface_hub below 1.0 does not have",
        'pip install "datasets==3.6.0"',
    ),
    BadPair(
        *("paddlenlp", ANY, "datasets", ("4.0", None), WARNING),
        "datasets 4 refuses datasets that come as scripts (glue and others of PaddleNLP); files of your own still load",
        'pip install "datasets==3.6.0"',
    ),
    BadPair(
        *("pyarrow", (None, "21.0"), "datasets", ("4.1", None), WARNING),
        "datasets 4.1 writes Parquet with an option that pyarrow has from 21 on",
        'pip install "datasets==3.6.0"',
    ),
    BadPair(
        *("tokenizers", (None, "0.22"), "huggingface_hub", ("1.0", "2.0"), WARNING),
        "tokenizers 0.21 declares huggingface-hub<1.0",
        'pip install "huggingface_hub==0.36.2"',
    ),
    BadPair(
        *("paddlenlp", ANY, "numpy", ("1.26.5", None), WARNING),
        "paddlenlp declares numpy<=1.26.4",
        'pip install "numpy==1.26.4"',
    ),
    BadPair(
        *("paddlenlp", ("3.0", None), "tokenizers", ("0.22", None), WARNING),
        "paddlenlp declares tokenizers>=0.21,<0.22",
        'pip install "tokenizers==0.21.4"',
    ),
    BadPair(
        *("paddlenlp", ("3.0", None), "tokenizers", (None, "0.21"), WARNING),
        "paddlenlp declares tokenizers>=0.21,<0.22",
        'pip install "tokenizers==0.21.4"',
    ),
]


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version without trailing zeros, so that 3.0 equals 3.0.0. For "3.0.0b4" this is (3,)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _is_within(version: str | None, bounds: tuple[str | None, str | None]) -> bool:
    if version is None:
        return False
    at_least, below = bounds
    return (at_least is None or release(version) >= release(at_least)) and (below is None or release(version) < release(below))
