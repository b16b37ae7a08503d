"""Options: what requests inherit from their scope."""

from typing import Any

import numpy as np

from jaxscope._core.requests.arguments import as_dtype
from jaxscope._core.requests.getters import compose
from jaxscope._core.requests.request import Request

_NAMES = (
    "reuse",
    "dtype",
    "initializer",
    "regularizer",
    "custom_getter",
    "partitioner",
    "constraint",
    "named",
)


class Options:
    """What requests inherit from their scope; immutable, so that scopes can share one.

    Attributes:
        named: Whether the scope's full name is one that a variable's may begin with.
        requests: What was understood lately under these options, by what calls have in common.
    """

    __slots__ = (*_NAMES, "_variants", "requests")

    def __init__(
        self,
        reuse: Any = False,
        dtype: Any = np.dtype("float32"),  # noqa: B008 - it never changes
        initializer: Any = None,
        regularizer: Any = None,
        custom_getter: Any = None,
        partitioner: Any = None,
        constraint: Any = None,
        named: bool = True,
    ) -> None:
        self.reuse = reuse
        self.dtype = dtype
        self.initializer = initializer
        self.regularizer = regularizer
        self.custom_getter = custom_getter
        self.partitioner = partitioner
        self.constraint = constraint
        self.named = named
        self.requests: dict[Any, Request] = {}
        # What was made of these, by the identity of each argument: the same arguments give the same object.
        self._variants: dict[Any, tuple[Options, Any]] = {}

    def changed(self, **options: Any) -> "Options":
        """Return these options with others in the place of some."""
        key = tuple((name, id(given)) for name, given in options.items())
        found = self._variants.get(key)
        if found is None:
            new = Options(**{**{name: getattr(self, name) for name in _NAMES}, **options})
            found = self._variants[key] = new, options  # kept, so that no other object has its id
        return found[0]

    def below(self, given: dict[str, Any]) -> "Options":
        """Return the options of a scope that is entered with such arguments."""
        key = tuple((name, id(value)) for name, value in given.items()), "below"
        found = self._variants.get(key)
        if found is None:
            options = dict(given)
            if "dtype" in options:
                options["dtype"] = as_dtype(options["dtype"])
            if "custom_getter" in options:
                options["custom_getter"] = compose(options["custom_getter"], self.custom_getter)
            found = self._variants[key] = self.changed(**options), given
        return found[0]

    def forget(self) -> None:
        """Forget what was understood, which may hold arrays; called when the pass has ended."""
        self.requests.clear()
        variants = list(self._variants.values())
        self._variants.clear()
        for variant, _ in variants:
            variant.forget()
