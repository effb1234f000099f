"""The result of a tool as the gate sees it, and back.

Rules read `result`: the structured content, if the text says the same; the text, as JSON if it is JSON; or all parts,
if there are several. Content that a rule cannot have checked (an image, a sound) passes only if nothing had to be done
to the result.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types

from policyengine.gate.call import Observed
from policyengine.gate.results import read as read_text


def seen(result: types.CallToolResult) -> Any:
    """The part of a result that the gate checks."""
    texts = [block.text for block in result.content if isinstance(block, types.TextContent)]
    others = [_block_json(block) for block in result.content if not isinstance(block, types.TextContent)]
    structured = result.structured_content
    read = [read_text(text) for text in texts]
    # A text that says something else than the structure may be what the model reads: both are looked at then.
    if structured is not None and not others and all(one in (structured, _unwrapped(structured)) for one in read):
        return structured
    if structured is None and not others and len(read) == 1:
        return read[0]
    whole: dict[str, Any] = {"content": [*read, *others]}
    return whole if structured is None else {**whole, "structured": structured}


def answered(result: types.CallToolResult, looked_at: Any, observed: Observed) -> types.CallToolResult:
    """The part of it that the client may have."""
    if not observed.allowed:
        return denied(observed.reason)
    if observed.value == looked_at:
        return result
    value = observed.value
    if isinstance(value, str) and not isinstance(looked_at, str):
        # What stands in the place of all of it has not the form that was declared for it.
        return denied(value)
    said = _unwrapped(value) if looked_at == result.structured_content else value
    structured = None
    if result.structured_content is not None:
        structured = value if looked_at == result.structured_content else value.get("structured")
    content: list[types.ContentBlock] = [
        _block(one) for one in (said["content"] if _by_block(result, looked_at) else [said])
    ]
    return types.CallToolResult(content=content, structured_content=structured, is_error=result.is_error)


def denied(reason: str) -> types.CallToolResult:
    """An answer in words that a model can act on."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=reason)], is_error=True)


def _by_block(result: types.CallToolResult, looked_at: Any) -> bool:
    """Whether the gate looked at all of it, and nothing but texts: then it is as many texts again."""
    if looked_at == result.structured_content or not all(isinstance(one, types.TextContent) for one in result.content):
        return False
    return result.structured_content is not None or len(result.content) > 1


def _block(said: Any) -> types.TextContent:
    return types.TextContent(type="text", text=said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))


def _unwrapped(structured: Any) -> Any:
    """Servers wrap a result that is not an object as `{"result": ...}`, and say it as a text without the wrapping."""
    return structured["result"] if isinstance(structured, dict) and structured.keys() == {"result"} else structured


def _block_json(block: Any) -> Any:
    return block.model_dump(mode="json", by_alias=True, exclude_none=True)
