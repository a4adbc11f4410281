"""Put the recipes into the wheel. pyproject.toml names this class, and setuptools runs it."""

from pathlib import Path

from setuptools.command.build_py import build_py

RECIPES = "configs"


class BuildPy(build_py):
    """Build the Python packages, and copy configs/ to paddle_ft/configs, where an installed paddle_ft looks for its recipes."""

    def run(self) -> None:
        """Copy all files of the packages, and the recipes unless the installation is editable."""
        super().run()
        if not self.editable_mode:
            for source, target in self._recipes():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that are built."""
        return [*super().get_outputs(include_bytecode), *(target for _, target in self._recipes())]

    def get_source_files(self) -> list[str]:
        """Return the files that a source distribution needs."""
        return [*super().get_source_files(), *(source for source, _ in self._recipes())]

    def _recipes(self) -> list[tuple[str, str]]:
        """Return (source, target) of each recipe."""
        target = Path(self.build_lib, "paddle_ft")
        return [(str(path), str(target / path)) for path in sorted(Path(RECIPES).rglob("*.yaml"))]
