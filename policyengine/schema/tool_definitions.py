"""The tools that a document defines, in any dialect.

In: parsed JSON, as one of: an MCP `tools/list` answer (in its JSON-RPC envelope or not, or its list of tools alone);
function definitions for OpenAI (Chat Completions, Responses, or the older `functions`), Anthropic, Amazon Bedrock
(`toolSpec`) or Gemini (`functionDeclarations`); a registry's tools with lists of `arguments`; one JSON Schema; or a
list of these. Out: each tool's name, description, schema and annotations, unchecked, and what was skipped. Nothing is
skipped silently. Never raises for any JSON.

Sources: MCP schema, `Tool`; Bedrock Converse API, `ToolConfiguration`; Gemini API, `Tool` and `FunctionDeclaration`;
`tools.json` of the Docker MCP registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from policyengine.diagnostics.safe_text import hidden
from policyengine.schema.imported_schema import pointer

MAX_NESTED = 8
_GEMINI_LISTS = ("functionDeclarations", "function_declarations")
_LISTS = ("tools", "functions", *_GEMINI_LISTS)
_SCHEMA_KEYS = ("inputSchema", "input_schema", "parameters", "parametersJsonSchema", "parameters_json_schema")
_RESULT_KEYS = ("outputSchema", "output_schema", "response", "responseJsonSchema", "response_json_schema")
_SCHEMA_WORDS = frozenset({"$schema", "$ref", "$defs", "properties", "allOf", "anyOf", "oneOf"})
_INNER = ("function", "toolSpec")
# What a registry gives for an argument besides its schema.
_ARGUMENT_WORDS = frozenset({"name", "desc", "optional", "required"})


@dataclass(frozen=True, slots=True)
class Definition:
    """One tool's description of itself. `schema` is None if it has no parameters; paths are JSON Pointers."""

    name: object
    description: object
    schema: object
    schema_path: str
    annotations: object
    path: str
    notes: tuple[tuple[str, str], ...] = ()
    # The origin of a generated schema: pointers into the document by pointers into the schema.
    places: Mapping[str, str] = field(default_factory=dict)
    # The schema of the result; None if there is none.
    result: object = None
    result_path: str = ""

    def place(self, path: str) -> str:
        """The place in the document for a place in the schema."""
        if not self.places:
            return path
        inner = path.removeprefix(self.schema_path)
        head, tail = "/".join(inner.split("/")[:3]), inner.split("/")[3:]
        return "/".join([self.schema_path + self.places.get(head, ""), *tail])


@dataclass(frozen=True, slots=True)
class Skipped:
    path: str
    message: str


def definitions(document: object, name: str | None) -> Iterator[Definition | Skipped]:
    """Every tool of the document, in order. `name` is for a single definition without a name."""
    if isinstance(document, list | dict):
        yield from _within(document, "", name, 0)
    else:
        yield Skipped("", "no tools here: expected an object or a list of tools")


def _within(item: object, path: str, name: str | None, depth: int) -> Iterator[Definition | Skipped]:
    if depth > MAX_NESTED:
        yield Skipped(path, f"lists of tools nested deeper than {MAX_NESTED}, so not read")
    elif isinstance(item, list) and (item or not depth):
        yield from _items(item, path, depth)
    elif isinstance(item, dict):
        yield from _of_object(item, path, name, depth)
    else:
        yield Skipped(path, "not a tool")


def _items(items: list[object], path: str, depth: int) -> Iterator[Definition | Skipped]:
    for i, item in enumerate(items):
        yield from _within(item, f"{path}/{i}", None, depth + 1)


def _of_object(item: dict[str, object], path: str, name: str | None, depth: int) -> Iterator[Definition | Skipped]:
    holder, inside = _holder(item, path)
    lists = [key for key in _LISTS if isinstance(holder.get(key), list)]
    for key in lists:
        values = holder[key]
        assert isinstance(values, list)
        yield from _items(values, f"{inside}/{key}", depth)
    if not lists:
        yield _alone(item, path, name)
        return
    if holder.get("nextCursor") is not None:
        yield Skipped(f"{inside}/nextCursor", "the list goes on: import its next page too")
    if any(key in _GEMINI_LISTS for key in lists):
        others = ", ".join(f"`{one_line(key, 40)}`" for key in holder if key not in _LISTS)
        if others:
            yield Skipped(inside, f"has other tools beside its functions, which are not described here: {others}")
    elif depth and any(key in item for key in (*_SCHEMA_KEYS, *_INNER)):
        yield _definition(item, path, name)


def _holder(item: dict[str, object], path: str) -> tuple[dict[str, object], str]:
    """The object that contains the lists: the answer in its envelope, the configuration in its request."""
    for key in ("result", "toolConfig"):
        inner = item.get(key)
        if isinstance(inner, dict):
            return inner, f"{path}/{key}"
    return item, path


def _alone(item: dict[str, object], path: str, name: str | None) -> Definition | Skipped:
    """The one tool that an object without a list describes."""
    if "jsonrpc" in item:
        what = "a message that is not an answer" if "method" in item else "an answer without a list of tools"
        return Skipped(path, what)
    return _definition(item, path, name)


def _definition(item: dict[str, object], path: str, name: str | None) -> Definition | Skipped:
    kind = item.get("type")
    for key in _INNER:
        inner = item.get(key)
        if isinstance(inner, dict):
            return _one_definition(inner, f"{path}/{key}", name)
    if any(key in item for key in _SCHEMA_KEYS):
        return _one_definition(item, path, name)
    if kind == "object" or _SCHEMA_WORDS & item.keys():
        return Definition(name or _schema_name(item), item.get("description"), item, path, None, path)
    if kind in (None, "function") and ("name" in item or name):
        return _one_definition(item, path, name)
    if isinstance(kind, str):
        return Skipped(path, f"a tool of type `{one_line(kind, 40)}`, whose arguments are not described here")
    return Skipped(path, "not a tool")


def _one_definition(item: dict[str, object], path: str, name: str | None) -> Definition:
    own, description, annotations = item.get("name", name), item.get("description"), item.get("annotations")
    keys = [key for key in _SCHEMA_KEYS if item.get(key) is not None]
    arguments = item.get("arguments")
    results = [key for key in _RESULT_KEYS if item.get(key) is not None]
    notes = [(f"{path}/{key}", f"not read, as `{results[0]}` describes what comes back") for key in results[1:]]
    schema, at, places = None, path, dict[str, str]()
    if keys:
        unread = [*keys[1:], *(["arguments"] if isinstance(arguments, list) else [])]
        notes += [(f"{path}/{key}", f"not read, as `{keys[0]}` describes the arguments") for key in unread]
        schema, at = _unwrapped(item[keys[0]], f"{path}/{keys[0]}")
    elif isinstance(arguments, list):
        at = f"{path}/arguments"
        schema, places, said = _of_arguments(arguments, at)
        notes += said
    returned = _unwrapped(item[results[0]], f"{path}/{results[0]}") if results else (None, "")
    return Definition(own, description, schema, at, annotations, path, tuple(notes), places, *returned)


def _unwrapped(schema: object, path: str) -> tuple[object, str]:
    """A schema, which Bedrock puts under `json`, and its place."""
    if isinstance(schema, dict) and "json" in schema and not (_SCHEMA_WORDS | {"type"}) & schema.keys():
        return schema["json"], f"{path}/json"
    return schema, path


def _of_arguments(
    arguments: list[object], path: str
) -> tuple[dict[str, object], dict[str, str], tuple[tuple[str, str], ...]]:
    """A schema for a registry's list of arguments, the places of its properties, and notes.

    Registries rarely state which arguments are required: an unmarked argument may be absent.
    """
    properties: dict[str, object] = {}
    places: dict[str, str] = {"": ""}
    required: list[str] = []
    notes: list[tuple[str, str]] = []
    unmarked = False
    for i, argument in enumerate(arguments):
        name = argument.get("name") if isinstance(argument, dict) else None
        if not isinstance(argument, dict) or not isinstance(name, str) or not name:
            notes.append((f"{path}/{i}", "an argument without a name, so a call that has it is denied"))
            continue
        if name in properties:
            notes.append((f"{path}/{i}", "named a second time, so its type is `Json`"))
            properties[name] = {}
            continue
        places[pointer(("properties", name))] = f"/{i}"
        properties[name] = {key: value for key, value in argument.items() if key not in _ARGUMENT_WORDS}
        if argument.get("required") is True or argument.get("optional") is False:
            required.append(name)
        unmarked |= "required" not in argument and "optional" not in argument
    if unmarked:
        notes.append((path, "does not say which arguments are required, so those that are not marked may be absent"))
    return {"type": "object", "properties": properties, "required": required}, places, tuple(notes)


def _schema_name(schema: dict[str, object]) -> object:
    """`title`, or the last part of `$id` without its file endings."""
    title, id_ = schema.get("title"), schema.get("$id")
    if isinstance(title, str) and title:
        return title
    if isinstance(id_, str):
        last = re.split(r"[/:]", re.split(r"[?#]", id_)[0].rstrip("/"))[-1]
        return last.removesuffix(".json").removesuffix(".schema")
    return None


def one_line(text: str, limit: int) -> str:
    """The text in one line of at most `limit` characters: spaces for white space, unprintable characters left out."""
    head = text[: limit * 4]
    shown = " ".join("".join(c for c in head if c.isspace() or not hidden(c)).split())
    return shown if len(shown) <= limit and len(head) == len(text) else shown[: limit - 3].rstrip() + "..."
