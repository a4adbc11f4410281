"""Read and write YAML for recipes: 1e-5 is a number, duplicate keys are errors, and the line of every key is known."""

from __future__ import annotations

import re
from typing import Any

import yaml

from paddle_ft.system.errors import UserError

MAX_VALUES = 100_000  # of a configuration


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that reads 1e-5 as a number and rejects duplicate keys."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node. A scalar that is not what it looks like, such as 2001-99-99 or 0x_, is an error of YAML."""
        problem: str | None = None
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, OverflowError):  # PyYAML lets through what int(), date() and so on raise
            value, problem = None, f"is not a valid {node.tag.rsplit(':', 1)[-1]}"
        if isinstance(value, int) and abs(value) >= 2**64:
            problem = "is too large a number"
        if problem:
            message = f"{node.value[:60]!r} {problem}; put it in quotes if it is text"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        return value


class _Dumper(yaml.SafeDumper):
    """A safe YAML dumper whose numbers are read as numbers by _Loader and by every other YAML reader."""


for _class in (_Loader, _Dumper):  # in YAML 1.1, 1e-5 is text because it has no dot
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)$"),
        list("-+0123456789."),
    )


def _represent_float(dumper: _Dumper, value: float) -> yaml.Node:
    """Write 1e-06 as 1.0e-06, which every YAML reader reads as a number."""
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _represent_float)


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    """Return the mapping of a YAML node. Raise UserError if it has a key twice."""
    lines: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in lines:
            raise UserError(f"{loader.name}:{line}: the key {key!r} is given twice (first on line {lines[key]}): remove one.")
        lines[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def parse_yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """Parse YAML text.

    Args:
        text: the YAML.
        name: where the text comes from (a file or the command line), for messages.

    Returns:
        The data, and dotted key -> line of every key. Lines count from 1.

    Raises:
        UserError: the text is not valid YAML. The message gives name and line.
    """
    loader = None
    try:
        loader = _Loader(text)
        loader.name = name
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        _check_size(node, name, {})
        lines: dict[str, int] = {}
        _collect_lines(node, "", lines)
        return loader.construct_document(node), lines
    except (RecursionError, TypeError) as error:
        raise UserError(f"{name}: not a configuration: {error}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{name}:{line}: not valid YAML: the character {chr(error.character)!r} is not allowed") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        raise UserError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _check_size(node: yaml.Node, name: str, sizes: dict[int, int]) -> int:
    """Return how many values a node stands for. Raise UserError if it contains itself, or if aliases make it too large.

    Aliases of aliases let a few lines stand for billions of values, which would be written out when the configuration is saved.

    Args:
        node: the node.
        name: where the text comes from, for messages.
        sizes: the sizes of the nodes that are known, by their id; 0 for those around this one.
    """
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise UserError(f"{name}:{node.start_mark.line + 1}: not a configuration: a value contains itself")
        return sizes[id(node)]
    sizes[id(node)] = 0
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    size = 1 + sum(_check_size(part, name, sizes) for part in parts)
    if size > MAX_VALUES:
        raise UserError(f"{name}:{node.start_mark.line + 1}: not a configuration: it has more than {MAX_VALUES:,} values")
    sizes[id(node)] = size
    return size


def _collect_lines(node: yaml.Node, prefix: str, lines: dict[str, int]) -> None:
    """Add dotted key -> line of all keys below a node to `lines`."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            path = f"{prefix}{key_node.value}"
            lines[path] = key_node.start_mark.line + 1
            _collect_lines(value_node, f"{path}.", lines)


def dump_yaml(data: Any) -> str:
    """Return data as YAML in block style, one key per line and in the order of the data."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def dump_yaml_line(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()
