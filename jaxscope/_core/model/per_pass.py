"""per_pass: an object that the pass keeps, for what has to remember something from request to request."""

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from jaxscope._core.passes.base_pass import current

T = TypeVar("T")


def per_pass(key: Hashable, make: Callable[[], T]) -> T:
    """Return what this pass keeps under a key; it is made when it is asked for first.

    A custom getter is called for each request and may serve many passes: what it has to know of the requests
    before, it keeps here. If the object has a method `end_of_pass`, that is called once the function has
    returned, without arguments; what it raises, the call raises. Where the function raises, it is not called.

    Args:
        key: What tells it from other things that are kept; a tuple with a name of your own in it, say.
        make: Returns the object; called without arguments, at most once in a pass for each key.

    Returns:
        The object. It must keep no value of an inner trace beyond that trace.

    Raises:
        NoPassError: Outside a transformed function.

    Example:
        >>> def counted(getter, name, **kwargs):
        ...     js.per_pass("mine", list).append(name)
        ...     return getter(name, **kwargs)
        >>> @js.transform
        ... def net():
        ...     with js.variable_scope("a", custom_getter=counted):
        ...         js.get_variable("v", []), js.get_variable("w", [])
        ...     return len(js.per_pass("mine", list))
        >>> net.apply(net.init(jax.random.key(0)))
        2
    """
    run = current("per_pass")
    run.around.border.absolute("js.per_pass", loop=True)
    return cast(T, run.keeping.of(key, make))
