"""observe: a listener is told of each request that is answered."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from jaxscope._core.base.sites import Site
from jaxscope._core.passes.base_pass import current
from jaxscope._core.passes.border import Border, Inner
from jaxscope._core.requests.request import Request


class Answer(NamedTuple):
    """What a request was answered with.

    Attributes:
        name: The full name.
        value: The variable, or what custom getters made of it, by `behind`.
        made: Whether this request made the variable; None in front of the getters, where it is not known.
        site: The user's file and line.
        trainable: Whether the request asks for a trainable variable.
        behind: Whether this is the variable itself, behind the getters, or what the model got.
    """

    name: str
    value: Any
    made: bool | None
    site: Site
    trainable: bool
    behind: bool


class _Observing(Inner):
    """Tells a listener, and hands on to the border around it."""

    def __init__(self, listener: Callable[[Answer], Any], outer: Border) -> None:
        super().__init__(outer)
        self._listener = listener

    def asked(self, name: str, request: Request, value: Any, site: Site) -> Any:
        value = super().asked(name, request, value, site)
        self._listener(Answer(name, value, None, site, request.trainable, behind=False))
        return value

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        self._listener(Answer(name, value, made, site, request.trainable, behind=True))
        super().answered(name, request, value, site, made=made)


def observe(listener: Callable[[Answer], Any]) -> AbstractContextManager[None]:
    """Tell a function of each request that is answered inside the block.

    Args:
        listener: Called with an `Answer` twice for each request: for the variable, behind the custom getters
            (`behind` is True), and for what the model gets. In an inner trace its value is a tracer, which
            must not be kept.

    Returns:
        A context manager. Blocks (`js.jit`, `js.scan_layers`, ...) tell of each variable of each scope once.

    Raises:
        NoPassError: Outside a transformed function.

    Example:
        >>> net = js.transform(lambda x: x * js.get_variable("w", []))
        >>> @js.transform
        ... def told(x):
        ...     with js.observe(lambda answer: print(answer.name, answer.made) if answer.behind else None):
        ...         return net(x)
        >>> told.apply({"w": jnp.float32(2)}, 3.0)
        w True
        Array(6., dtype=float32)
    """
    run = current("observe")
    return run.during(lambda around: around._replace(border=_Observing(listener, around.border)))
