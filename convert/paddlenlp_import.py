"""Import PaddleNLP without the packages of it that a conversion or a training seldom uses: they are imported when they are used.

`import paddlenlp` imports all its packages, also the server, the ready-made pipelines (Taskflow) and the trainer, and with them
fastapi, datasets, pandas, scikit-learn and SciPy: more than half of its modules, and of the time.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import gc
import importlib
import importlib.metadata
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VERSION = "3.0.0b4"  # the only one for which this is tried; any other is imported as a whole
# In the order of paddlenlp/__init__.py. What is not in this list is imported by paddlenlp.transformers.
LATER = ("dataaug", "datasets", "embeddings", "experimental", "losses", "mergekit", "metrics", "peft", "prompt", "seq2vec",
         "trainer", "trl", "server", "taskflow")  # fmt: skip
CLASSES = {"SimpleServer": "server", "Taskflow": "taskflow"}  # which paddlenlp itself has, and the packages that define them


def import_paddlenlp() -> None:
    """Import paddlenlp and paddlenlp.transformers. If paddlenlp is imported already, it stays as it is."""
    # At its end Python looks for garbage among the million objects of the libraries, which takes longer than a short command.
    atexit.register(gc.freeze)
    if "paddlenlp" in sys.modules or importlib.metadata.version("paddlenlp") != VERSION:
        import paddlenlp.transformers

        return
    placeholders = {f"paddlenlp.{name}": ModuleType(f"paddlenlp.{name}") for name in LATER}
    for name, package in CLASSES.items():
        setattr(placeholders[f"paddlenlp.{package}"], name, None)
    sys.modules.update(placeholders)
    try:
        import paddlenlp.transformers
    finally:
        for name in placeholders:
            del sys.modules[name]
    for name in (*LATER, *CLASSES):
        vars(paddlenlp).pop(name, None)
    paddlenlp.__getattr__ = _import_attribute
    sys.meta_path.insert(0, _Later())


def _import_attribute(name: str) -> Any:
    """Return an attribute that paddlenlp would have if it had been imported as a whole."""
    if name in CLASSES:
        return getattr(importlib.import_module(f"paddlenlp.{CLASSES[name]}"), name)
    if name in LATER:
        return importlib.import_module(f"paddlenlp.{name}")
    raise AttributeError(f"module 'paddlenlp' has no attribute {name!r}")


class _Later(MetaPathFinder, Loader):
    """Import paddlenlp.prompt before the first of the other packages.

    prompt, trainer and peft import each other, and PaddleNLP never begins with another one than prompt: it would fail.
    """

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return None, so that the package is found as usual, unless the import of paddlenlp.prompt has imported it."""
        if fullname not in {f"paddlenlp.{name}" for name in LATER}:
            return None
        with contextlib.suppress(ValueError):  # another thread may have removed it
            sys.meta_path.remove(self)
        importlib.import_module("paddlenlp.prompt")
        if fullname not in sys.modules:
            return None
        module = sys.modules[fullname]
        self._spec = module.__spec__
        module.__spec__ = copy.copy(module.__spec__)  # of two specs Python takes that of the module, and would run its code again
        assert module.__spec__ is not None
        module.__spec__.loader = self
        return module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the package that is imported already."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Run no code: it has run."""
        module.__spec__ = self._spec
