"""Read requests: their size, their JSON, and the fields of /predict and /generate for the run's task."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from paddle_ft.serving.errors import ApiError, invalid
from paddle_ft.serving.limits import Limits
from paddle_ft.serving.writing import writing_fields
from paddle_ft.system.files import to_json
from paddle_ft.system.formatting import did_you_mean, shorten
from paddle_ft.tasks.base import Task

MB = 1_000_000
DISCARDED_MB = 64  # of a body that is too large, so much is read and dropped, so that the client sees the answer
# Lists, objects, names and strings in a body, besides as many as --max-texts. Reading 4 MB of them would hold up all clients.
MOST_PARTS = 250_000
PART = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]', re.DOTALL)
LONGEST_NAME = 100  # characters of a field that does not exist, which a message repeats
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def predict_fields(task: type[Task], limits: Limits) -> type[BaseModel]:
    """Return the fields of POST /predict for a task."""
    text = Annotated[str, Field(max_length=limits.max_characters)]
    many: dict[str, Any] = {"min_length": 1, "max_length": limits.max_texts}
    fields: dict[str, Any] = {"texts": (list[text], Field(**many, description="the texts"))}  # type: ignore[valid-type]
    if task.takes_pairs:
        pair = Annotated[list[text], Field(min_length=2, max_length=2)]  # type: ignore[valid-type]
        fields["texts"] = (list[text] | None, Field(None, **many, description="single texts"))  # type: ignore[valid-type]
        pairs = Field(None, **many, description="or pairs of texts, for a run that was trained on pairs")
        fields["pairs"] = (list[pair] | None, pairs)  # type: ignore[valid-type]
    return create_model("PredictRequest", __config__=STRICT, **fields)


def generate_fields(task: type[Task], limits: Limits) -> type[BaseModel] | None:
    """Return the fields of POST /generate for a task, or None if the task does not write texts."""
    own = writing_fields(task)
    if own is None:
        return None
    fields: dict[str, Any] = {}
    for flag in own:
        by_type: dict[type, dict[str, Any]] = {
            str: {"max_length": limits.max_characters}, int: {"ge": 0, "le": limits.max_new_tokens},
        }  # fmt: skip
        bounds = by_type.get(flag.type, {})
        fields[flag.name] = (flag.type | None, Field(None, **bounds, description=flag.help))
    beams: dict[str, Any] = {"ge": 1, "le": limits.max_beams}
    fields |= {
        "n": (int, Field(1, **beams, description="number of texts")),
        "beams": (int | None, Field(None, **beams, description="beam search with so many beams; not with sampling")),
        "top_k": (int | None, Field(None, ge=0, le=1_000_000, description="sample from the k likeliest tokens; 0: from all")),
        "top_p": (float | None, Field(None, gt=0, le=1, description="sample from the likeliest tokens that together reach this")),
        "temperature": (float | None, Field(None, ge=0.01, le=100, description="sample with logits divided by this")),
        "repetition_penalty": (float | None, Field(None, ge=0.01, le=100, description="above 1: fewer repetitions; 1: off")),
        "no_repeat_ngram": (int | None, Field(None, ge=0, le=1000, description="repeat no sequence of so many tokens; 0: off")),
        "seed": (int | None, Field(None, ge=0, le=2**63 - 1, description="seed of the sampling (default: the run's)")),
        "stream": (bool, Field(False, description="send the text piece by piece, as server-sent events")),
    }
    return create_model("GenerateRequest", __config__=STRICT, **fields)


async def read_body(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Return a request's body. Raise ApiError if it is larger than `limit` bytes, said or not."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= limit:
            parts.append(chunk)
        else:
            parts.clear()
            if size > DISCARDED_MB * MB:
                break
    if size > limit:
        raise too_large(limit)
    return b"".join(parts)


def too_large(limit: int) -> ApiError:
    """Return the error for a body above the limit, in bytes."""
    return ApiError(413, "body_too_large", f"The body is larger than {limit / MB:g} MB.",
                    "Send fewer or shorter texts in a request. The server's limit is --max-body-mb.")  # fmt: skip


def parse_json(body: bytes, max_texts: int, main: str = "texts") -> dict[str, Any]:
    """Return the JSON object of a body.

    Args:
        body: the body.
        max_texts: a body that has far more parts than so many texts is not parsed.
        main: the path's main field, for the example in a message.

    Raises:
        ApiError: the body is anything else.
    """
    problem = ""
    try:
        if _has_more_parts(body, MOST_PARTS + max_texts):
            raise ValueError("it has too many lists, objects or names")
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_refuse_twice)
        if not isinstance(value, dict):
            problem = f"The body is a JSON {_kind(value)}, not an object."
    except UnicodeDecodeError as error:
        problem = f"The body is not UTF-8: byte {error.start} cannot be read."
    except RecursionError:
        problem = "The body is not usable: it is nested too deeply."
    except json.JSONDecodeError as error:
        problem = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
    except ValueError as error:
        problem = f"The body is not usable: {error}."
    if problem:
        example = to_json({main: ["..."] if main == "texts" else "..."})
        raise ApiError(400, "malformed_json", problem, f"Send a JSON object in UTF-8, such as {example}.")
    return dict(value)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raise ValueError for one that has a name twice: which of its values is meant cannot be known."""
    values = dict(pairs)
    if len(values) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it has the field {shorten(twice, LONGEST_NAME)} twice")
    return values


def _has_more_parts(body: bytes, most: int) -> bool:
    """Return whether a body has more lists, objects, names and strings than `most`, without parsing it."""
    if sum(body.count(mark) for mark in (b"[", b"{", b":")) <= most:
        return False  # those within texts counted too
    return next(islice(PART.finditer(body), most, None), None) is not None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _kind(value: Any) -> str:
    return {list: "list", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")


def read_fields(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, with None for those that it does not set. Raise ApiError for the first wrong one."""
    names = list(model.model_fields)
    for name in values:  # before pydantic, which describes each of perhaps 100,000 unknown fields
        if name not in model.model_fields:
            shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
            hint = did_you_mean(shown, [field for field in names if field not in values])
            raise invalid(f"{shown}: there is no such field.{hint} Fields: {', '.join(names)}.")
    try:
        return model.model_validate(values).model_dump()
    except ValidationError as error:
        raise _explain(error.errors()[0]) from None


def _explain(error: Any) -> ApiError:
    """Return what is wrong with a field, from pydantic's description of it."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return invalid(f"{where} is missing.")
    if kind == "string_unicode":
        return invalid(f"{where} has half a surrogate pair (\\ud800 to \\udfff), which is no character.", "Send valid Unicode.")
    if kind == "string_too_long":
        limit = context["max_length"]
        return ApiError(422, "text_too_long", f"{where} has {len(error['input'])} characters; at most {limit} are allowed.",
                        "Shorten the text. The server's limit is --max-characters.")  # fmt: skip
    if kind == "too_long" and where in ("texts", "pairs"):
        count, limit = context["actual_length"], context["max_length"]
        return ApiError(422, "too_many_texts", f"{where} has {count} entries; at most {limit} are allowed in a request.",
                        "Send several requests. The server's limit is --max-texts.")  # fmt: skip
    return invalid(f"{where}: {error['msg']}.")


def predict_inputs(values: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the kind ("text" or "pair") and the inputs of a request to /predict."""
    texts, pairs = values.get("texts"), values.get("pairs")
    if (texts is None) == (pairs is None):
        raise invalid("Give either texts or pairs." if "pairs" in values else "texts is missing.")
    if texts is not None:
        return "text", texts
    return "pair", [tuple(pair) for pair in pairs or []]


def writing_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request to /generate under the names of the command `generate`."""
    return {**{name: value for name, value in values.items() if name not in ("n", "stream")}, "num_return": values["n"]}
