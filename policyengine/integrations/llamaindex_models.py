"""LlamaIndex: a model whose calls are admitted, settled and released.

Out: the same model, as an instance of a new class. It answers at once, a stream in one piece, because its text is
released then. The admitted input is passed on, files as files; if a change to something other than text were needed,
the call fails.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock
from llama_index.core.llms import LLM

from policyengine.gate.models import ModelTerms
from policyengine.gate.results import as_json_data
from policyengine.gate.session import Session
from policyengine.gate.token_usage import tokens_of

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "model": "assistant"}
# What a block holds that is not text.
_BYTES = {"image": "resolve_image", "audio": "resolve_audio", "video": "resolve_video", "document": "resolve_document"}


def gated(model: Any, session: Session, terms: ModelTerms) -> Any:
    """The model, gated. Raises TypeError for what is not a model."""
    if (terms.model is None and terms.output is None) or hasattr(model, "policyengine_gate"):
        return model
    if not isinstance(model, LLM):
        raise TypeError("protect: an agent without a model of its own")
    made = model.model_copy()
    # The agent asks in one of these ways; each of them ends in `chat` or `achat`, or is one of them.
    object.__setattr__(made, "__class__", _class(type(model)))
    object.__setattr__(made, "policyengine_gate", (model, session, terms))
    return made


def _class(of: type[LLM]) -> type[LLM]:
    """The class of a gated model. What it is asked goes to the model behind it, and never to its own methods."""

    def gated(name: str) -> Callable[..., Any]:
        def ask(self: Any, *given: Any, **named: Any) -> ChatResponse:
            behind, session, terms = self.policyengine_gate
            return _asked(getattr(behind, name), session, terms, given, named)

        return ask

    def gated_async(name: str) -> Callable[..., Any]:
        async def ask(self: Any, *given: Any, **named: Any) -> ChatResponse:
            behind, session, terms = self.policyengine_gate
            return await _asked_async(getattr(behind, name), session, terms, given, named)

        return ask

    def streaming(name: str) -> Callable[..., Any]:
        def ask(self: Any, *given: Any, **named: Any) -> Iterator[ChatResponse]:
            answer = getattr(self, name)(*given, **named)
            return iter([_whole(answer)])

        return ask

    def streaming_async(name: str) -> Callable[..., Any]:
        async def ask(self: Any, *given: Any, **named: Any) -> AsyncIterator[ChatResponse]:
            answer = await getattr(self, name)(*given, **named)

            async def whole() -> AsyncIterator[ChatResponse]:
                yield _whole(answer)

            return whole()

        return ask

    def refused(self: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError("this way of asking a model is not gated")

    members: dict[str, Any] = dict.fromkeys(("complete", "acomplete", "stream_complete", "astream_complete"), refused)
    for ways in ("chat", "chat_with_tools"):
        if hasattr(of, ways):
            members[ways], members[f"a{ways}"] = gated(ways), gated_async(f"a{ways}")
            members[f"stream_{ways}"] = streaming(ways)
            members[f"astream_{ways}"] = streaming_async(f"a{ways}")
    return cast(type[LLM], type(f"Gated{of.__name__}", (of,), {"__module__": __name__, **members}))


def _asked(
    ask: Callable[..., ChatResponse], session: Session, terms: ModelTerms, given: Any, named: Any
) -> ChatResponse:
    messages, place = _messages(given, named)
    asked = terms.admit(session, [_for_admission(message) for message in messages])
    if not asked.allowed:
        return _reason_response(asked.reason)
    with asked:
        given, named = place(_with(messages, asked.messages))
        answer = ask(*given, **named)
    asked.settle(_tokens(answer))
    return _released(answer, terms.release_all(session, _texts(answer)))


async def _asked_async(
    ask: Callable[..., Any], session: Session, terms: ModelTerms, given: Any, named: Any
) -> ChatResponse:
    messages, place = _messages(given, named)
    asked = await terms.admit_async(session, [_for_admission(message) for message in messages])
    if not asked.allowed:
        return _reason_response(asked.reason)
    async with asked:
        given, named = place(_with(messages, asked.messages))
        answer: ChatResponse = await ask(*given, **named)
    await asked.settle_async(_tokens(answer))
    return _released(answer, await terms.release_all_async(session, _texts(answer)))


def _messages(given: Any, named: Any) -> tuple[list[ChatMessage], Callable[[list[ChatMessage]], tuple[Any, Any]]]:
    """The messages of a call, and the call with others in their place. Raises PermissionError for a call that says
    them in another way than agents do."""
    if named.get("user_msg") is None and not given and "chat_history" in named:
        return list(named["chat_history"] or ()), lambda found: ((), {**named, "chat_history": found})
    if not given and "messages" in named:
        return list(named["messages"]), lambda found: ((), {**named, "messages": found})
    if len(given) == 1 and "tools" not in named and isinstance(given[0], Sequence):
        return list(given[0]), lambda found: ((found,), named)
    raise PermissionError("this way of asking a model is not gated")


def _for_admission(message: ChatMessage) -> dict[str, Any]:
    """What a model is given, with whose words it is."""
    role = _ROLES.get(str(getattr(message.role, "value", message.role)), "tool")
    blocks = [_block(block) for block in message.blocks]
    return {"role": role, "content": blocks}


def _block(block: Any) -> dict[str, Any]:
    resolve = getattr(block, _BYTES.get(str(block.block_type), ""), None)
    if resolve is None:
        return {
            "type": block.block_type,
            **{name: as_json_data(value) for name, value in block if name != "block_type"},
        }
    if getattr(block, "url", None) is not None:
        return {"type": block.block_type, "file_uri": str(block.url)}
    return {"type": block.block_type, "data": b64encode(resolve(as_base64=False).read()).decode("ascii")}


def _with(messages: list[ChatMessage], admitted: Any) -> list[ChatMessage]:
    """The messages with the texts that were admitted. Raises PermissionError where more than those would change."""
    made = []
    for message, allowed in zip(messages, admitted, strict=True):
        blocks = []
        for block, allowed_block in zip(message.blocks, allowed["content"], strict=True):
            if allowed_block == _block(block):
                blocks.append(block)
            elif isinstance(block, TextBlock):
                blocks.append(block.model_copy(update={"text": allowed_block["text"]}))
            else:
                raise PermissionError("parts of what goes to the model would have to be changed")
        made.append(message.model_copy(update={"blocks": blocks}) if blocks != message.blocks else message)
    return made


def _texts(answer: ChatResponse) -> list[str]:
    return [block.text for block in answer.message.blocks if isinstance(block, TextBlock)]


def _released(answer: ChatResponse, released: Sequence[str]) -> ChatResponse:
    if list(released) == _texts(answer):
        return answer
    coming = iter(released)
    blocks = [
        block.model_copy(update={"text": next(coming)}) if isinstance(block, TextBlock) else block
        for block in answer.message.blocks
    ]
    # What the provider sent has the text as it was.
    return ChatResponse(message=answer.message.model_copy(update={"blocks": blocks}))


def _whole(answer: ChatResponse) -> ChatResponse:
    return answer.model_copy(update={"delta": answer.message.content or ""})


def _reason_response(text: str) -> ChatResponse:
    """A message in the place of what a model would say."""
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text=text)]))


def _tokens(answer: ChatResponse) -> int | None:
    """What the model says it used, wherever its provider puts that; None where it says nothing."""
    raw = answer.raw
    places: list[Any] = [answer.additional_kwargs]
    for name in ("usage", "usage_metadata"):
        places.append(raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None))
    for place in places:
        usage = place if isinstance(place, Mapping) else as_json_data(place)
        if (tokens := tokens_of(usage)) is not None:
            return tokens
    return None
