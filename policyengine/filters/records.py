"""Conditions on a record whose parts are kept in several places.

`{"meta.level": column("level"), "*": json("data")}` keeps most of `meta` in one place and its `level` in another. A
document has the record if any of these places holds something, and no place holds all of it. So presence is tested in
all places, and conditions on the whole record are left to the recheck.
"""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.filters.backend import Backend, Fragment
from policyengine.model.entities import PARENTS
from policyengine.partial.formula import Atom, Inside, Missing, Opaque, Path, Present, Sourced, TwoFields


def fragment_for(backend: Backend, atom: Atom) -> Fragment | None:
    """The atom in the terms of the store, wherever its attribute is kept; None if the store cannot express it."""
    whole: tuple[Path, ...] = ()
    match atom:
        case Present(path=path):
            return _present(backend, atom, backend.fields.apart(path))
        case Missing(path=path):
            return _missing(backend, atom, backend.fields.apart(path))
        case TwoFields(path=path, other=other):
            whole = (path, other)
        case Inside():
            whole = ((PARENTS,),)
        case Sourced() | Opaque():
            pass
        case _:
            whole = (atom.path,)
    return None if any(map(backend.fields.apart, whole)) else backend.atom(atom)


def _present(backend: Backend, atom: Present, parts: tuple[Path, ...]) -> Fragment | None:
    """Tests that one of its places has something."""
    return _any(backend, (backend.atom(each) for each in (atom, *map(Present, parts))))


def _missing(backend: Backend, atom: Missing, parts: tuple[Path, ...]) -> Fragment | None:
    """Tests that none of its places has something, and that the value around it is there."""
    own = backend.atom(atom)
    around, path = atom.path[:-1], atom.path
    siblings = backend.fields.apart(around) if around else ()
    if path not in siblings:
        # The place of the record may hold nothing that shows the record; another part that is there does.
        others = [each for each in siblings if each[: len(path)] != path]
        something = _any(backend, (own, *(backend.atom(Present(each)) for each in others)))
        own = something and Fragment(something.native, something.exact and not others)
    if not parts:
        return own
    # For a part alone a store cannot tell whether its record is there; here it does not matter.
    absent = [_absent(backend, each) for each in parts]
    made = [each for each in (own, *absent) if each is not None]
    if not made:
        return None
    natives = [each.native for each in made]
    exact = len(made) == 1 + len(parts) and all(each.exact for each in made)
    return Fragment(natives[0] if len(natives) == 1 else backend.all(natives), exact)


def _absent(backend: Backend, part: Path) -> Fragment | None:
    made, place = backend.atom(Missing(part)), backend.fields.find(part)
    is_certain = place is not None and not place.json and place.null == "absent"
    return made and Fragment(made.native, made.exact or is_certain)


def _any(backend: Backend, given: Iterable[Fragment | None]) -> Fragment | None:
    options = list(given)
    made = [each for each in options if each is not None]
    if len(made) < len(options):
        return None
    if len(made) == 1:
        return made[0]
    return Fragment(backend.some([each.native for each in made]), all(each.exact for each in made))
