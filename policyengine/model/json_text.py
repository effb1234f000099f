"""JSON text to plain values, strictly.

Where JSON readers are known to disagree, this one refuses: duplicate keys, NaN and Infinity, numbers beyond a double,
unpaired surrogates, endless nesting. (RFC 8259 section 4 calls objects with duplicate keys unpredictable.)
"""

from __future__ import annotations

import json
from typing import Any

from policyengine.model.values import Fault


def parse_json(data: bytes | str) -> Any:
    """The value of one JSON text. Raises Fault, with a message fit for the sender, for anything else."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_float)
        # An escaped surrogate without its pair is legal JSON and no text.
        if "\\" in text and "\\u" in text.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except Fault:
        raise
    except UnicodeError:
        raise Fault("POL504", "not UTF-8 text") from None
    except RecursionError:
        raise Fault("POL504", "JSON nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Fault("POL504", f"not JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}") from None
    except ValueError:
        raise Fault("POL504", "a number has too many digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Fault("POL504", "an object has the same key twice")
    return found


def _no_constant(name: str) -> Any:
    raise Fault("POL504", f"`{name}` is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Fault("POL504", "a number is out of range")
    return value
