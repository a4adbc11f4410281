"""Find a recipe or a study: one that comes with paddle_ft, by its name, or a YAML file of the user's, by its path."""

from __future__ import annotations

import os
from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.installation import SOURCE_TREE

# A wheel has the recipes inside the package.
CONFIG_FOLDER = SOURCE_TREE / "configs" if SOURCE_TREE else Path(__file__).resolve().parents[1] / "configs"
STUDY_FOLDER = CONFIG_FOLDER / "studies"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with paddle_ft, sorted."""
    return sorted(name_in(CONFIG_FOLDER, path) for path in CONFIG_FOLDER.rglob("*.yaml") if STUDY_FOLDER not in path.parents)


def study_names() -> list[str]:
    """Return the names of the studies that come with paddle_ft, sorted."""
    return sorted(name_in(STUDY_FOLDER, path) for path in STUDY_FOLDER.rglob("*.yaml"))


def name_in(folder: Path, path: Path) -> str:
    """Return the name of a recipe or a study by its path in the folder of its kind."""
    return str(path.relative_to(folder).with_suffix(""))


def find_recipe(name: str, folder: Path | None = None, shown_key: str = "--config") -> Path:
    """Return the path of a recipe's YAML file.

    Args:
        name: a recipe in configs/, or the path of a YAML file.
        folder: what a relative path is relative to. None means the working directory.
        shown_key: what the name was given with, for messages.

    Raises:
        UserError: there is no such recipe or file. The message suggests the most similar name.
    """
    return _find(name, folder, shown_key, "recipe", recipe_names(), CONFIG_FOLDER)


def find_study(name: str) -> Path:
    """Return the path of a study's YAML file.

    Args:
        name: a study in configs/studies/, or the path of a YAML file.

    Raises:
        UserError: there is no such study or file. The message suggests the most similar name.
    """
    return _find(name, None, "study", "study", study_names(), STUDY_FOLDER)


def _find(name: str, folder: Path | None, shown_key: str, kind: str, names: list[str], own_folder: Path) -> Path:
    path = Path(folder or "", name)
    if path.suffix in (".yaml", ".yml") or os.path.isfile(path):  # not path.is_file, which raises if the name is too long
        if os.path.isdir(path):
            raise UserError(f"{shown_key} {name}: this is a directory; name a YAML file in it.")
        if not os.path.exists(path):
            hint = did_you_mean(path.stem, names) if path.name == name else ""  # a path with a folder is meant as one
            raise UserError(f"{shown_key} {name}: there is no such file.{hint}")
        return path
    if name not in names:
        plural = {"recipe": "Recipes", "study": "Studies"}[kind]
        raise UserError(
            f"{shown_key} {name}: there is no such {kind}.{did_you_mean(name, names)} {plural}: {', '.join(names)};"
            " or give the path of a YAML file."
        )
    return own_folder / f"{name}.yaml"
