"""Scope objects: a name prefix and the defaults that requests below it inherit."""

import re
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from jaxscope._core.base.sites import here
from jaxscope._core.requests.arguments import Reuse, as_dtype, check_getter, check_initializer
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.scopes.options import Options
from jaxscope.errors import NoPassError


class Owner(Protocol):
    """What a scope object needs of the pass that it belongs to."""

    def look(self, what: str) -> None: ...
    def scope_is_set(self, scope: "VariableScope") -> None: ...
    def absolute(self, what: str) -> None: ...
    def members(self, key: str, matches: Callable[[str], Any] | None) -> list[Any]: ...


class VariableScope:
    """A scope: the prefix of the full names in it, and the defaults that they inherit.

    One is made whenever a scope is entered (`with js.variable_scope(...) as scope`), and
    `js.get_variable_scope()` returns the current one. Entering it again later is a jump: its name and
    its options hold, whatever the place. The setters act on later requests, and on scopes entered later.

    Source:
        `tf.compat.v1.VariableScope`.

    Example:
        >>> import jaxscope as js
        >>> @js.transform
        ... def net():
        ...     with js.variable_scope("a") as a:
        ...         js.get_variable("w", [])
        ...     with js.variable_scope("b"), js.variable_scope(a, reuse=True) as again:
        ...         js.get_variable("w")
        ...         return again.name, again.reuse
        >>> net.apply({"a/w": 1.0 * np.ones([])})
        ('a', True)
    """

    __slots__ = (
        "__weakref__",
        "_changes",
        "_id",
        "_manager",
        "_mark",
        "_name",
        "_named_scope",
        "_options",
        "_owner",
        "_parent",
        "_path",
        "_prefix",
        "_serial",
        "_space",
    )

    def __init__(
        self,
        name: str,
        options: Options,
        owner: "weakref.ref[Owner]",
        parent: "VariableScope | None" = None,
        manager: Any = None,
        path: str = "",
        serial: int = 0,
    ) -> None:
        self._name = name
        self._prefix = name + "/" if name else ""
        self._options = options
        self._owner = owner  # weakly: a scope object that a user keeps must not keep the pass's arrays
        self._serial = serial  # how many scopes were entered before in the pass
        # How it was entered, and what to put back when it is left; None from then on, for it may be kept.
        self._parent = parent
        self._manager = manager
        self._named_scope: Any = None
        self._path = path  # of the name scopes around it
        self._space = path  # and of its own
        self._mark: int | None = None  # of the counts, where leaving puts them back
        # For the keys of inner traces.
        self._id = 0  # stands for the chain of open scopes
        self._changes = 0  # of the books, while this scope is the current one

    def _look(self) -> Options:
        """Return the options; that somebody looks at them is noted, for inner traces depend on it."""
        owner = self._owner()
        if owner is not None:
            owner.look("get_variable_scope")
        return self._options

    @property
    def name(self) -> str:
        """The full name; `""` for the root."""
        self._look()
        self._absolute("the name of a scope")
        return self._name

    @property
    def original_name_scope(self) -> str:
        """The path of the name scope that was opened with the scope, and a slash; `""` for the root."""
        self._look()
        self._absolute("the name scope of a scope")
        return self._space and self._space + "/"

    def _absolute(self, what: str) -> None:
        owner = self._owner()
        if owner is not None:
            owner.absolute(what)

    @property
    def reuse(self) -> Reuse:
        """False, True or `AUTO_REUSE`."""
        reuse: Reuse = self._look().reuse
        return reuse

    @property
    def dtype(self) -> Any:
        """The dtype of variables that ask for none."""
        return self._look().dtype

    @property
    def initializer(self) -> Any:
        """The default initializer, or None."""
        return self._look().initializer

    @property
    def regularizer(self) -> Any:
        """The default regularizer, or None."""
        return self._look().regularizer

    @property
    def custom_getter(self) -> Callable[..., Any] | None:
        """The custom getter, with those of outer scopes behind it, or None."""
        getter: Callable[..., Any] | None = self._look().custom_getter
        return getter

    @property
    def partitioner(self) -> Any:
        """The default partitioner (a sharding annotation), or None."""
        return self._look().partitioner

    @property
    def constraint(self) -> Any:
        """The default constraint, or None."""
        return self._look().constraint

    def reuse_variables(self) -> None:
        """Set `reuse` to True, for good: on the root scope, for the rest of the pass."""
        self._set(reuse=True)

    def set_initializer(self, initializer: Any) -> None:
        """Set the default initializer.

        Args:
            initializer: `(key, shape, dtype) -> array`, a constant, or None for none.

        Raises:
            InitializerError: It is a string.
        """
        check_initializer(initializer, "this scope")
        self._set(initializer=initializer)

    def set_regularizer(self, regularizer: Any) -> None:
        """Set the default regularizer.

        Args:
            regularizer: A function of a value that returns a scalar loss, or None for none.
        """
        self._set(regularizer=regularizer)

    def set_dtype(self, dtype: Any) -> None:
        """Set the dtype of variables that ask for none.

        Args:
            dtype: What JAX takes for a dtype.

        Raises:
            InvalidDtypeError: It is none.
        """
        self._set(dtype=as_dtype(dtype))

    def set_custom_getter(self, custom_getter: Callable[..., Any] | None) -> None:
        """Set the custom getter, in the place of the whole chain of getters.

        Args:
            custom_getter: `g(getter, name, **kwargs)`, or None for none.

        Raises:
            GetterError: It cannot be called as a getter.
        """
        check_getter(custom_getter)
        self._set(custom_getter=custom_getter)

    def set_partitioner(self, partitioner: Any) -> None:
        """Set the default partitioner.

        Args:
            partitioner: A `PartitionSpec`, a function of (shape, dtype) that returns one, or None for none.
        """
        self._set(partitioner=partitioner)

    def _set(self, **options: Any) -> None:
        owner = self._owner()
        if owner is not None:
            owner.scope_is_set(self)
        self._options = self._options.changed(**options)

    def get_collection(self, key: str) -> list[Any]:
        """Return the members of a collection that are in this scope; of the root scope, all (R44).

        Args:
            key: The collection's name.

        Returns:
            As `js.get_collection`, for names that match this scope's at their start, as an expression.

        Raises:
            NoPassError: The pass that made the scope has ended.
        """
        owner = self._owner()
        if owner is None:
            raise NoPassError(
                f"scope {self._name!r} belongs to a pass that has ended",
                at=here(),
                fix="get the scope anew in each call: js.get_variable_scope()",
            )
        owner.look("get_collection")
        return owner.members(key, re.compile(self._prefix).match if self._name else None)

    def global_variables(self) -> list[Any]:
        """Return the variables of this scope that are in `variables`, in order of making."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        """Return the variables of this scope that are in `local_variables`, in order of making."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def trainable_variables(self) -> list[Any]:
        """Return the variables of this scope that are in `trainable_variables`, in order of making."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def __str__(self) -> str:
        return f"{self._name or 'the root scope'} (reuse={self._options.reuse})"

    def __repr__(self) -> str:
        return f"<VariableScope {self}>"
