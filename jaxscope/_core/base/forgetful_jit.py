"""Programs: jitted functions that keep nothing of the calls that they serve."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax
from jax import core

from jaxscope._core.base import compat
from jaxscope._core.base.sameness import Look

__all__ = ["Program"]

#: What the program that is called now would trace, and the arrays that this may find outside its arguments.
_present: ContextVar[tuple[Callable[..., Any], list[jax.Array]]] = ContextVar("jaxscope_program")


class Program:
    """A jitted function whose body is given at each call: wherever JAX has to trace, it traces that one.

    Whoever keeps a program has to know that all bodies that it is called with are surely the same.

    Args:
        name: How profiles show it.
        **options: Of `jax.jit`.

    Example:
        >>> double = Program("double")
        >>> double(lambda x: 2 * x, [], 3.0), double(lambda x: 2 * x, [], 4.0)
        (Array(6., dtype=float32, weak_type=True), Array(8., dtype=float32, weak_type=True))

    Attributes:
        particular: Whether it holds functions of the user's, which JAX calls later: callbacks, and rules of
            derivatives. It may then serve only calls with the same objects, and not with others like them.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.particular = False

        def program(held: list[Any], args: tuple[Any, ...]) -> Any:
            body, owned = _present.get()
            closed, shapes = jax.make_jaxpr(body, return_shape=True)(*args)
            self.particular = self.particular or _calls_users(closed.jaxpr)
            # What would be constants of the program, which would keep them alive, are arguments of it.
            places = {id(array): value for array, value in zip(owned, held, strict=True)}
            constants = [places.get(id(constant), constant) for constant in closed.consts]
            try:
                leaves = core.eval_jaxpr(closed.jaxpr, constants, *jax.tree.leaves(args))
            except Exception as problem:
                if compat.staging_trace() is not None:
                    raise
                # JAX, which looks for a nan, runs what it has compiled once more, operation by operation.
                raise FloatingPointError(str(problem)) from problem
            return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

        program.__name__ = program.__qualname__ = name
        self._program = jax.jit(program, **options)

    def __call__(self, body: Callable[..., Any], held: list[jax.Array], *args: Any) -> Any:
        """Return `body(*args)`.

        Args:
            body: What to compute.
            held: Arrays that the body may find outside its arguments, so that the program does not keep them.
            *args: Pytrees of arrays.
        """
        __tracebackhide__ = True
        # A body may know of an array that was deleted, as long as it does not use it.
        passed = [None if array.is_deleted() else array for array in held]
        token = _present.set((body, held))
        try:
            return self._program(passed, args)
        finally:
            _present.reset(token)


def _calls_users(jaxpr: Any) -> bool:
    """Tell whether a jaxpr holds functions of the user's."""
    for equation in jaxpr.eqns:
        if "callback" in equation.primitive.name:
            return True
        for parameter in equation.params.values():
            for part in parameter if isinstance(parameter, tuple | list) else (parameter,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    if _calls_users(inner):
                        return True
                elif callable(part):
                    look = Look()
                    look.see(part)
                    if look.users or look.unknown is not None:
                        return True
    return False
