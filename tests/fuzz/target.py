"""Define what a fuzz target is, and find the targets of tests/fuzz/targets/ and the cases of their corpus."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from convert.errors import ConvertError
from paddle_ft.system.errors import UserError
from tests.fuzz import targets

CORPUS = Path(__file__).parent / "corpus"

# The input of a case: path in the case's folder -> content. A value that is no file (an override, say) is a file all the same.
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Target:
    """Something that reads input, and how it is fed.

    Attributes:
        name: the name of TARGET= and of the folder in corpus/.
        run: reads the files of a case in the given folder, which is also the working directory. It returns after a right result
            (assert what makes it right) or raises one of `errors`. Anything else is a find.
        inputs: the hypothesis strategy for the inputs. tests/fuzz/mutation.py has strategies that break good files.
        examples: inputs that are always tried, by name, such as one that is too large for a file in corpus/.
        prepare: called before the first case, for what all cases need, so that it does not count in their time and memory.
        errors: what may be raised.
        seconds: how much time of the processor a case may take. On the clock it may take six times as long, on a busy machine.
        megabytes: how much memory a case may take beyond what the process has when the case begins.
        share: of the cases that are asked for, how many are run, for a target whose cases take long.
    """

    name: str
    run: Callable[[Path], None]
    inputs: SearchStrategy[Files]
    examples: Mapping[str, Callable[[], Files]] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None
    errors: tuple[type[BaseException], ...] = (UserError, ConvertError)
    seconds: float = 10.0
    megabytes: int = 512
    share: float = 1.0


def find_targets() -> dict[str, Target]:
    """Return the targets of all modules in tests/fuzz/targets/ by their names. A module has a tuple TARGETS."""
    found: dict[str, Target] = {}
    for info in pkgutil.iter_modules(targets.__path__):
        for target in importlib.import_module(f"{targets.__name__}.{info.name}").TARGETS:
            assert target.name not in found, f"{info.name}: there are two targets with the name {target.name}"
            found[target.name] = target
    return found


def find_corpus(target: Target) -> dict[str, Callable[[], Files]]:
    """Return the cases of a target that are tried in every test: its examples, and the folders corpus/TARGET/CASE/.

    Each is a function that makes or reads the input, because that of some has a hundred megabytes and more.
    """
    cases = dict(target.examples)
    for folder in sorted(path for path in (CORPUS / target.name).glob("*") if path.is_dir()):
        assert folder.name not in cases, f"{folder}: there is an example with this name"
        cases[folder.name] = partial(read_files, folder)
    return cases


def read_files(folder: Path) -> Files:
    """Return the files below a folder by their relative paths."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_files(folder: Path, files: Files) -> None:
    """Write the files of a case into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
