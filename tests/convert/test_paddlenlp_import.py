"""Test that PaddleNLP is imported without what is seldom used, and that its other packages work as if it were there."""

import json
import subprocess
import sys

from convert.paddlenlp_import import VERSION
from setup.requirement_files import requirement_lines
from tests.support.paths import ROOT

HEAVY = ("fastapi", "datasets", "pandas", "sklearn", "paddlenlp.taskflow", "paddlenlp.trainer")
# A second import of a module would make its classes anew.
PROGRAM = """
import json, sys
from convert.paddlenlp_import import LATER, import_paddlenlp
import_paddlenlp()
before = sorted(sys.modules)
from paddlenlp.peft import LoRAConfig
import paddlenlp
assert paddlenlp.peft.LoRAConfig is LoRAConfig
assert paddlenlp.SimpleServer is paddlenlp.server.SimpleServer and paddlenlp.Taskflow.__name__ == "Taskflow"
assert not hasattr(paddlenlp, "absent")
import paddlenlp.peft.lora.lora_model, paddlenlp.trainer.trainer, paddlenlp.prompt
assert paddlenlp.trainer.trainer.LoRAModel is paddlenlp.peft.LoRAModel is paddlenlp.peft.lora.lora_model.LoRAModel
assert paddlenlp.prompt.PromptTuningArguments.__mro__[1] is paddlenlp.trainer.TrainingArguments
packages = [getattr(paddlenlp, name) for name in LATER]
assert all(package is sys.modules[package.__name__] and package.__spec__.loader is package.__loader__ for package in packages)
print(json.dumps(before))
"""


def test_what_is_not_imported_is_there_when_it_is_used():
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert "paddlenlp.transformers" in modules
    assert not [name for name in HEAVY if name in modules]


def test_it_is_tried_with_the_version_that_is_required():
    """After an update of PaddleNLP, see that the test above passes with it, and set VERSION."""
    assert f"paddlenlp=={VERSION}" in requirement_lines(ROOT / "requirements-base.txt")
