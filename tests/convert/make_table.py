"""Writes the tables of docs/convert.md from the fixtures: python -m tests.convert.make_table

Every row is measured when the command runs: converted, compared with what transformers computed, brought back.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "convert.md"
START, END = "<!-- tables: made by python -m tests.convert.make_table -->", "<!-- end of tables -->"


def unpack(folder: Path) -> list[Path]:
    """All fixtures, one directory each."""
    from tests.convert.conftest import ARCHIVES

    for archive in sorted(ARCHIVES.glob("*.tar.xz")):
        with tarfile.open(archive) as tar:
            tar.extractall(folder / archive.name.removesuffix(".tar.xz"), filter="data")
    return sorted(path for path in folder.glob("*/*") if path.is_dir())


def same_tensors(first: Path, second: Path) -> bool:
    """Same names, types, shapes and bits."""
    from convert.tensors import open_weights

    before, after = open_weights(first).tensors, open_weights(second).tensors
    return before.keys() == after.keys() and all(
        after[name].dtype == tensor.dtype and after[name].read().tobytes() == tensor.read().tobytes()
        for name, tensor in before.items()
    )


def checkpoint_row(source: Path, work: Path) -> str:
    import convert

    report = convert.to_paddle(source, work / "paddle", progress=False)
    differences = convert.verify(source, work / "paddle").differences
    family_outputs = [name for name in differences if "." not in name and name not in ("embeddings", "drop", "ln_f")]
    outputs = max(differences[name]["max_abs"] for name in family_outputs)
    layers = max(d["max_abs"] for d in differences.values())
    convert.to_hf(work / "paddle", work / "back", progress=False)
    verdict = "bit-identical" if same_tensors(source, work / "back") else "DIFFERENT"
    task, _, variant = source.name.partition("-")
    return f"| {report.family} | {task} | {variant or '-'} | {report.target_class} | {outputs:.1e} | {layers:.1e} | {verdict} |"


def tokenizer_row(source: Path, work: Path) -> str:
    from paddlenlp.transformers import AutoTokenizer

    from convert.family import families
    from convert.tokenization import files, write_hf_tokenizer, write_paddle_tokenizer

    family = families()[json.loads((source / "config.json").read_text())["model_type"]]
    (work / "paddle" / "kept").mkdir(parents=True)
    report = write_paddle_tokenizer(source, work / "paddle", work / "paddle" / "kept", {}, family)
    expected = json.loads((source / "expected.json").read_text())["texts"]
    tokenizer = AutoTokenizer.from_pretrained(str(work / "paddle"))
    equal = sum(tokenizer(text)["input_ids"] == ids for text, ids in expected.items())
    (work / "back").mkdir()
    write_hf_tokenizer(work / "paddle", work / "back", work / "paddle" / "kept")
    same = all((work / "back" / path.name).read_bytes() == path.read_bytes() for path in files(source))
    names = ", ".join(path.name for path in files(source) if path.name not in ("special_tokens_map.json",))
    verdict = "identical files" if same else "DIFFERENT"
    return f"| {source.name} | {report['kind']} | {names} | {equal} of {len(expected)} | {verdict} |"


def main() -> None:
    from paddle_ft.system.runtime import prepare_cpu

    prepare_cpu()
    checkpoints = ["| family | head | variant | PaddleNLP class | outputs, max abs | layers, max abs | round trip |"]
    tokenizers = ["| tokenizer | built as | files | ids equal | round trip |"]
    checkpoints.append("| --- " * 7 + "|")
    tokenizers.append("| --- " * 5 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for source in unpack(Path(folder) / "fixtures"):
            with tempfile.TemporaryDirectory() as work, contextlib.redirect_stderr(io.StringIO()):
                if source.parent.name == "tokenizers":
                    tokenizers.append(tokenizer_row(source, Path(work)))
                else:
                    checkpoints.append(checkpoint_row(source, Path(work)))
            print(f"{source.parent.name}/{source.name}", file=sys.stderr)
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    tables = "\n".join([START, "", *checkpoints, "", *tokenizers, "", END])
    DOCUMENT.write_text(before + tables + after, encoding="utf-8")


if __name__ == "__main__":
    main()
