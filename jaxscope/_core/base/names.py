"""Full names: what is allowed in one, how two join, and the canonical order of many."""

import functools
import re

from jaxscope._core.base.describe import shown
from jaxscope.errors import InvalidNameError

_FIRST = "A-Za-z0-9."
_LATER = r"A-Za-z0-9_.\\/>-"
# Texts: `re` compiles them where they are used first, which is later than in `import jaxscope`.
_VARIABLE = f"[{_FIRST}][{_LATER}]*"
_OWN = f"[{_LATER}]+"
_DIGITS = r"(\d+)"


def join(scope: str, name: str) -> str:
    """Return the full name of `name` in the scope of full name `scope` (`""` is the root)."""
    return f"{scope}/{name}" if scope else name


#: Names that are valid in every place. A full name is valid if its scope's is, and its own is one of these.
sound: set[str] = set()
_MOST = 65536


def is_valid(name: str, first: bool = True) -> bool:
    """Tell whether `name` may be a full name, or be added to a path, unless it would come `first` in it."""
    if name in sound:
        return True
    if name.endswith("/") or re.fullmatch(_OWN, name) is None:
        return False
    if re.fullmatch(_VARIABLE, name) is None:
        return not first
    if len(sound) >= _MOST:
        sound.clear()
    sound.add(name)
    return True


def check_string(name: object, what: str, site: object) -> None:
    """Raise `InvalidNameError` (code `not_a_string`) unless `name` is a string."""
    if not isinstance(name, str):
        raise InvalidNameError(
            f"the name of a {what} must be a string, not {shown(name)}",
            code="not_a_string",
            at=site,
            fix="pass a string, or give the arguments by keyword",
        )


def invalid(name: str, what: str, site: object, *, first: bool = True) -> InvalidNameError:
    """Return the error for a `name` that has a character it may not have."""
    return InvalidNameError(
        f"{shown(name)} is not a valid name for a {what}: {_complaint(name, first)}",
        at=site,
        fix="use letters, digits and any of _ . / \\ > - ; the first must be a letter, a digit or a dot",
    )


def _complaint(name: str, first: bool) -> str:
    if not name:
        return "it is empty"
    if name.endswith("/"):
        return "it ends in a slash"
    allowed = [_FIRST if first else _LATER] + [_LATER] * len(name)
    at = next(at for at, one in enumerate(name) if not re.fullmatch(f"[{allowed[at]}]", one))
    return f"character {at + 1} is {name[at]!r}"


@functools.lru_cache(maxsize=65536)
def order_key(full_name: str) -> tuple[tuple[tuple[int, int, str, str], ...], ...]:
    """Return a sort key that orders names part by part, numbers by size: `layer_2` before `layer_10`."""
    return tuple(tuple(map(_piece_key, re.split(_DIGITS, part))) for part in full_name.split("/"))


def _piece_key(piece: str) -> tuple[int, int, str, str]:
    # By its digits, not as an `int`, which Python refuses to make of more than 4300 of them.
    if piece.isdigit() and piece.isascii():
        digits = piece.lstrip("0")
        return 0, len(digits), digits, piece
    return 1, 0, piece, ""
