"""JSON text to plain values, strictly.

It refuses everything that JSON readers are known to read differently: duplicate keys, NaN and Infinity, numbers beyond
a double, unpaired surrogates, endless nesting. (RFC 8259 section 4 calls objects with duplicate keys unpredictable.)
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from policyengine.diagnostics import codes
from policyengine.model.values import Fault


def parse_json(data: bytes | str) -> Any:
    """The value of one JSON text. Raises Fault, with a message fit for the sender, for anything else."""
    value = _parse_plain(data)
    return _parse_strictly(data) if value is _UNSURE else value


def parse_loosely(text: str) -> Any:
    """As `parse_json`, but accepts what some programs write although it is not JSON: NaN, Infinity and half a surrogate
    pair. Duplicate keys are refused here as well. Raises Fault."""
    value = _parse_plain(text)
    if value is not _UNSURE:
        return value
    try:
        return _LOOSE.decode(text)
    except (ValueError, RecursionError):
        raise Fault(codes.MALFORMED.id, "not JSON") from None


def _parse_plain(data: bytes | str) -> Any:
    """The value of a text that a fast parser accepts and that has no duplicate key; _UNSURE for any other text.

    The parser is strict except for duplicate keys, of which it keeps the last. Those are found by counting: written out
    again, the value has fewer colons than the text had, since each key is followed by one. An escape could put a colon
    into the value that is not in the text, so texts with escapes are left to the other parser.
    """
    sign, escape, colon = ("\\", "\\u", ":") if isinstance(data, str) else (b"\\", b"\\u", b":")
    # To search for one character is faster than for two.
    if sign in data and escape in data:  # type: ignore[operator]
        return _UNSURE
    try:
        value = _DECODER.decode(data)
        return value if _ENCODER.encode(value).count(b":") == data.count(colon) else _UNSURE  # type: ignore[arg-type]
    except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
        return _UNSURE


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_UNSURE: Any = object()
# RFC 8259 8.1: a reader may ignore it, once.
_BYTE_ORDER_MARK = "\ufeff"


def _parse_strictly(data: bytes | str) -> Any:
    try:
        text = (data if isinstance(data, str) else data.decode("utf-8")).removeprefix(_BYTE_ORDER_MARK)
        value = _STRICT.decode(text)
        # An escaped surrogate without its pair is legal JSON and no text.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeError:
        raise Fault(codes.MALFORMED.id, "not UTF-8 text") from None
    except RecursionError:
        raise Fault(codes.MALFORMED.id, "JSON nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Fault(
            codes.MALFORMED.id, f"not JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}"
        ) from None
    except ValueError:
        raise Fault(codes.MALFORMED.id, "a number has too many digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Fault(codes.MALFORMED.id, "an object has the same key twice")
    return members


def _no_constant(name: str) -> Any:
    raise Fault(codes.MALFORMED.id, f"`{name}` is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Fault(codes.MALFORMED.id, "a number is out of range")
    return value


_LOOSE = json.JSONDecoder(object_pairs_hook=_object)
_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_float)
