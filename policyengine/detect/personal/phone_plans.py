"""Whether a telephone number is valid according to `phonenumbers`: answered here as far as that needs no parsing.

Most texts in the form of a number are valid nowhere. A valid one fits the plan of one of the countries with its code,
with or without the prefix for calls within the country; any other is rejected without being parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from policyengine.lazy_import import library

phonenumbers = library("phonenumbers")

_DIGITS = re.compile("[0-9]+")
# A number in this form has an extension, which is not a part of the number.
_EXTENDED = re.compile("[a-z]")
Plan = tuple["re.Pattern[str] | None", "re.Pattern[str] | None"]


def valid(number: str, region: str | None) -> bool:
    """For a number with `+`, if there is no region, or one in the form that this region uses."""
    return _may_be(number, region) and _is(number, region)


def _is(number: str, region: str | None) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False


def _may_be(number: str, region: str | None) -> bool:
    if _EXTENDED.search(number) is not None:
        return True
    digits = "".join(_DIGITS.findall(number))
    if region is not None:
        national = _code(region)
        if number.startswith("+") or digits.startswith(national) or _abroad(region).match(digits) is not None:
            return True
        return _planned(digits, int(national), region)
    for size in (1, 2, 3):
        code = int(digits[:size] or "0")
        if code in _codes() and digits[0] != "0":
            return _planned(digits[size:], code, _codes()[code][0])
    return True


def _planned(digits: str, code: int, region: str) -> bool:
    """Whether these digits, with or without the region's prefix, fit a plan of this code."""
    plan, prefix = _plan(code, region)
    if plan is None or plan.fullmatch(digits) is not None:
        return True
    within = prefix.match(digits) if prefix is not None else None
    return within is not None and plan.fullmatch(digits, within.end()) is not None


def _codes() -> Any:
    return phonenumbers.COUNTRY_CODE_TO_REGION_CODE


@lru_cache(maxsize=512)
def _code(region: str) -> str:
    """The region's code; empty for an unknown region: every number begins with that, and is parsed."""
    return str(phonenumbers.country_code_for_region(region) or "")


@lru_cache(maxsize=512)
def _abroad(region: str) -> re.Pattern[str]:
    """The prefix of numbers of other countries in this region."""
    return re.compile(phonenumbers.PhoneMetadata.metadata_for_region(region).international_prefix or "(?!)")


@lru_cache(maxsize=512)
def _plan(code: int, region: str) -> Plan:
    """What all numbers of this code have in common, and the region's prefix for calls within the country. Without a
    plan, every number has to be parsed."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code
    patterns = [metadata(code, one).general_desc.national_number_pattern for one in _codes()[code]]
    here = metadata(code, region)
    if not all(patterns) or here.national_prefix_transform_rule:
        return None, None
    prefix = here.national_prefix_for_parsing
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)), re.compile(prefix) if prefix else None
