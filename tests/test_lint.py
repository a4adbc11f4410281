"""Test that the checks of `make lint` cover all of the code: a list that shrinks must not go unnoticed."""

import tomllib

from tests.support.paths import ROOT

MYPY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]


def listed_modules(**setting) -> list[str]:
    """Return the modules of the overrides of mypy that have a setting."""
    ((name, value),) = setting.items()
    return [module for override in MYPY["overrides"] if override.get(name) == value for module in override["module"]]


def exists(module: str) -> bool:
    """Return whether a module or, for a pattern such as paddle_ft.data.*, a package is in the source."""
    path = ROOT / module.removesuffix(".*").replace(".", "/")
    return (path / "__init__.py").is_file() or (not module.endswith(".*") and path.with_suffix(".py").is_file())


def test_types_of_both_packages_are_checked():
    assert sorted(MYPY["files"]) == ["convert", "paddle_ft"]
    assert not {"exclude", "ignore_errors", "follow_imports"} & set(MYPY), "these would leave files out"


def test_modules_with_rules_of_their_own_exist():
    modules = listed_modules(ignore_errors=True) + listed_modules(disallow_untyped_defs=True)
    assert len(modules) > 10 and [module for module in modules if not exists(module)] == []


def test_what_users_call_is_checked_strictly():
    strict, ignored = listed_modules(disallow_untyped_defs=True), listed_modules(ignore_errors=True)
    assert {"paddle_ft", "paddle_ft.api.*", "convert"} <= set(strict)
    assert not set(strict) & set(ignored)
    assert not {"*", "paddle_ft.*", "convert.*", "paddle_ft", "convert"} & set(ignored)
