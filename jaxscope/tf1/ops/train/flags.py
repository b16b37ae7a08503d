"""`tf.flags`: settings of a program with their defaults; what the command line says is not read."""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from jaxscope.tf1.base.errors import GraphLifeError
from jaxscope.tf1.base.exporting import export, export_constant

__all__ = ["FLAGS", "Flags"]


class Flags:
    """Settings as attributes: the defaults, until a program sets others.

    Example:
        >>> flags = Flags()
        >>> flags._define("rate", 0.1)
        >>> flags.rate
        0.1
    """

    def __init__(self) -> None:
        self.__dict__["_values"] = {}

    def _define(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__["_values"]
        if name not in values:
            raise AttributeError(f"there is no flag {name!r}: tf.flags.DEFINE_* makes one")
        return values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(f"there is no flag {name!r}: tf.flags.DEFINE_* makes one")
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        self._values.pop(name, None)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __call__(self, argv: Any = None, known_only: bool = False) -> list[Any]:
        """Return the arguments as they are: what they say is not read.

        Args:
            argv: The arguments.
            known_only: Without meaning here.
        """
        return list(argv or [])

    def flag_values_dict(self) -> dict[str, Any]:
        """Return the settings by name."""
        return dict(self._values)

    def set_default(self, name: str, value: Any) -> None:
        """Give a setting another default.

        Args:
            name: Its name.
            value: The default.
        """
        setattr(self, name, value)


#: All flags of the process.
FLAGS = export_constant(Flags(), "flags.FLAGS", "app.flags.FLAGS")


def _places(name: str) -> list[str]:
    return [f"flags.{name}", f"app.flags.{name}"]


def _define(name: str, convert: Callable[[Any], Any]) -> None:
    def define(
        name: str | None = None, default: Any = None, help: Any = None, *_: Any, **kwargs: Any
    ) -> None:
        name = kwargs.get("flag_name", name)
        default = kwargs.get("default_value", default)
        FLAGS._define(str(name), None if default is None else convert(default))

    define.__name__ = define.__qualname__ = name
    define.__doc__ = """Make a setting, whose value is its default.

    Args:
        name: Its name.
        default: Its default.
        help: What it is; without meaning here.
        *_: Without meaning here.
        **kwargs: The older names `flag_name` and `default_value`.
    """
    export(*_places(name))(define)


def _boolean(value: Any) -> bool:
    return value.lower() in {"true", "t", "1", "yes"} if isinstance(value, str) else bool(value)


def _list(value: Any) -> list[Any]:
    return [one.strip() for one in value.split(",")] if isinstance(value, str) else list(value)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "DEFINE_string": str,
    "DEFINE_integer": int,
    "DEFINE_float": float,
    "DEFINE_bool": _boolean,
    "DEFINE_boolean": _boolean,
    "DEFINE_list": _list,
    "DEFINE_multi_string": lambda value: [value] if isinstance(value, str) else list(value),
    "DEFINE_multi_integer": lambda value: [value] if isinstance(value, int) else list(value),
}
for _name, _convert in _KINDS.items():
    _define(_name, _convert)


@export(*_places("DEFINE_enum"))
def DEFINE_enum(name: str, default: Any, enum_values: Any, help: Any = None, **_: Any) -> None:
    """Make a setting that is one of some words.

    Args:
        name: Its name.
        default: Its default.
        enum_values: The words.
        help: What it is; without meaning here.
        **_: Without meaning here.

    Raises:
        ValueError: If the default is none of the words.
    """
    if default is not None and default not in enum_values:
        raise ValueError(f"flag {name} must be one of {', '.join(enum_values)}, not {default!r}")
    FLAGS._define(name, default)


@export(*_places("mark_flag_as_required"))
def mark_flag_as_required(flag_name: str, flag_values: Any = None) -> None:
    """Accept that a setting has no default: the program sets it before it is used.

    Args:
        flag_name: Its name.
        flag_values: Without meaning here.
    """


@export(*_places("mark_flags_as_required"))
def mark_flags_as_required(flag_names: Any, flag_values: Any = None) -> None:
    """Accept that settings have no defaults.

    Args:
        flag_names: Their names.
        flag_values: Without meaning here.
    """


@export("app.run")
def run(main: Any = None, argv: Any = None) -> NoReturn:
    """Refuse: what a program runs as is the graph's life.

    Args:
        main: The program.
        argv: Its arguments.

    Raises:
        GraphLifeError: Always (`graph_life`).
    """
    raise GraphLifeError(
        "tf.app.run starts a program of TensorFlow's",
        fix="call main([]) yourself; flags are set by assignment: tf.flags.FLAGS.rate = 0.1",
    )
