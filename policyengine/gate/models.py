"""The calls of a model: admitted with a reservation before, settled after, and their texts released.

    asked = asking.admit(session, messages)     # allowed at once if no model is named
    if not asked.allowed: ...                   # `asked.reason` in the model's place
    with asked:                                 # `asked.ended()` if it fails or is cut off
        answer = model(asked.messages)
    asked.settle(tokens)
    text = asking.release(session, answer)

If a host names no model, nothing is admitted; if it names no output, nothing is released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from policyengine.gate.session import Session
from policyengine.release.released import Admitted, Released
from policyengine.state.grant import Grant, SettleError
from policyengine.state.store import StoreError


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call of a model that is about to be made."""

    allowed: bool
    messages: Any = field(repr=False)
    reason: str = ""
    grant: Grant | None = field(default=None, repr=False)

    def settle(self, tokens: int | None) -> None:
        """Settles the call with the tokens that the model used. With None, because the model did not report them, the
        estimate stays. Raises StoreError and SettleError: if a budget cannot be kept, the run ends."""
        if self.grant is not None and self.grant.id:
            self.grant.settle(_cost(tokens))

    async def settle_async(self, tokens: int | None) -> None:
        if self.grant is not None and self.grant.id:
            await self.grant.settle_async(_cost(tokens))

    def ended(self) -> None:
        """Ends a call that failed or was cut off: the estimate stays charged, and what was reserved in flight is
        released."""
        with suppress(StoreError, SettleError):
            self.settle(None)

    async def ended_async(self) -> None:
        """As `ended`, even in a task that is being cancelled."""
        with suppress(StoreError, SettleError):
            await asyncio.shield(asyncio.ensure_future(self.settle_async(None)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            await self.ended_async()


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """model: the attributes of the model, with its `id`; with these each call is decided about (`invoke`).
    cost: the estimated cost of a call, with the keys of `context.cost`; this is reserved.
    output: the attributes of the model's output; with these its texts are decided about (`release`)."""

    model: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None

    def admit(self, session: Session, messages: Any) -> ModelCall:
        if self.model is None:
            return ModelCall(True, messages)
        return _asked(session.admit(messages, model=self.model, cost=self.cost))

    async def admit_async(self, session: Session, messages: Any) -> ModelCall:
        if self.model is None:
            return ModelCall(True, messages)
        return _asked(await session.admit_async(messages, model=self.model, cost=self.cost))

    def release(self, session: Session, text: str) -> str:
        """What may be released of a text, or the reason why nothing may."""
        if self.output is None or not text:
            return text
        one = session.release(text, output=self.output)
        return one.text if one.allowed else one.reason

    async def release_async(self, session: Session, text: str) -> str:
        if self.output is None or not text:
            return text
        one = await session.release_async(text, output=self.output)
        return one.text if one.allowed else one.reason

    def release_all(self, session: Session, texts: Sequence[str]) -> list[str]:
        """What may be released of the texts of one answer, text by text. They are inspected as one: a value may
        continue from one text to the next."""
        if self.output is None or len([text for text in texts if text]) < 2:
            return [self.release(session, text) for text in texts]
        return text_for_each(session.release(list(texts), output=self.output), len(texts))

    async def release_all_async(self, session: Session, texts: Sequence[str]) -> list[str]:
        if self.output is None or len([text for text in texts if text]) < 2:
            return [await self.release_async(session, text) for text in texts]
        return text_for_each(await session.release_async(list(texts), output=self.output), len(texts))


def text_for_each(one: Released, count: int) -> list[str]:
    """One text for each of `count` texts that were released together. A text that replaces all of them comes first."""
    if one.allowed and isinstance(one.text, list):
        return one.text
    return [one.text if one.allowed else one.reason, *[""] * (count - 1)]


def _asked(admitted: Admitted) -> ModelCall:
    return ModelCall(admitted.allowed, admitted.messages, admitted.reason, admitted.grant)


def _cost(tokens: int | None) -> dict[str, Any] | None:
    return None if tokens is None else {"tokens": tokens}
