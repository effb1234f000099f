"""Every kind of finding, declared once. Each has a page in `pages/`.

POL1xx the text, POL2xx names and types, POL3xx lints, POL4xx bundles and tests, POL5xx requests and evaluation,
POL6xx filters and bounds, POL7xx texts that are released or admitted.
"""

from __future__ import annotations

from policyengine.diagnostics.diagnostic import Code, Severity


def _error(number: int, title: str) -> Code:
    return Code(f"POL{number}", Severity.ERROR, title)


def _warning(number: int, title: str) -> Code:
    return Code(f"POL{number}", Severity.WARNING, title)


SYNTAX = _error(101, "syntax error")
BAD_CHARACTER = _error(102, "character not allowed here")
BAD_STRING = _error(103, "malformed string")
BAD_NUMBER = _error(104, "number out of range")
REPEATED_CLAUSE = _error(105, "clause written twice")
INVISIBLE_CHARACTER = _warning(106, "invisible or reordering character")
CONFUSABLE_CHARACTER = _warning(107, "letters of several alphabets in one word")
NOT_UTF8 = _error(108, "file is not UTF-8 text")

UNKNOWN_MODULE = _error(201, "unknown module")
UNKNOWN_TYPE = _error(202, "unknown type")
UNKNOWN_NAME = _error(203, "unknown name")
UNKNOWN_ATTRIBUTE = _error(204, "unknown attribute")
UNKNOWN_ACTION = _error(205, "unknown action")
UNKNOWN_FUNCTION = _error(206, "unknown function")
UNKNOWN_RULE = _error(207, "unknown rule")
UNKNOWN_OBLIGATION = _error(208, "unknown obligation")
DUPLICATE = _error(210, "name declared twice")
RESERVED = _error(211, "reserved name")
WRONG_TYPE = _error(212, "wrong type")
NOT_COMPARABLE = _error(213, "values that can never be equal")
MAYBE_ABSENT = _error(214, "optional attribute read without `has`")
WRONG_ARGUMENTS = _error(215, "wrong arguments")
NOT_CONSTANT = _error(216, "constant expected")
BAD_PATTERN = _error(217, "invalid pattern")
WRONG_SCOPE = _error(218, "action does not apply")
NOT_IN_HIERARCHY = _error(219, "type is not in that hierarchy")
TOO_DEEP = _error(220, "expression too deep")
TOO_LARGE = _error(221, "expression too large")
RECURSIVE = _error(222, "definition that uses itself")
TOOL_ARGUMENT_TYPE = _error(223, "tool argument compared with another type")
BAD_TEST = _error(224, "test that cannot run")
BAD_CONSTANT = _error(225, "invalid constant")
UNUSED_VARIABLE = _error(226, "variable that is never used")
HAS_VARIABLE = _error(227, "`has` with the name of a variable")
ARGUMENTS = _error(228, "arguments that the tool does not take")
SEVERAL_TYPES = _error(229, "attribute with several types")
NOT_FROM_SOURCE = _error(230, "value that the request could supply")
NOT_KNOWN = _error(231, "missing from the entity source")
UNEQUAL_LENGTHS = _error(232, "lists of different lengths")
UNKNOWN_TOOL = _error(250, "facts about an unknown tool")

NEVER_MATCHES = _warning(301, "rule can never match")
ALWAYS_MATCHES = _warning(302, "condition is always true")
UNREACHABLE_PERMIT = _warning(303, "permit made unreachable by a forbid")
ABSENT_FOR_SOME = _warning(304, "attribute that some types lack")
UNUSED_DEFINE = _warning(305, "unused definition")
PERMIT_ANY = _warning(306, "permit on any resource")
UNDECLARED_TOOL = _warning(307, "tool that is not declared")
SEARCHED_PATTERN = _warning(308, "pattern between two `.*`")
WIDE_DOT = _warning(309, "`.` in a pattern that grants")
UNUSED_PARAMETER = _warning(310, "unused parameter")
UNKNOWN_WORD = _warning(311, "unknown label or source")
NOTHING_PERMITS = _warning(320, "action that nothing permits")
PATH_AS_TEXT = _warning(321, "path tested as plain text")
TWINS = _warning(322, "names or texts that differ only in spelling")
UNUSED_FIXTURE = _warning(330, "unused fixture")

DUPLICATE_MODULE = _error(401, "module declared in two files")
UNREADABLE = _error(402, "file that cannot be read")
NO_POLICIES = _error(403, "no policies found")
BAD_ENTITIES = _error(404, "invalid entities")
FAILED_TEST = _error(405, "test failed")
MODULE_NAME = _error(406, "file name is not a module name")
EMPTY = _error(407, "empty file")

MISSING = _error(501, "attribute is missing")
WRONG_VALUE = _error(502, "value of the wrong type")
OVERFLOW = _error(503, "number out of range")
MALFORMED = _error(504, "malformed request or entity")
UNREADABLE_VALUE = _error(505, "text in the wrong format")
NESTED_TOO_DEEP = _error(506, "value nested too deeply")
BAD_DELEGATION = _error(507, "delegation that cannot be followed")
MISSPELT = _error(515, "misspelt member of a request")
COMMAND_NOT_UNDERSTOOD = _error(590, "command line not understood")
STATEMENT_NOT_UNDERSTOOD = _error(591, "database statement not understood")
STORE_AWAY = _error(540, "state store unavailable")
UNKNOWN_SESSION = _error(541, "unknown session")
NO_APPROVAL = _error(560, "request that cannot be sent for approval")
REUSED = _error(572, "idempotency key already used for another request")
NO_PRICE = _error(573, "unknown price")
NO_FLOOR = _error(574, "relative ceiling without a floor")
BAD_BASELINE = _error(575, "invalid period of an average")
BLOCKED = _error(570, "blocked request")
BLOCKS_UNKNOWN = _error(571, "block list unavailable")
MISSPELT_NAME = _error(520, "misspelt name in a request")
ONLY_TRIED = _warning(651, "label set only by a rule on trial")
FOUND_AGAIN = _error(652, "replacement that would itself be found")
NOT_CARRIED_OUT = _error(710, "obligation that could not be carried out")
NOT_LOOKED_AT = _error(711, "text that could not be checked")
UNKNOWN_KIND = _warning(712, "unknown kind of finding")
NOT_A_TOKEN = _error(714, "token that cannot be detokenized")
BAD_MODE = _error(713, "mode that a rule cannot have")
CONTRADICTION = _error(521, "request that contradicts itself")
CLAIMED = _error(523, "attribute that only the entity source may supply")
CLOSED_CONTEXT = _error(524, "undeclared name in a closed context")
UNDECLARED_PARENT = _error(522, "parent of an undeclared type")
NOT_EXPRESSIBLE = _error(601, "condition that the store cannot express")
TOO_LONG = _error(610, "text that is too long")
TOO_MUCH_WORK = _error(612, "quantifiers over too many elements")
TOO_MANY_PATTERNS = _error(611, "too many patterns")

INTERNAL = _error(599, "internal error")

CODES: dict[str, Code] = {c.id: c for c in list(globals().values()) if isinstance(c, Code)}
