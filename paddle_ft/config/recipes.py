"""Find a recipe: a YAML file in configs/, or one that the user names by its path."""

from __future__ import annotations

from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean

CONFIG_FOLDER = Path(__file__).resolve().parents[2] / "configs"


def recipe_names() -> list[str]:
    """Return the names of all recipes in configs/, sorted."""
    return sorted(str(path.relative_to(CONFIG_FOLDER))[: -len(".yaml")] for path in CONFIG_FOLDER.rglob("*.yaml"))


def find_recipe(name: str) -> Path:
    """Return the path of a recipe's YAML file.

    Args:
        name: a recipe in configs/, or the path of a YAML file.

    Raises:
        UserError: there is no such recipe or file. The message suggests the most similar name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_dir():
            raise UserError(f"--config {name}: this is a directory; name a YAML file in it.")
        if not path.exists():
            raise UserError(f"--config {name}: there is no such file.{did_you_mean(path.stem, recipe_names())}")
        return path
    recipe = CONFIG_FOLDER / f"{name}.yaml"
    if not recipe.is_file():
        names = recipe_names()
        raise UserError(
            f"--config {name}: there is no such recipe.{did_you_mean(name, names)} Recipes: {', '.join(names)};"
            " or give the path of a YAML file."
        )
    return recipe
