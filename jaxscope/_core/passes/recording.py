"""Recording: a pass that makes a spec of each variable, and gives the function placeholders."""

import collections
import functools
import weakref
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import core

from jaxscope._core.base.sites import here
from jaxscope._core.initializers.base import Initializer
from jaxscope._core.passes import refusals
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.starts import WithoutArguments
from jaxscope._core.variables.specs import FROM_INPUTS, VariableSpec
from jaxscope.errors import InitializerError, TraceError


@functools.cache
def _primitive() -> Any:
    """Return what gives the arrays that stand for variables while recording."""
    from jax.extend.core import Primitive  # which `import jaxscope` has no time for

    primitive = Primitive("variables")
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda *, aval, count, label: [aval] * count)  # noqa: ARG005
    primitive.def_impl(_evaluated)
    return primitive


def _evaluated(*, aval: Any, count: int, label: Any) -> list[jax.Array]:
    if label is not None:  # a value that comes later must not be taken for one that is there now
        raise TraceError(
            "a block cannot be recorded inside jax.ensure_compile_time_eval()",
            code="cannot_lift",
            at=here(),
            fix="call it outside, or call the function itself",
        )
    return [jnp.zeros(aval.shape, aval.dtype) for _ in range(count)]


def _placeholders(shape: Any, dtype: Any, count: int) -> list[jax.Array]:
    aval = core.ShapedArray(shape, dtype)
    return cast("list[jax.Array]", _primitive().bind(aval=aval, count=count, label=None))


def labelled(label: Any, aval: Any) -> jax.Array:
    """Return what stands for a value of a type, in an equation that can be found again by its label.

    A type is more than shape and dtype: it may be weak, split over a mesh, or vary in `jax.shard_map`.
    """
    return cast("jax.Array", _primitive().bind(aval=aval, count=1, label=label)[0])


def label_of(equation: Any) -> Any:
    """Return the label of an equation of `labelled`; None for all others."""
    return equation.params["label"] if equation.primitive is _primitive() else None


def placeholder(shape: Any, dtype: Any) -> jax.Array:
    """Return what stands for a value; made in the present trace, so nothing leaks out of an inner one."""
    return _placeholders(shape, dtype, 1)[0]


class _Spares:
    """Placeholders of one shape and dtype: JAX takes little longer to make many than to make one."""

    MOST = 64

    def __init__(self) -> None:
        self._count = 1
        self._spare: list[jax.Array] = []

    def take(self, shape: Any, dtype: Any) -> jax.Array:
        """Return one that was not given out before."""
        if not self._spare:
            self._spare = _placeholders(shape, dtype, self._count)
            self._count = min(4 * self._count, self.MOST)
        return self._spare.pop()


class Recording(Pass):
    """A pass that makes a spec of each variable, and gives the function placeholders."""

    abstract = True

    def __init__(self, *args: Any, kind: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._written = self.traces.memory.written(kind)
        # For the trace that the pass begins in.
        self._spares: collections.defaultdict[Any, _Spares] = collections.defaultdict(_Spares)
        self._checked: dict[Any, Any] = {}  # the initializers that were checked for a shape and a dtype

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function; afterwards there are only specs, and nothing that keeps its trace alive."""
        try:
            return super().run(*args, **kwargs)
        finally:
            self.books.added.clear()
            self._spares.clear()
            self.books.settle()
            for entry in self.books.entries.values():
                entry.value = entry.held = entry.loss = entry.cell = None

    def begin(self, entry: Entry) -> Any:
        initializer = entry.initializer
        if (id(initializer), entry.shape, entry.dtype) in self._checked:
            return self._place(entry)
        if isinstance(initializer, type):
            entry.initializer = initializer = initializer()
            if not callable(initializer):
                raise InitializerError(
                    f"the initializer of {entry.name!r} is the class {type(initializer).__name__}, "
                    "and an object of it cannot be called",
                    code="init_call_failed",
                    at=entry.site,
                    fix="pass a function (key, shape, dtype) -> array, or an array",
                )
        if isinstance(initializer, core.Tracer):
            self._computed(entry)
        elif isinstance(initializer, WithoutArguments):
            traced = jax.make_jaxpr(lambda: jnp.asarray(initializer.value()))()
            self.traces.look()
            (result,) = traced.out_avals
            entry.shape, entry.dtype = result.shape, result.dtype
            if any(isinstance(constant, core.Tracer) for constant in traced.consts):
                self._computed(entry)
        elif callable(initializer):
            from jaxscope._core.drawing.check_initializer import (
                check,  # which `import jaxscope` has no time for
            )

            check(entry.name, initializer, entry.shape, entry.dtype, entry.site)
            self.traces.look()
            if isinstance(initializer, Initializer):  # which never change
                self._checked[id(initializer), entry.shape, entry.dtype] = initializer
        return self._place(entry)

    def _computed(self, entry: Entry) -> None:
        if not self.traces.at_root:
            raise refusals.computed_in_trace(entry, self.describe_scope())
        entry.initializer = FROM_INPUTS

    def read(self, entry: Entry) -> Any:
        value = entry.value if entry.held is None else entry.held()
        if value is not None and self.traces.is_open(entry.state):
            return value
        return self._place(entry)

    def _place(self, entry: Entry) -> jax.Array:
        """Give an entry a placeholder of the present trace."""
        entry.state = self.traces.current
        if self.traces.at_root:
            kind = entry.shape, entry.dtype
            entry.value = made = self._spares[kind].take(*kind)
            entry.held = None
        else:
            made = placeholder(entry.shape, entry.dtype)
            # An inner trace must not be kept alive after its end.
            entry.value = jax.ShapeDtypeStruct(made.shape, made.dtype)
            entry.held = weakref.ref(made)
        return made

    def write(self, entry: Entry, value: Any) -> None:
        self.check_write(entry)
        if not self.traces.at_root:
            self._written.add(entry.name)
            return
        entry.value, entry.held, entry.state = value, None, self.traces.current

    def specs(self) -> list[VariableSpec]:
        """Return a spec of each variable made, in order of making."""
        self.books.settle()
        return [
            VariableSpec(
                entry.name,
                entry.shape or (),
                entry.dtype,
                entry.trainable,
                entry.collections,
                entry.initializer,
                entry.request.regularizer,
                entry.request.constraint,
                entry.request.partitioner,
                entry.site,
            )
            for entry in self.books.entries.values()
        ]
