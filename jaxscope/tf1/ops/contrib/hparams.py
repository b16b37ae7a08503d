"""`tf.contrib.training.HParams`: settings by name, with types that stay."""

import json
import numbers
import re
from typing import Any

from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export

__all__ = ["HParams", "parse_values"]

_PARAMETER = re.compile(
    r"""
    (?P<name>[a-zA-Z][\w\.]*)      # a name
    (\[\s*(?P<index>\d+)\s*\])?    # an index, perhaps
    \s*=\s*
    ((?P<val>[^,\[]*)              # one value
     |
     \[(?P<vals>[^\]]*)\])         # or several
    ($|,\s*)""",
    re.VERBOSE,
)


def _of_text(name: str, text: str, kind: type) -> Any:
    """Return a value of a type, as text says it."""
    text = text.strip()
    truth = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}
    make: Any = truth.__getitem__ if issubclass(kind, bool) else kind
    try:
        return make(text)
    except (KeyError, ValueError):
        raise ValueError(
            f"Could not parse hparam {name!r} of type {kind.__name__} with value {text!r}"
        ) from None


@export("contrib.training.parse_values")
def parse_values(values: str, type_map: dict[str, type], ignore_unknown: bool = False) -> dict[str, Any]:
    """Return the values that a text says: `"a=1,b=[2,3],c[1]=4"`.

    Args:
        values: The text.
        type_map: Name to type.
        ignore_unknown: Whether other names are left out, or else an error.

    Raises:
        ValueError: If it cannot be read, or has a name twice or one that is not known.
    """
    found: dict[str, Any] = {}
    at = 0
    while at < len(values):
        match = _PARAMETER.match(values, at)
        if match is None:
            raise ValueError(f"Malformed hyperparameter value: {values[at:]}")
        at = match.end()
        name, index = match["name"], match["index"]
        if name not in type_map:
            if ignore_unknown:
                continue
            raise ValueError(f"Unknown hyperparameter type for {name}")
        kind = type_map[name]
        if match["vals"] is not None:
            if index is not None or name in found:
                raise ValueError(f"Multiple assignments to variable {name!r} in results")
            found[name] = [_of_text(name, one, kind) for one in match["vals"].split(",") if one.strip()]
            continue
        value = _of_text(name, match["val"], kind)
        if index is None:
            if name in found:
                raise ValueError(f"Multiple assignments to variable {name!r} in results")
            found[name] = value
        else:
            places = found.setdefault(name, {})
            if not isinstance(places, dict) or int(index) in places:
                raise ValueError(f"Multiple assignments to variable {name!r}[{index}] in results")
            places[int(index)] = value
    return found


def _cast(name: str, kind: type, value: Any) -> Any:
    """Return a value in the type that a parameter has."""
    fail = f"Could not cast hparam {name!r} of type {kind.__name__} from value {value!r}"
    if kind is type(None):
        return value
    if issubclass(kind, str) and isinstance(value, str | bytes):
        return value
    if issubclass(kind, bool) != isinstance(value, bool):
        raise ValueError(fail)
    for sort in (numbers.Integral, numbers.Number):
        if issubclass(kind, sort) and not isinstance(value, sort):
            raise ValueError(fail)  # noqa: TRY004 - as TensorFlow has it
    make: Any = kind
    return make(value)


@export("contrib.training.HParams")
class HParams:
    """Settings by name, as attributes; each keeps the type that it was made with.

    Args:
        hparam_def: Must be None: there are no protocol buffers here.
        model_structure: An object to keep beside them.
        **kwargs: Names and values.

    Raises:
        TensorValueError: With `hparam_def` (`tensor_value`).
        ValueError: If a name is taken, or a list is empty.

    Example:
        >>> params = HParams(rate=0.1, units=[8, 4])
        >>> params.parse("rate=0.5,units=[2,1]").values()
        {'rate': 0.5, 'units': [2, 1]}
    """

    _HAS_DYNAMIC_ATTRIBUTES = True

    def __init__(self, hparam_def: Any = None, model_structure: Any = None, **kwargs: Any) -> None:
        if hparam_def is not None:
            raise TensorValueError("HParams takes names and values, no hparam_def")
        self._hparam_types: dict[str, tuple[type, bool]] = {}
        self._model_structure = model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """Add a setting.

        Args:
            name: Its name.
            value: Its value.

        Raises:
            ValueError: If the name is taken, or the value is an empty list.
        """
        if getattr(self, name, None) is not None:
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError(f"Multi-valued hyperparameters cannot be empty: {name}")
            self._hparam_types[name] = type(value[0]), True
        else:
            self._hparam_types[name] = type(value), False
        setattr(self, name, value)

    def set_hparam(self, name: str, value: Any) -> None:
        """Give a setting another value, of its type.

        Args:
            name: Its name.
            value: The value.

        Raises:
            KeyError: If there is none of that name.
            ValueError: If the value is of another type, or a list where there was none.
        """
        kind, is_list = self._hparam_types[name]
        if isinstance(value, list):
            if not is_list:
                raise ValueError(f"Must not pass a list for single-valued parameter: {name}")
            setattr(self, name, [_cast(name, kind, one) for one in value])
        else:
            if is_list:
                raise ValueError(f"Must pass a list for multi-valued parameter: {name}.")
            setattr(self, name, _cast(name, kind, value))

    def del_hparam(self, name: str) -> None:
        """Take a setting away, if it is there.

        Args:
            name: Its name.
        """
        if hasattr(self, name):
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values: str) -> "HParams":
        """Give settings the values that a text says: `"a=1,b=[2,3]"`, and return them.

        Args:
            values: The text.

        Raises:
            ValueError: If it cannot be read, or has a name that is not there.
        """
        types = {name: kind for name, (kind, _) in self._hparam_types.items()}
        return self.override_from_dict(parse_values(values, types))

    def override_from_dict(self, values_dict: dict[str, Any]) -> "HParams":
        """Give settings other values, and return them.

        Args:
            values_dict: Name to value; `{index: value}` changes places of a list.

        Raises:
            KeyError: If a name is not there.
            ValueError: If a value is of another type.
        """
        for name, value in values_dict.items():
            places = {**dict(enumerate(getattr(self, name))), **value} if isinstance(value, dict) else None
            self.set_hparam(name, value if places is None else [places[at] for at in sorted(places)])
        return self

    def parse_json(self, values_json: str) -> "HParams":
        """Give settings the values of a text in JSON, and return them.

        Args:
            values_json: The text.
        """
        return self.override_from_dict(json.loads(values_json))

    def to_json(self, indent: Any = None, separators: Any = None, sort_keys: bool = False) -> str:
        """Return the settings as JSON.

        Args:
            indent: As of `json.dumps`.
            separators: As of `json.dumps`.
            sort_keys: As of `json.dumps`.
        """
        values = {name: value for name, value in self.values().items() if not callable(value)}
        return json.dumps(values, indent=indent, separators=separators, sort_keys=sort_keys)

    def values(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting, or something else where there is none.

        Args:
            key: Its name.
            default: What to return then.
        """
        return getattr(self, key) if key in self._hparam_types else default

    def set_model_structure(self, model_structure: Any) -> None:
        """Keep an object beside the settings.

        Args:
            model_structure: The object.
        """
        self._model_structure = model_structure

    def get_model_structure(self) -> Any:
        """Return the object that is kept beside the settings."""
        return self._model_structure

    def __contains__(self, key: str) -> bool:
        return key in self._hparam_types

    def __str__(self) -> str:
        return str(sorted(self.values().items()))

    def __repr__(self) -> str:
        return f"HParams({self})"
