"""Write the tables of docs/convert.md from the fixtures: `python -m tests.convert.make_table`.

Each row is measured: the script converts the fixture, compares its outputs with those of transformers, and converts it back.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

from tests.support.checkpoints import ARCHIVES, unpack

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "convert.md"
START, END = "<!-- tables: made by python -m tests.convert.make_table -->", "<!-- end of tables -->"


def unpack_all(folder: Path) -> list[Path]:
    """Unpack all fixtures and return their directories."""
    for archive in sorted(path.name.removesuffix(".tar.xz") for path in ARCHIVES.glob("*.tar.xz")):
        if archive != "adapters":
            unpack(archive, folder / archive)
    return sorted(path for path in folder.glob("*/*") if path.is_dir())


def same_tensors(first: Path, second: Path) -> bool:
    """Return whether two checkpoints have the same tensors: names, types and bits."""
    from convert.tensors import open_weights

    before, after = open_weights(first).tensors, open_weights(second).tensors
    return before.keys() == after.keys() and all(
        after[name].dtype == tensor.dtype and after[name].read().tobytes() == tensor.read().tobytes()
        for name, tensor in before.items()
    )


def checkpoint_row(source: Path, work: Path) -> str:
    """Convert one checkpoint in both directions and return its row of the table."""
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
    """Convert one tokenizer in both directions and return its row of the table."""
    from paddlenlp.transformers import AutoTokenizer

    from convert.families import load_families
    from convert.tokenizers.files import tokenizer_files
    from convert.tokenizers.to_hf import write_hf_tokenizer
    from convert.tokenizers.to_paddle import write_paddle_tokenizer

    family = load_families()[json.loads((source / "config.json").read_text())["model_type"]]
    (work / "paddle" / "kept").mkdir(parents=True)
    report, _ = write_paddle_tokenizer(source, work / "paddle", work / "paddle" / "kept", family)
    expected = json.loads((source / "expected.json").read_text())["texts"]
    tokenizer = AutoTokenizer.from_pretrained(str(work / "paddle"))
    equal = sum(tokenizer(text)["input_ids"] == ids for text, ids in expected.items())
    (work / "back").mkdir()
    write_hf_tokenizer(work / "paddle", work / "back", work / "paddle" / "kept")
    same = all((work / "back" / path.name).read_bytes() == path.read_bytes() for path in tokenizer_files(source))
    names = ", ".join(path.name for path in tokenizer_files(source) if path.name not in ("special_tokens_map.json",))
    verdict = "identical files" if same else "DIFFERENT"
    return f"| {source.name} | {report['kind']} | {names} | {equal} of {len(expected)} | {verdict} |"


def main() -> None:
    """Measure all fixtures and replace the tables in the document."""
    from paddle_ft.system.runtime import prepare_cpu

    prepare_cpu()
    rows = ["| family | head | variant | PaddleNLP class | outputs, max abs | layers, max abs | round trip |"]
    tokenizers = ["| tokenizer | built as | files | ids equal | round trip |"]
    rows.append("| --- " * 7 + "|")
    tokenizers.append("| --- " * 5 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for source in unpack_all(Path(folder) / "fixtures"):
            with tempfile.TemporaryDirectory() as work, contextlib.redirect_stderr(io.StringIO()):
                if source.parent.name == "tokenizers":
                    tokenizers.append(tokenizer_row(source, Path(work)))
                else:
                    rows.append(checkpoint_row(source, Path(work)))
            print(f"{source.parent.name}/{source.name}", file=sys.stderr)
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    tables = "\n".join([START, "", *rows, "", *tokenizers, "", END])
    DOCUMENT.write_text(before + tables + after, encoding="utf-8")


if __name__ == "__main__":
    main()
