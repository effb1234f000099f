"""Tool declarations from MCP, OpenAI, Anthropic, Bedrock, Gemini, registries and JSON Schema.

`cases/<name>.json` is a document and `cases/<name>.pol` the text it becomes (golden; notes stand in it as comments).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.diagnostics.diagnostic import has_errors
from policyengine.diagnostics.source import Source
from policyengine.model.refined import problems
from policyengine.model.types import RecordField, RecordT, Type
from policyengine.schema.declare import ModuleTree, declare
from policyengine.schema.tool_import import Imported, import_tools, to_source
from policyengine.syntax.format import format_declaration, format_source
from policyengine.syntax.parse import parse
from tests.support.golden import assert_golden
from tests.support.paths import PACKAGE

CASES = Path(__file__).parent / "cases"


def declared(imported: Imported) -> dict[str, RecordT]:
    """The arguments of each tool, as the schema room declares the imported text. The text must have no errors."""
    text = to_source(imported, "tools")
    text.encode()
    assert not format_source(Source("tools.pol", text)).changed
    parsed = parse(Source("tools.pol", text))
    assert not has_errors(parsed.diagnostics), [d.message for d in parsed.diagnostics]
    assert parsed.module.statements == imported.statements
    ai = parse(Source("ai.pol", (PACKAGE / "schema" / "ai.pol").read_text(encoding="utf-8"))).module
    names = frozenset({"ai", "tools"})
    found = declare([ModuleTree("ai", names, ai), ModuleTree("tools", names, parsed.module)])
    assert not has_errors(found.diagnostics), [d.message for d in found.diagnostics]
    assert found.schema.tools.keys() == {tool.declaration.name.text for tool in imported.tools}
    return {name: tool.args for name, tool in found.schema.tools.items()}


def imported_type(schema: object) -> tuple[str, list[str]]:
    """The type of an argument `x` with this schema, and the messages about it."""
    imported = import_tools({"type": "object", "properties": {"x": schema}, "required": ["x"]}, name="t")
    args = declared(imported)["t"]
    return str(dict(args.fields)["x"].type), [note.message for note in imported.notes]


def messages(imported: Imported) -> list[tuple[str, str, str]]:
    return [(note.tool, note.path, note.message) for note in imported.notes]


@pytest.mark.parametrize("case", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    imported = import_tools(json.loads(case.read_text(encoding="utf-8")), module=case.stem)
    declared(imported)
    text = to_source(imported, case.stem)
    assert not format_source(Source(f"{case.stem}.pol", text)).changed
    assert_golden(case.with_suffix(".pol"), text)


# ---- types ----


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "string"}, "String"),
        ({"type": "integer"}, "Int"),
        ({"type": "number"}, "Number"),
        ({"type": "boolean"}, "Bool"),
        ({"type": ["integer", "number"]}, "Number"),
        ({"type": ["string"]}, "String"),
        ({"type": "array", "items": {"type": "integer"}}, "List<Int>"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "Set<String>"),
        ({"type": "array"}, "List<Json>"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}}, "List<Json>"),
        ({"type": "object", "additionalProperties": False}, "{}"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "{ a?: String }"),
        ({"type": "object", "required": ["a"]}, "{ a: Json }"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"enum": [True]}, "true"),
        ({"const": "a"}, '"a"'),
        ({"enum": [1, 2]}, "1 | 2"),
        ({"type": "integer", "enum": [1, 2.0]}, "1 | 2.0"),
        ({"type": "string", "format": "ipv6"}, "Ip"),
        ({"type": "string", "format": "date-time"}, "Time"),
        ({"type": "string", "format": "date"}, 'String(format: "date")'),
        ({"type": "string", "format": []}, "String"),
        ({"type": ["string", "null"]}, "String | null"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "String | null"),
        ({"type": "string", "nullable": True}, "String | null"),
        ({"type": "STRING", "nullable": True, "maxLength": "5"}, "String(max: 5) | null"),
        ({"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"}, "List<Int>(min: 1)"),
        ({"enum": ["a", None]}, '"a" | null'),
        ({"anyOf": [{"const": "a"}, {"type": "null"}, {"enum": ["b"]}]}, '"a" | null | "b"'),
        ({"enum": ["a", 1, True]}, '"a" | 1 | true'),
        ({"type": ["string", "integer"]}, "Int | String"),
        ({"type": "string", "minLength": 1, "maxLength": 5}, "String(min: 1, max: 5)"),
        ({"type": "string", "minLength": 1, "allOf": [{"minLength": 3}]}, "String(min: 3)"),
        ({"type": "string", "pattern": "a.b"}, 'String(search: "(?-s)a.b")'),
        ({"type": "integer", "minimum": -5, "exclusiveMaximum": 5}, "Int(min: -5, below: 5)"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 3}, "List<String>(max: 3)"),
        ({"type": ["string", "null"], "maxLength": 3}, "String(max: 3) | null"),
        (
            {"properties": {"a": {"type": "string"}}, "type": "object", "additionalProperties": True},
            "{ a?: String, ... }",
        ),
        ({"enum": ["a", []]}, "List<Json> | String"),
        (True, "Json"),
        ({}, "Json"),
        ({"description": "anything"}, "Json"),
    ],
)
def test_exact_types(schema: object, type_: str) -> None:
    assert imported_type(schema)[0] == type_


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "null"}, "null"),
        ({"type": ["string", "object"]}, "may be one of object, string"),
        ({"type": "object"}, "fields are not described"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "fields are not described"),
        ({"properties": {"a": {"type": "string"}}}, "states no `type`"),
        ({"type": "any"}, "`type` is none of the types"),
        ({"type": "TYPE_UNSPECIFIED"}, "`type` is none of the types"),
        ({"type": "String"}, "`type` is none of the types"),
        ({"type": []}, "`type` is none of the types"),
        ({"type": {"a": 1}}, "`type` is none of the types"),
        (False, "no value can pass"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no value can pass"),
        ("string", "not a schema"),
        (None, "not a schema"),
    ],
)
def test_what_no_type_says_is_json_with_a_note(schema: object, why: str) -> None:
    type_, notes = imported_type(schema)
    assert type_ == "Json"
    assert any(why in note for note in notes), notes


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "string", "minLength": 3}]}, "String"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "Number"),
        ({"anyOf": [{"format": "ipv4", "type": "string"}, {"type": "string"}]}, "String"),
        ({"type": "string", "allOf": [{"format": "ipv4"}]}, "Ip"),
        (
            {"type": "array", "anyOf": [{"items": {"type": "string"}}, {"items": {"type": "integer"}}]},
            "List<Int | String>",
        ),
        ({"type": "array", "anyOf": [{"items": {"type": "string"}}, {}]}, "List<Json>"),
        # The text branch cannot be an array, so the array's items are those of the other.
        (
            {"type": "array", "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "List<String>",
        ),
        # An open object may carry `a` of any type where the other branch holds.
        (
            {"type": "object", "anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {}]},
            "{ a?: Json }",
        ),
        (
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
                    {"type": "object", "additionalProperties": False},
                ]
            },
            "{ a?: String }",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "number"}},
                "allOf": [{"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}, {"required": ["a"]}],
            },
            "{ a: Int, b?: String }",
        ),
    ],
)
def test_combinations(schema: object, type_: str) -> None:
    assert imported_type(schema)[0] == type_


def test_one_of_required_names_keeps_the_types_beside_it() -> None:
    """From the MCP specification's own examples: one of two arguments must be given."""
    schema = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        "oneOf": [{"required": ["id"]}, {"required": ["name"]}],
    }
    assert str(declared(import_tools(schema, name="t"))["t"]) == "{ id?: String, name?: String }"


# ---- references ----


def with_defs(defs: dict[str, Any], **extra: Any) -> str:
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": defs, **extra}
    return str(dict(declared(import_tools(schema, name="t"))["t"].fields)["x"].type)


def test_references() -> None:
    assert with_defs({"a": {"$ref": "#/$defs/b"}, "b": {"type": "integer"}}) == "Int"
    assert with_defs({"a": {"$ref": "#/$defs/b~1%20c"}, "b/ c": {"type": "integer"}}) == "Int"
    assert with_defs({"a": {"$ref": "#/properties/y"}}, properties={"x": {"$ref": "#/$defs/a"}, "y": True}) == "Json"
    assert with_defs({"a": {"$ref": "#/$defs/b", "type": "integer"}, "b": {"type": "number"}}) == "Int"


@pytest.mark.parametrize(
    "reference",
    [
        "#",
        "#/$defs/a",
        "#/$defs/nowhere",
        "https://example.com/x.json",
        "x.json#/y",
        "#anchor",
        "file:///etc/passwd",
        "",
        3,
    ],
)
def test_a_reference_that_leads_nowhere_is_json(reference: object) -> None:
    assert with_defs({"a": {"$ref": reference}}) == "Json"


def test_up_to_draft_7_a_reference_stands_alone() -> None:
    defs = {"a": {"$ref": "#/$defs/b", "type": "string"}, "b": {"type": "integer"}}
    assert with_defs(defs, **{"$schema": "http://json-schema.org/draft-07/schema#"}) == "Int"
    assert with_defs(defs) == "Json"


def test_references_inside_a_schema_with_its_own_id_are_not_followed() -> None:
    assert with_defs({"a": {"$id": "https://example.com/a", "$ref": "#/$defs/b"}, "b": {"type": "integer"}}) == "Json"


def test_recursion_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/a"}, "name": {"type": "string"}}}
    assert with_defs({"a": tree}) == "{ left?: Json, name?: String }"


# ---- documents ----

TOOL = {"name": "t", "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}
FUNCTION = {"name": "t", "parameters": TOOL["inputSchema"]}


@pytest.mark.parametrize(
    "document",
    [
        TOOL,
        [TOOL],
        {"tools": [TOOL]},
        {"result": {"tools": [TOOL]}},
        {"jsonrpc": "2.0", "id": "1", "result": {"tools": [TOOL]}},
        FUNCTION,
        [FUNCTION],
        {"functions": [FUNCTION]},
        {"type": "function", "function": FUNCTION},
        {"tools": [{"type": "function", "function": FUNCTION}]},
        [{"type": "function", **FUNCTION, "strict": True}],
        {"name": "t", "input_schema": TOOL["inputSchema"]},
        {"toolSpec": {"name": "t", "inputSchema": {"json": TOOL["inputSchema"]}}},
        {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": TOOL["inputSchema"]}}}]},
        {"modelId": "m", "toolConfig": {"tools": [{"toolSpec": {**TOOL}}]}},
        {"functionDeclarations": [FUNCTION]},
        {"tools": [{"function_declarations": [FUNCTION]}]},
        [{"functionDeclarations": [{"name": "t", "parametersJsonSchema": TOOL["inputSchema"]}]}],
        {"tools": [{"name": "t", "arguments": [{"name": "a", "type": "string", "desc": "A", "required": True}]}]},
        [{"name": "t", "arguments": [{"name": "a", "type": "string", "optional": False}]}],
        [{"jsonrpc": "2.0", "id": 1, "result": {"tools": [TOOL]}}],
        [[TOOL]],
        {"type": "custom", "name": "t", "input_schema": TOOL["inputSchema"]},
        {**TOOL["inputSchema"], "title": "t"},
        {**TOOL["inputSchema"], "$id": "https://example.com/t.schema.json?v=1#x"},
        {**TOOL["inputSchema"], "$id": "urn:example:t"},
    ],
)
def test_every_dialect_says_the_same(document: object) -> None:
    imported = import_tools(document)
    assert imported.notes == ()
    assert {name: str(args) for name, args in declared(imported).items()} == {"t": "{ a: String }"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "no tools here"),
        ("tools", "no tools here"),
        ({}, "not a tool"),
        ([[]], "not a tool"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601}}, "without a list of tools"),
        ({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}, "a message that is not an answer"),
        ({"tools": [{"functionDeclarations": [], "googleSearch": {}}]}, "not described here: `googleSearch`"),
        ({"tools": [{"functionDeclarations": {}}]}, "not a tool"),
        ({"tools": [{"cachePoint": {"type": "default"}}]}, "not a tool"),
        ([[[[[[[[[[TOOL]]]]]]]]]], "nested deeper than 8"),
        ([{"type": "web_search"}], "a tool of type `web_search`"),
        ([{"inputSchema": {"type": "object"}}], "without a name"),
        ([{"name": "", "inputSchema": {"type": "object"}}], "without a name"),
        ([{"name": 7, "inputSchema": {"type": "object"}}], "name is not text"),
        ([{"name": "\ud800", "inputSchema": {"type": "object"}}], "name is not text"),
        ({"type": "object", "properties": {}}, "without a name"),
    ],
)
def test_what_is_no_tool_is_noted(document: object, message: str) -> None:
    imported = import_tools(document)
    assert imported.tools == ()
    assert [message in note.message for note in imported.notes] == [True]
    declared(imported)


def test_a_name_for_what_has_none() -> None:
    schema = {"type": "object", "title": "Title"}
    assert declared(import_tools(schema, name="given")).keys() == {"given"}
    assert declared(import_tools({"parameters": schema}, name="given")).keys() == {"given"}
    assert declared(import_tools(FUNCTION, name="given")).keys() == {"t"}


def test_the_second_of_a_name_is_skipped() -> None:
    imported = import_tools([TOOL, {"name": "t", "inputSchema": {"type": "object"}}])
    assert {name: str(args) for name, args in declared(imported).items()} == {"t": "{ a: String }"}
    ((tool, path, message),) = messages(imported)
    assert (tool, path) == ("t", "/1")
    assert "named a second time, so not imported" in message
    assert "--prefix" in message


def test_a_prefix_goes_before_every_name() -> None:
    github, sentry = (import_tools([TOOL], prefix=server) for server in ("github_", "sentry/"))
    assert declared(github).keys() == {"github_t"}
    assert declared(sentry).keys() == {"sentry/t"}
    assert declared(import_tools(TOOL["inputSchema"], name="given", prefix="p.")).keys() == {"p.given"}
    assert messages(import_tools([{"name": ""}], prefix="p."))[0][2] == "a tool without a name, so not imported"
    with pytest.raises(ValueError, match="text"):
        import_tools([TOOL], prefix="\udc80")


def test_a_definition_with_a_list_of_its_own_is_not_lost() -> None:
    assert declared(import_tools([{**TOOL, "tools": [{**TOOL, "name": "u"}]}])).keys() == {"t", "u"}
    assert declared(import_tools([{**TOOL, "result": {"tools": []}}])).keys() == {"t"}


def test_a_second_description_of_arguments_is_noted() -> None:
    imported = import_tools([{**TOOL, "parameters": {}, "arguments": []}])
    assert str(declared(imported)["t"]) == "{ a: String }"
    assert [path for _, path, _ in messages(imported)] == ["/0/parameters", "/0/arguments"]


def test_a_list_of_arguments() -> None:
    arguments = [
        {"name": "q/", "type": "string", "required": True},
        {"name": "limit", "type": "int"},
        {"type": "string"},
        {"name": "limit", "type": "string"},
        {"name": "tags", "type": "array", "items": {"type": "null"}, "optional": True},
        "text",
    ]
    imported = import_tools([{"name": "t", "arguments": arguments}])
    assert str(declared(imported)["t"]) == "{ limit?: Json, q/: String, tags?: List<Json> }"
    assert [path for _, path, _ in messages(imported)] == [
        "/0/arguments/2",
        "/0/arguments/3",
        "/0/arguments/5",
        "/0/arguments",
        "/0/arguments/4/items",
    ]
    assert str(declared(import_tools([{"name": "t", "arguments": []}]))["t"]) == "{}"


def test_a_further_page_is_noted() -> None:
    assert messages(import_tools({"tools": [TOOL], "nextCursor": "2"}))[0][1] == "/nextCursor"
    assert messages(import_tools({"tools": [TOOL], "nextCursor": None})) == []


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"type": "string"}, False, [], "object", {"type": "object"}, True]
)
def test_arguments_that_are_not_described_are_noted(schema: object) -> None:
    imported = import_tools([{"name": "t", "inputSchema": schema}])
    assert str(declared(imported)["t"]) == "{}"
    assert any("no rule can read" in note.message or "is denied" in note.message for note in imported.notes)


def test_a_tool_that_takes_anything_is_open() -> None:
    schema = {"type": "object", "additionalProperties": True}
    assert str(declared(import_tools([{"name": "t", "inputSchema": schema}]))["t"]) == "{ ... }"


def test_notes_point_into_the_document() -> None:
    document = {"result": {"tools": [{"name": "t", "inputSchema": {"properties": {"a/b~": {"type": "null"}}}}]}}
    assert messages(import_tools(document))[-1][1] == "/result/tools/0/inputSchema/properties/a~1b~0"


# ---- facts ----


def facts(annotations: object, **options: Any) -> set[object]:
    (tool,) = import_tools([{**TOOL, "annotations": annotations}], **options).tools
    entries = {entry.key.text: entry.value.value for entry in tool.facts.facts.entries}  # type: ignore[union-attr]
    assert list(entries) == ["sends_outside", "reads_untrusted"]
    return {*entries.values()}


@pytest.mark.parametrize(
    "annotations", [None, {}, {"openWorldHint": True}, {"openWorldHint": 0}, {"readOnlyHint": True}]
)
@pytest.mark.parametrize("trust", [False, True])
def test_a_tool_is_open_to_the_world_unless_it_says_otherwise(annotations: object, trust: bool) -> None:
    assert facts(annotations, trust_annotations=trust) == {True}


def test_a_servers_word_counts_only_when_trusted() -> None:
    closed = {"openWorldHint": False}
    assert facts(closed) == {True}
    assert facts(closed, trust_annotations=True) == {False}
    assert messages(import_tools([{**TOOL, "annotations": closed}]))[0][1] == "/0/annotations/openWorldHint"


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("annotations", "claims", "notes"),
    [
        ({}, {}, []),
        ({"readOnlyHint": True}, {"claimed_read_only": True}, []),
        (
            {"destructiveHint": False, "readOnlyHint": False},
            {"claimed_read_only": False, "claimed_destructive": False},
            [],
        ),
        (
            {"readOnlyHint": "yes", "destructiveHint": None},
            {"claimed_read_only": False, "claimed_destructive": True},
            ["/0/annotations/readOnlyHint", "/0/annotations/destructiveHint"],
        ),
        ({"idempotentHint": True}, {}, ["/0/annotations"]),
        ([], {}, []),
    ],
)
def test_what_a_server_claims_is_a_fact_that_says_so(
    annotations: object, claims: dict[str, bool], notes: list[str], trust: bool
) -> None:
    imported = import_tools([{**TOOL, "annotations": annotations}], trust_annotations=trust)
    declared(imported)
    (declaration,) = imported.declarations
    entries = declaration.facts.entries if declaration.facts is not None else ()
    assert {entry.key.text: entry.value.value for entry in entries} == claims  # type: ignore[union-attr]
    assert sorted(path for _, path, _ in messages(imported)) == sorted(notes)


RESULT = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "of": {"type": ["string", "null"]}},
    "required": ["n"],
}


@pytest.mark.parametrize(
    ("said", "returns", "notes"),
    [
        ({"outputSchema": RESULT}, "{ n: Int, of?: String | null }", []),
        ({"output_schema": {"json": RESULT}}, "{ n: Int, of?: String | null }", []),
        ({"response": {"type": "ARRAY", "items": {"type": "STRING"}}}, "List<String>", []),
        ({"outputSchema": {"$ref": "#/$defs/A", "$defs": {"A": RESULT}}}, "{ n: Int, of?: String | null }", []),
        ({"outputSchema": {"type": "object"}}, None, ["/0/outputSchema", "/0/outputSchema"]),
        ({"outputSchema": 5}, None, ["/0/outputSchema", "/0/outputSchema"]),
        ({"outputSchema": False}, None, ["/0/outputSchema", "/0/outputSchema"]),
        ({"outputSchema": RESULT, "response": {}}, "{ n: Int, of?: String | null }", ["/0/response"]),
    ],
)
def test_what_a_tool_returns_is_declared(said: dict[str, object], returns: str | None, notes: list[str]) -> None:
    imported = import_tools([{**TOOL, **said}])
    assert str(declared(imported)["t"]) == "{ a: String }"
    (declaration,) = imported.declarations
    text = format_declaration(declaration).removeprefix("tool t(a: String)").strip()
    assert text == (f"returns {returns}" if returns else "")
    assert [path for _, path, _ in messages(imported)] == notes


# ---- hostile documents ----


@pytest.mark.parametrize(
    "text",
    [
        'a"b',
        "a\nb",
        "a\\",
        "a\\n",
        "#",
        "when",
        "__proto__",
        "constructor",
        "a b",
        "\u202e",
        "\u200b",
        "\0",
        "é",
        "a::b",
        "}",
    ],
)
def test_any_text_may_be_a_name(text: str) -> None:
    schema = {"type": "object", "properties": {text: {"type": "string", "format": "uuid"}}, "title": text}
    args = declared(import_tools([{"name": text, "description": text, "inputSchema": schema}]))
    assert {name: str(type_) for name, type_ in args.items()} == {text: f'{{ {text}?: String(format: "uuid") }}'}


def test_an_empty_argument_name() -> None:
    schema = {"type": "object", "properties": {"": {"type": "string"}, "\udfff": {"type": "string"}}}
    assert list(dict(declared(import_tools(schema, name="t"))["t"].fields)) == [""]


@pytest.mark.parametrize(
    "end", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\u202e", "\u2066", "\ud800"]
)
def test_nothing_breaks_out_of_a_comment(end: str) -> None:
    attack = f"harmless{end}permit all: call on any{end}"
    schema = {"type": "object", "properties": {attack: {"enum": [attack], attack: 1}, "x": {"const": attack}}}
    imported = import_tools([{"name": "t", "description": attack, "inputSchema": schema}, {"type": attack}])
    text = to_source(imported, "tools")
    assert len(parse(Source("tools.pol", text)).module.statements) == 2
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert all(line.isprintable() for line in comments), comments
    for note in imported.notes:
        assert (note.tool + note.path + note.message).isprintable()


def test_a_long_description_is_cut() -> None:
    text = to_source(import_tools([{**TOOL, "description": "word " * 100_000}]), "tools")
    assert max(map(len, text.splitlines())) < 120


def test_deep_nesting_ends() -> None:
    schema: Any = {"type": "string"}
    for _ in range(100_000):
        schema = {"type": "array", "items": schema, "description": [schema]}
    imported = import_tools([{"name": "t", "inputSchema": {"type": "object", "properties": {"x": schema}}}])
    assert "Json" in str(declared(imported)["t"])
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for document in (deep, {"tools": deep}, {**TOOL, "inputSchema": {"enum": deep, "const": deep, "type": deep}}):
        declared(import_tools(document))
    while deep:  # a deep list must be taken apart by hand: freeing it recurses
        (deep,) = deep


def test_references_that_multiply_end() -> None:
    defs = {
        f"d{i}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "abcdefgh"}}
        for i in range(30)
    }
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": defs}
    imported = import_tools([{"name": f"t{i}", "inputSchema": schema} for i in range(40)])
    assert len(imported.tools) == 40
    assert any("expand too far" in note.message for note in imported.notes)
    assert len(to_source(imported, "tools")) < 5_000_000


def test_many_tools() -> None:
    imported = import_tools({"tools": [{**TOOL, "name": f"t{i}"} for i in range(10_000)]})
    assert len(imported.tools) == 10_000
    assert imported.notes == ()
    assert to_source(imported, "tools").count("\ntool ") == 10_000


def test_many_alternatives() -> None:
    parts = [{"type": "object", "properties": {f"p{i}": {"type": "string"}}} for i in range(20_000)]
    for word in ("allOf", "anyOf", "oneOf"):
        imported = import_tools({"type": "object", word: parts}, name="t")
        assert any("more than" in note.message for note in imported.notes)


@pytest.mark.parametrize("module", ["", "a b", "a\nb", "1a", "a.b", "é"])
def test_a_module_has_a_name(module: str) -> None:
    with pytest.raises(ValueError, match="the name of a module"):
        to_source(Imported((), ()), module)


# ---- laws ----

TEXT = st.text(st.characters(), max_size=8)
# fmt: off
WORDS = st.sampled_from([
    "jsonrpc", "result", "tools", "functions", "function", "parameters", "inputSchema", "input_schema", "name",
    "description", "annotations", "nextCursor", "openWorldHint", "title", "$id", "$schema", "$ref", "$defs",
    "definitions", "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
    "oneOf", "allOf", "nullable", "format", "uniqueItems", "default", "string", "integer", "number", "boolean",
    "null", "array", "object", "custom", "a", "b", "date-time", "ipv4", "#/$defs/a", "#/properties/a", "#",
    "__proto__",
])
# fmt: on
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXT, inner, max_size=6),
    max_leaves=40,
)
# Everything above at random, but in the places where it is looked for.
SCHEMAS = st.recursive(
    st.booleans()
    | st.fixed_dictionaries({}, optional={"type": WORDS, "format": WORDS, "enum": st.lists(WORDS), "$ref": WORDS}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": WORDS | st.lists(WORDS, max_size=3),
            "properties": st.dictionaries(WORDS | TEXT, inner, max_size=3),
            "$defs": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "required": st.lists(WORDS | TEXT, max_size=3),
            "items": inner,
            "additionalProperties": inner,
            "anyOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=3),
            "$ref": WORDS,
            "const": JSON_VALUES,
        },
    ),
    max_leaves=12,
)
TOOLS = st.fixed_dictionaries(
    {"name": WORDS | TEXT, "inputSchema": SCHEMAS | JSON_VALUES},
    optional={"description": TEXT, "annotations": JSON_VALUES},
)


@given(JSON_VALUES | SCHEMAS | st.lists(TOOLS | JSON_VALUES, max_size=4))
@pytest.mark.fuzz
def test_any_json_is_imported_and_its_text_checks(document: object) -> None:
    imported = import_tools(document)
    declared(imported)
    for note in imported.notes:
        assert (note.tool + note.path + note.message).isprintable()


def admits(type_: Type, value: object) -> None:
    """Whether the value, at every depth, is what the type says, and nothing more."""
    assert list(problems(value, type_, "x")) == []


def opened(schema: Any) -> Any:
    """The schema, saying of its objects what JSON Schema takes for granted: that they may have other fields."""
    if isinstance(schema, list):
        return [opened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: opened(each) for name, each in schema.items() if name not in ("properties", "enum", "const")}
    same = {name: each for name, each in schema.items() if name in ("enum", "const")}
    if "properties" in schema:
        inner = {"additionalProperties": True, **inner}
        same["properties"] = {name: opened(each) for name, each in schema["properties"].items()}
    return {**inner, **same}


@st.composite
def schema_and_value(draw: st.DrawFn, depth: int = 3) -> tuple[Any, Any]:
    """A schema, and a JSON value that it admits."""
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "any", "ip"]
    deep = ["array", "object", "anyOf", "allOf", "nullable"] if depth else []
    match draw(st.sampled_from(kinds + deep)):
        case "string":
            return {"type": "string"}, draw(st.text(max_size=3))
        case "integer":
            return {"type": "integer"}, draw(st.integers(-(2**63), 2**63 - 1))
        case "number":
            return {"type": "number"}, draw(st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False))
        case "boolean":
            return {"type": "boolean"}, draw(st.booleans())
        case "null":
            return {"type": "null"}, None
        case "enum":
            values = draw(st.lists(st.none() | st.booleans() | st.text(max_size=2) | st.integers(0, 9), min_size=1))
            return {"enum": values}, draw(st.sampled_from(values))
        case "ip":
            return {"type": "string", "format": "ipv4"}, "10.0.0.1"
        case "array":
            schema, value = draw(schema_and_value(depth - 1))
            return {"type": "array", "items": schema}, [value] * draw(st.integers(0, 2))
        case "nullable":
            schema, _ = draw(an_object(depth - 1))
            return {**schema, **draw(st.sampled_from([{"type": ["object", "null"]}, {"nullable": True}]))}, None
        case "object":
            return draw(an_object(depth - 1))
        case "anyOf":
            pairs = draw(st.lists(schema_and_value(depth - 1), min_size=1, max_size=3))
            return {"anyOf": [schema for schema, _ in pairs]}, draw(st.sampled_from(pairs))[1]
        case "allOf":
            pairs = draw(st.lists(an_object(depth - 1, closed=False), max_size=3))
            merged: dict[str, Any] = {}
            schemas = []
            for i, (schema, value) in enumerate(pairs):
                renamed = {name: f"{name}{i}" for name in "abc"}
                merged |= {renamed[name]: inner for name, inner in value.items()}
                properties = {renamed[name]: inner for name, inner in schema["properties"].items()}
                schemas.append(
                    {**schema, "properties": properties, "required": [renamed[n] for n in schema["required"]]}
                )
            return {"allOf": schemas}, merged
        case _:
            return draw(st.sampled_from([True, {}])), draw(st.none() | st.text(max_size=2) | st.lists(st.booleans()))


@st.composite
def an_object(draw: st.DrawFn, depth: int, closed: bool | None = None) -> tuple[Any, Any]:
    properties, value, required = {}, {}, []
    for name in sorted(draw(st.sets(st.sampled_from("abc")))):
        properties[name], inner = draw(schema_and_value(max(depth, 0)))
        fate = draw(st.sampled_from(["required", "present", "absent"]))
        if fate != "absent":
            value[name] = inner
        if fate == "required":
            required.append(name)
    schema = {"type": "object", "properties": properties, "required": required}
    closed = draw(st.booleans()) if closed is None else closed
    if closed:
        return {**schema, "additionalProperties": False}, value
    # An open object may carry more than it describes.
    extra = draw(st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=2))
    return schema, {**{name: inner for name, inner in extra.items() if name not in properties}, **value}


@st.composite
def alternatives(draw: st.DrawFn) -> tuple[Any, Any]:
    """Objects that describe some of the same fields, each in its own way."""
    pairs = draw(st.lists(an_object(0), min_size=2, max_size=3))
    return {"anyOf": [schema for schema, _ in pairs]}, draw(st.sampled_from(pairs))[1]


@given(schema_and_value() | alternatives())
def test_a_type_admits_every_value_that_its_schema_admits(pair: tuple[Any, Any]) -> None:
    schema, value = opened(pair[0]), pair[1]
    args = declared(import_tools({"type": "object", "properties": {"x": schema}, "required": ["x"]}, name="t"))["t"]
    admits(args, {"x": value})
    assert dict(args.fields)["x"] == RecordField(dict(args.fields)["x"].type)
