"""Values that cannot be changed, and copies of values that a caller may go on changing.

Both are plain JSON in Python: a frozen object is still a `dict` and a frozen array still a `list`, so that they
compare, print and serialise as these do; what would change them raises TypeError.
"""

from __future__ import annotations

import marshal
from typing import Any, NoReturn

from policyengine.model.values import Mention


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("this cannot be changed: it is shared by everybody who gets it")


class FrozenList(list[Any]):
    __slots__ = ()
    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce_ex__(self, _: Any) -> Any:
        # A pickled or copied value belongs to its reader, so it is a plain list.
        return list, (list(self),)


class FrozenDict(dict[Any, Any]):
    __slots__ = ()
    clear = pop = popitem = setdefault = update = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce_ex__(self, _: Any) -> Any:
        return dict, (dict(self),)


def frozen(value: Any) -> Any:
    """The value with every object and array in it copied into one that cannot be changed."""
    if isinstance(value, dict):
        return FrozenDict({name: frozen(item) for name, item in value.items()})
    if isinstance(value, list):
        return FrozenList(map(frozen, value))
    return frozen(value.sent) if isinstance(value, Mention) else value


def copied(value: Any) -> Any:
    """The value with a copy of every plain object, array and set in it; anything else is kept as it is. A value that is
    nested too deeply to copy is kept as well: no rule can read that deep."""
    if value is None or type(value) is str:
        return value
    try:
        # The fastest copy of JSON data.
        return marshal.loads(marshal.dumps(value))
    except ValueError:
        return _copied(value, 200)


def _copied(value: Any, depth: int) -> Any:
    kind = type(value)
    if depth == 0:
        return value
    if kind is dict:
        return {name: _copied(item, depth - 1) for name, item in value.items()}
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind([_copied(item, depth - 1) for item in value])
    return value
