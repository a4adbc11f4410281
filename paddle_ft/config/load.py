"""A recipe's YAML and the command line's overrides become one checked configuration, or one message with every error in it."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError, create_model

from paddle_ft.config.schema import BaseConfig
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task, task_names

CONFIG_FOLDER = Path(__file__).resolve().parents[2] / "configs"


# ---------------------------------------------------------------------------------------------------- YAML
class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-5 as a number (YAML 1.1 makes it a string) and refuses a key given twice."""


class _Dumper(yaml.SafeDumper):
    """Writes numbers as _Loader reads them."""


for _either in (_Loader, _Dumper):
    _either.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)$"),
        list("-+0123456789."),
    )


def _float(dumper: _Dumper, value: float) -> yaml.Node:
    """1e-06 is written 1.0e-06: a number for every reader of YAML, not a string for some."""
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _float)


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise UserError(f"{loader.name}:{line}: the key {key!r} is given twice (first on line {seen[key]}): remove one.")
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _parse_yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """Returns the data and the line of every key by its dotted path. Raises UserError with file and line."""
    loader = None
    try:
        loader = _Loader(text)
        loader.name = name
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines: dict[str, int] = {}
        _collect_lines(node, "", lines)
        return loader.construct_document(node), lines
    except (RecursionError, TypeError) as error:
        raise UserError(f"{name}: not a configuration: {error}") from None
    except yaml.reader.ReaderError as error:
        where = f"{name}:{text.count(chr(10), 0, error.position) + 1}"
        raise UserError(f"{where}: not valid YAML: the character {chr(error.character)!r} is not allowed") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UserError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _collect_lines(node: yaml.Node, prefix: str, lines: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            path = f"{prefix}{key_node.value}"
            lines[path] = key_node.start_mark.line + 1
            _collect_lines(value_node, f"{path}.", lines)


# ---------------------------------------------------------------------------------------------------- finding the recipe
def recipe_names() -> list[str]:
    return sorted(str(path.relative_to(CONFIG_FOLDER))[: -len(".yaml")] for path in CONFIG_FOLDER.rglob("*.yaml"))


def find_recipe(name: str) -> Path:
    """A name in configs/ or the path of a YAML file. Raises UserError with the nearest names."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_dir():
            raise UserError(f"--config {name}: this is a directory; name a YAML file in it.")
        if not path.exists():
            raise UserError(f"--config {name}: there is no such file.{_did_you_mean(path.stem, recipe_names())}")
        return path
    recipe = CONFIG_FOLDER / f"{name}.yaml"
    if not recipe.is_file():
        known = recipe_names()
        raise UserError(
            f"--config {name}: there is no such recipe.{_did_you_mean(name, known)} Recipes: {', '.join(known)};"
            " or give the path of a YAML file."
        )
    return recipe


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


# ---------------------------------------------------------------------------------------------------- building
def config_class(task_name: str) -> type[BaseConfig]:
    """The schema of a recipe: the sections all share, the task's options, the sections that the task adds."""
    task = find_task(task_name)
    own = {"task": (task.Options, ...), "model": (task.Model, ...)}
    own.update({name: (section, section()) for name, section in task.sections.items()})
    return create_model("Config", __base__=BaseConfig, **own)


def load_config(name: str, overrides: list[str] = (), sample: bool = False) -> BaseConfig:
    """Reads a recipe, applies its sample block when asked, then the overrides, and checks all of it.

    Args:
        name: a name in configs/ or a path.
        overrides: "section.key=value" strings, values in YAML.
        sample: apply the recipe's `sample:` block (generated text, small model).

    Raises:
        UserError: with every error of the file and the overrides in one message.
    """
    path = find_recipe(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    shown = _shown(path)
    data, lines = _parse_yaml(text, shown)
    if not isinstance(data, dict):
        raise UserError(f"{shown}: a recipe is a mapping of sections, this file holds a {type(data).__name__}.")
    origins = {key: f"{shown}:{line}" for key, line in lines.items()}

    sample_block = data.pop("sample", None)
    if isinstance(sample_block, bool):  # a resolved configuration saved with a run
        data["sample"], sample_block = sample_block, None
    if sample:
        if not isinstance(sample_block, dict):
            raise UserError(f"{shown}: this recipe has no sample block, so --sample cannot be used with it.")
        for key, value in sample_block.items():
            if not isinstance(key, str):
                raise UserError(f"{shown}: sample: {key!r} is no key; a sample block holds section.key: value.")
            _set(data, key, value)
            origins[key] = origins.get(f"sample.{key}", shown)
        data["sample"] = True
    data.setdefault("recipe", path.stem)
    data.setdefault("output_dir", f"runs/{path.stem}")
    if sample:
        data["output_dir"] = f"{data['output_dir']}_sample"

    for override in overrides:
        key, value = parse_override(override)
        _set(data, key, value)
        origins[key] = f"command line: {override}"
    return check_config(data, origins, shown)


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def parse_override(text: str) -> tuple[str, Any]:
    """Splits "train.learning_rate=3e-5" into the key and the value, read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w-]*(\.[\w-]+)*", key):
        raise UserError(f"{text!r}: an override looks like section.key=value, for example train.learning_rate=3e-5.")
    return key, _parse_yaml(value, f"command line: {key}")[0] if value.strip() else None


def _set(data: dict, key: str, value: Any) -> None:
    """Sets a dotted key. A mapping given for a mapping replaces it whole."""
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(data.get(part), dict):
            data[part] = {}
        data = data[part]
    data[last] = value


def check_config(data: dict, origins: dict[str, str], shown: str) -> BaseConfig:
    """Checks a mapping against the schema of its task. Raises one UserError that lists every error."""
    task = data.get("task")
    name = task.get("name") if isinstance(task, dict) else task
    if name not in task_names():
        where = origins.get("task.name") or origins.get("task") or shown
        known = ", ".join(task_names())
        hint = _did_you_mean(str(name), task_names())
        raise UserError(f"task.name: {name!r} is not a task ({where}).{hint} Tasks: {known}.")
    schema = config_class(name)
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        problems = _readable(error, schema, origins)
        count = f"{len(problems)} errors" if len(problems) > 1 else "an error"
        raise UserError(f"{shown}: {count} in the configuration:\n" + "\n".join(f"  {p}" for p in problems)) from None


_KINDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be a mapping {key: value}",
    "model_type": "must be a section {key: value}",
    "model_attributes_type": "must be a section {key: value}",
    "list_type": "must be a list",
    "missing": "is missing",
}


def _readable(error: ValidationError, schema: type[BaseModel], origins: dict[str, str]) -> list[str]:
    """pydantic's errors as one line each: full key, value, what is allowed, where it stands."""
    grouped: dict[str, list[dict]] = {}
    for item in error.errors():
        grouped.setdefault(_key_path(item["loc"], schema), []).append(item)
    lines = []
    for key, items in grouped.items():
        item = items[0]
        where = f" ({origins[key]})" if key in origins else ""
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: there is no such key{where}.{_suggest_key(key, schema)}")
        elif item["type"] == "missing":
            lines.append(f"{key}: is missing{where}.")
        elif item["type"] == "value_error":
            lines.append(f"{key}: {item['ctx']['error']}{where}.")
        else:
            allowed = " or ".join(dict.fromkeys(_allowed(i) for i in items))
            lines.append(f"{key}: {item['input']!r} is not allowed{where}: {allowed}.")
    return lines


def _allowed(item: dict) -> str:
    if item["type"] in _KINDS:
        return _KINDS[item["type"]]
    message = item["msg"]
    return message.replace("Input should be", "must be").replace("'", "").replace("String should have", "must have")


def _key_path(location: tuple, schema: type[BaseModel]) -> str:
    """The dotted key of an error, without the names of union members that pydantic appends."""
    parts, current = [], schema
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields is None:
            if get_origin(current) is dict:  # the key inside a mapping such as data.columns
                parts.append(str(part))
            break
        parts.append(str(part))
        current = _section(fields[part].annotation) if part in fields else None
    return ".".join(parts)


def _section(annotation: Any) -> Any:
    """A field's annotation; of a section that may be null, the section."""
    return next((kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)), annotation)


def all_keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, info in schema.model_fields.items():
        kind = _section(info.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += all_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _suggest_key(key: str, schema: type[BaseModel]) -> str:
    known = all_keys(schema) + [name for name in schema.model_fields]
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [k for k in known if k.rsplit(".", 1)[-1] == leaf]
    near = same_leaf or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not near:
        leaves = {k.rsplit(".", 1)[-1]: k for k in known}
        near = [leaves[k] for k in difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=0.6)]
    return f" Did you mean {near[0]}?" if near else " --print-config lists the keys."


# ---------------------------------------------------------------------------------------------------- showing
def describe(config: BaseConfig) -> str:
    """The configuration as YAML that loads again, each field with its meaning above it."""
    return "\n".join(_describe(config, "")) + "\n"


def _describe(section: BaseModel, indent: str) -> list[str]:
    lines = []
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            doc = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += ["", f"{indent}# {doc}", f"{indent}{name}:", *_describe(value, indent + "  ")]
            continue
        lines.append(f"{indent}# {info.description}{_allowed_values(info)}")
        lines.append(f"{indent}{name}: {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    """One value on one line."""
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()


def _allowed_values(info) -> str:
    """" [a | b]" for a choice, " [>= 1]" for a range, nothing where all is allowed."""
    if get_origin(info.annotation) is Literal:
        choices = get_args(info.annotation)
        return f" [{' | '.join(map(str, choices))}]" if len(choices) > 1 else ""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [f"{sign} {getattr(m, name)}" for m in info.metadata for name, sign in signs.items() if hasattr(m, name)]
    return f" [{', '.join(found)}]" if found else ""


def to_yaml(config: BaseConfig) -> str:
    """The configuration as plain YAML, to be saved with a run."""
    return yaml.dump(config.model_dump(), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
