"""Requests: what one call asks for, as one value, which is understood once for all calls that are alike."""

from collections.abc import Callable
from typing import Any

from jaxscope._core.base.describe import shown
from jaxscope._core.base.sites import here
from jaxscope._core.initializers.base import Initializer
from jaxscope._core.requests.arguments import (
    GETTER_ARGUMENTS,
    as_dtype,
    as_shape,
    as_trainable,
    check_callable,
    check_getter,
    check_initializer,
    collections_of,
)
from jaxscope._core.requests.graph_keys import GLOBAL, GLOBAL_TRAINABLE
from jaxscope._core.requests.starts import constant, dtype_conflict, is_constant, resolve
from jaxscope.errors import InitializerError


class Request:
    """What one call asks for, without the name; nothing about it ever changes.

    Attributes:
        explicit: Whether the call itself gave the dtype.
        shape: The shape as it was written.
        dtype: The dtype asked for, or the scope's.
        initializer: The initializer asked for, or the scope's; None for the default of the dtype.
        regularizer: Likewise, like `reuse`, `partitioner` and `constraint`.
        trainable: True or False.
        collections: As given, None for the usual.
        getter: The custom getter that it goes through first, or None.
        asks_sizes: Whether `sizes` has to be asked, for `known_sizes` are not yet.
        known_sizes: What `sizes` returned.
        known_start: What `start` returned, if it does not depend on the variable.
    """

    __slots__ = (
        "_kept_in",
        "_last",
        "asks_sizes",
        "collections",
        "constraint",
        "dtype",
        "explicit",
        "getter",
        "initializer",
        "known_sizes",
        "known_start",
        "partitioner",
        "regularizer",
        "reuse",
        "shape",
        "trainable",
    )

    def __init__(
        self,
        *,
        explicit: bool,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Any = False,
        trainable: bool = True,
        collections: Any = None,
        partitioner: Any = None,
        constraint: Any = None,
        getter: Callable[..., Any] | None = None,
    ) -> None:
        self.explicit = explicit
        self.shape = shape
        self.dtype = dtype
        self.initializer = initializer
        self.regularizer = regularizer
        self.reuse = reuse
        self.trainable = trainable
        self.collections = collections
        self.partitioner = partitioner
        self.constraint = constraint
        self.getter = getter
        # What is worked out when it is asked for.
        self.asks_sizes = shape is not None
        self.known_sizes: tuple[int | None, ...] | None = None
        self.known_start: tuple[Any, tuple[int, ...] | None, Any] | None = None
        self._kept_in: Any = None
        self._last: Request | None = None  # what was asked for last with another initializer

    def starting_from(self, initializer: Callable[..., Any], sizes: tuple[int, ...] | None) -> "Request":
        """Return the request for a variable that starts from another function than the scope's.

        Args:
            initializer: The function.
            sizes: What `sizes` will return.
        """
        last = self._last
        if last is not None and last.initializer is initializer:
            return last
        made: Request = object.__new__(Request)
        made.explicit = self.explicit
        made.shape = self.shape
        made.dtype = self.dtype
        made.initializer = initializer
        made.regularizer = self.regularizer
        made.reuse = self.reuse
        made.trainable = self.trainable
        made.collections = self.collections
        made.partitioner = self.partitioner
        made.constraint = self.constraint
        made.getter = self.getter
        made.asks_sizes = False
        made.known_sizes = sizes
        whole = sizes is not None and not isinstance(initializer, type)
        made.known_start = (initializer, sizes, self.dtype) if whole else None
        made._kept_in = made._last = None
        self._last = made
        return made

    def sizes(self, name: str, site: Any = None) -> tuple[int | None, ...] | None:
        """Return the shape as a tuple, None where there is none; the checks are (6) and (7) of R23.

        Args:
            name: The full name, for messages.
            site: Where it is asked for, if the user's line is not on the stack.
        """
        if self.asks_sizes:
            if is_constant(self.initializer):
                raise InitializerError(
                    f"variable {name!r} has both a shape and a constant as initializer",
                    code="constant_with_shape",
                    at=site or here(),
                    shape=shown(self.shape),
                    fix="leave out the shape: the constant gives it",
                )
            self.known_sizes = as_shape(self.shape, name, lambda: site or here())
            self.asks_sizes = False
        return self.known_sizes

    def start(self, name: str, site: Any) -> tuple[Any, tuple[int, ...] | None, Any]:
        """Return initializer, shape and dtype of a new variable; the checks are (11) to (13) of R23."""
        found = self.known_start
        if found is None:
            found = resolve(name, self.initializer, self.sizes(name, site), self.dtype, self.explicit, site)
            if isinstance(found[0], type) and issubclass(found[0], Initializer):
                found = found[0](), *found[1:]  # R30; ours never change, so one serves all
            if found[1] is not None and not is_constant(self.initializer):
                self.known_start = found
        return found

    @property
    def kept_in(self) -> tuple[str, ...]:
        """The collections of a new variable."""
        found = self._kept_in
        if found is None:
            if self.collections is None:
                found = GLOBAL_TRAINABLE if self.trainable else GLOBAL
            else:
                found = collections_of(self.collections, self.trainable)
            self._kept_in = found
        kept_in: tuple[str, ...] = found
        return kept_in

    def arguments(self, name: str) -> dict[str, Any]:
        """Return what a custom getter is called with."""
        return {key: name if key == "name" else getattr(self, key) for key in GETTER_ARGUMENTS}

    def passed_on(self, dtype: Any, **others: Any) -> "Request":
        """Return what arrives behind the getters, where these arguments were passed on."""
        if (trainable := others["trainable"]) is not True and trainable is not False:
            others["trainable"] = as_trainable(trainable, "of a getter")
        return Request(explicit=self.explicit, dtype=as_dtype(dtype), **others)

    def replaced(self, **changes: Any) -> "Request":
        """Return the request with other attributes in the place of some."""
        names = ("explicit", "getter", *GETTER_ARGUMENTS[1:])
        return Request(**{**{name: getattr(self, name) for name in names}, **changes})


def understood(
    options: Any,
    name: str,
    shape: Any,
    dtype: Any,
    initializer: Any,
    regularizer: Any,
    trainable: Any,
    collections: Any,
    partitioner: Any,
    constraint: Any,
    custom_getter: Any,
) -> Request:
    """Return what a call asks for in a scope of such options; the checks are (2) to (4) of R23.

    Args:
        options: Those of the scope, which stand for what the call leaves out.
        name: The full name, for messages.
        shape: As it was written.
        dtype: None for the scope's, like all others.
        initializer: A function, a class of such, or a constant.
        regularizer: A function.
        trainable: True, False, or None for True.
        collections: A list of names.
        partitioner: A sharding annotation.
        constraint: A function.
        custom_getter: A getter in the place of the scope's.
    """
    if initializer is None:
        initializer = options.initializer
    else:
        check_initializer(initializer, f"variable {name!r}")
        if dtype is not None and is_constant(initializer):
            given = constant(name, initializer, here()).dtype
            if given != as_dtype(dtype):
                raise dtype_conflict(name, given, as_dtype(dtype), here())
    if trainable is not True and trainable is not False:
        trainable = as_trainable(trainable, name)
    check_getter(custom_getter)
    check_callable(regularizer, "regularizer", name)
    check_callable(constraint, "constraint", name)
    return Request(
        explicit=dtype is not None,
        shape=shape,
        dtype=options.dtype if dtype is None else as_dtype(dtype),
        initializer=initializer,
        regularizer=options.regularizer if regularizer is None else regularizer,
        reuse=options.reuse,
        trainable=trainable,
        collections=collections,
        partitioner=options.partitioner if partitioner is None else partitioner,
        constraint=options.constraint if constraint is None else constraint,
        getter=options.custom_getter if custom_getter is None else custom_getter,
    )
