"""Define the report of a conversion, and write it as conversion.json for programs and conversion.md for people."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from convert.errors import visible
from convert.plan import Plan

JSON_NAME, TEXT_NAME = "conversion.json", "conversion.md"


@dataclass(repr=False)
class Report:
    """What a conversion did. The fields are those of conversion.json.

    Attributes:
        direction: "to-paddle" or "to-hf".
        source: The directory or hub id that was converted.
        destination: Where the result is.
        family: The architecture's model_type.
        task: The task, as in `--task`.
        target_class: The model class that loads the result.
        dtype: The requested element type, or "keep".
        files: Source file -> sha256.
        tensors: Source tensor -> {"becomes", "how", "shape", "dtype", "name"}, see convert.plan.TensorUse.
        filled_otherwise: Target tensor -> where its value comes from, if not from a source tensor of its own.
        initialised: Target tensors that are newly initialised.
        ignored: Source tensor -> why the target has no place for it.
        tokenizer: {"kind", "files"}.
        config_kept_aside: Configuration fields that Paddle does not know and that are only stored.
        notes: What the user should know.
        parity: Output or layer -> {"max_abs", "max_rel"}, after `verify` has run.
        seconds: Duration of the conversion.
        versions: Versions of the installed libraries.
    """

    direction: str
    source: str
    destination: str
    family: str
    task: str
    target_class: str
    dtype: str
    files: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, dict] = field(default_factory=dict)
    filled_otherwise: dict[str, str] = field(default_factory=dict)
    initialised: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    tokenizer: dict = field(default_factory=dict)
    config_kept_aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parity: dict[str, dict] = field(default_factory=dict)
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_plan(cls, plan: Plan, **facts: Any) -> Report:
        """Return the report of a conversion that follows the plan. `facts` are the fields without defaults."""
        return cls(
            **facts,
            tensors={name: asdict(use) for name, use in plan.uses.items()},
            filled_otherwise=plan.filled_otherwise,
            initialised=plan.initialised,
            ignored=plan.ignored,
            notes=list(plan.notes),
            versions=installed_versions(),
        )

    def summary(self) -> str:
        """Return a few lines for the terminal."""
        count = len(self.tensors)
        lines = [
            f"{self.family} / {self.task}: {self.source} -> {self.destination}",
            f"load it with {self.target_class}.from_pretrained({str(self.destination)!r})",
            f"{count} tensor{'s' * (count != 1)} converted, {len(self.filled_otherwise)} filled by tying or defaults, "
            f"{len(self.initialised)} newly initialised, {len(self.ignored)} ignored, in {self.seconds:.1f} s",
        ]
        if self.initialised:
            lines.append(f"newly initialised: {', '.join(self.initialised)}")
        if self.ignored:
            lines.append(f"ignored: {', '.join(f'{name} ({why})' for name, why in list(self.ignored.items())[:6])}"
                         + (f" and {len(self.ignored) - 6} more" if len(self.ignored) > 6 else ""))  # fmt: skip
        lines.append(f"tokenizer: {self.tokenizer.get('kind', 'none')}")
        return visible("\n".join(lines + [f"note: {note}" for note in self.notes]))

    def __repr__(self) -> str:
        return f"<Report of {self.direction}>\n{self.summary()}"

    def write(self, directory: Path) -> None:
        """Write conversion.json and conversion.md into a directory."""
        (directory / JSON_NAME).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (directory / TEXT_NAME).write_text(self._text(), encoding="utf-8")

    def _text(self) -> str:
        """Return the contents of conversion.md."""
        lines = ["# Conversion report", "", self.summary(), "", "## Source", ""]
        lines += [f"- {name}: sha256 {digest}" for name, digest in self.files.items()]
        lines += ["", "## Tensors", "", "| source | becomes | how | shape | type |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {name} | {', '.join(t['becomes'])} | {t['how']} | {t['shape']} | {t['dtype']} |" for name, t in self.tensors.items()
        ]
        for title, table in (("Filled otherwise", self.filled_otherwise), ("Ignored", self.ignored)):
            if table:
                lines += ["", f"## {title}", "", *(f"- {name}: {entry}" for name, entry in table.items())]
        if self.parity:
            lines += ["", "## Parity", "", "| output | max abs | max rel |", "| --- | --- | --- |"]
            lines += [f"| {name} | {p['max_abs']:.2e} | {p['max_rel']:.2e} |" for name, p in self.parity.items()]
        if self.config_kept_aside:
            lines += ["", "## Configuration fields kept aside", "", ", ".join(self.config_kept_aside)]
        lines += ["", "## Versions", "", *(f"- {name} {version}" for name, version in self.versions.items())]
        return "\n".join(lines) + "\n"


def installed_versions() -> dict[str, str]:
    """Return the versions of the installed libraries, without importing them."""
    versions = {"python": platform.python_version()}
    for name in ("paddlepaddle", "paddlenlp", "numpy", "tokenizers", "torch", "transformers"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
