"""Find a recipe: one that comes with paddle_ft, by its name, or a YAML file of the user's, by its path."""

from __future__ import annotations

from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.installation import SOURCE_TREE

# A wheel has the recipes inside the package.
CONFIG_FOLDER = SOURCE_TREE / "configs" if SOURCE_TREE else Path(__file__).resolve().parents[1] / "configs"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with paddle_ft, sorted."""
    return sorted(str(path.relative_to(CONFIG_FOLDER))[: -len(".yaml")] for path in CONFIG_FOLDER.rglob("*.yaml"))


def find_recipe(name: str, folder: Path | None = None, shown_key: str = "--config") -> Path:
    """Return the path of a recipe's YAML file.

    Args:
        name: a recipe in configs/, or the path of a YAML file.
        folder: what a relative path is relative to. None means the working directory.
        shown_key: what the name was given with, for messages.

    Raises:
        UserError: there is no such recipe or file. The message suggests the most similar name.
    """
    path = Path(folder or "", name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_dir():
            raise UserError(f"{shown_key} {name}: this is a directory; name a YAML file in it.")
        if not path.exists():
            raise UserError(f"{shown_key} {name}: there is no such file.{did_you_mean(path.stem, recipe_names())}")
        return path
    recipe = CONFIG_FOLDER / f"{name}.yaml"
    if not recipe.is_file():
        names = recipe_names()
        raise UserError(
            f"{shown_key} {name}: there is no such recipe.{did_you_mean(name, names)} Recipes: {', '.join(names)};"
            " or give the path of a YAML file."
        )
    return recipe
