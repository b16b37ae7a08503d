"""Programs: a library's initial values as one jaxpr, of which each variable gets the part that it needs.

A module's `init` makes all values from one key, and runs the model for it. Its jaxpr says of each value what
it depends on. So a variable's initial value can be drawn by itself, with the key of its own name, and what
the model computes besides is left out.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import Literal, jaxpr_as_fun

import jaxscope as js
from jaxscope.interop.dependencies import INPUT, INPUTS, KEY, KEY_ALONE, NOTHING, Flags, dependencies
from jaxscope.interop.inlining import inlined
from jaxscope.interop.memory import Memory
from jaxscope.interop.parts import Parted
from jaxscope.sites import users_line

_config: Any = jax.config  # whose flags have no types


class Program:
    """Initial values as a function of a key and of a call's arrays.

    Args:
        function: Of a key and a list of arrays; returns a list of arrays. What else it finds out it may put
            aside: it is run once, abstractly.
        arrays: The arrays, or what stands for them.

    Attributes:
        results: Shape and dtype of each result.
        safe: Whether it may be kept: it holds no value of a trace.
    """

    def __init__(self, function: Callable[[Any, list[Any]], list[Any]], arrays: Sequence[Any]) -> None:
        self._function, self._count = function, len(arrays)
        key = jax.eval_shape(lambda: jax.random.key(0))
        self._key_type = key.dtype
        self._closed: Any = jax.make_jaxpr(function)(key, list(arrays))
        self._whole = Parted(self._closed)
        #: By the type of keys: what values are drawn from, one by one.
        self._parted: dict[Any, Parted] = {}
        self._arrays = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in self._inputs[1:]]
        self.results: list[jax.ShapeDtypeStruct] = [
            jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in self._closed.out_avals
        ]
        self.safe = not any(isinstance(const, Tracer) for const in self._closed.consts)
        self._of_inputs = self._find_of_inputs()
        self._starts: dict[int, Any] = {}
        self._alike: dict[int, Hashable] = {}
        self._values: dict[Any, list[Any]] = {}

    @property
    def _inputs(self) -> list[Any]:
        inputs: list[Any] = self._closed.jaxpr.invars
        return inputs

    @property
    def alone(self) -> list[int]:
        """Which results depend on the key alone, or on nothing."""
        return [at for at in range(len(self.results)) if at not in self._of_inputs]

    def starts(self, key: Any) -> list[Any]:
        """Return what `get_variable` takes as initializers of those results that depend on the key alone.

        Args:
            key: The key that all are drawn with as the library does it; None: each with its variable's own.
        """
        if key is not None:
            return self._drawn(key)
        for at in self.alone:
            if at not in self._starts:
                self._starts[at] = self._filled(at) or Start(self, at)
        return [self._starts[at] for at in self.alone]

    def rest(self, names: Sequence[str], values: Sequence[Any], key: Any, arrays: Sequence[Any]) -> list[Any]:
        """Return the other results: what the model computes from its inputs and from values that it has.

        Args:
            names: Names of all results, for messages.
            values: The values of those that depend on the key alone.
            key: As of `starts`.
            arrays: The arrays of the present call.

        Raises:
            InitializerError: One needs a key besides, and there is none.
        """
        which = sorted(self._of_inputs)
        if not which:
            return []
        jaxpr = self._closed.jaxpr
        pairs = zip([jaxpr.outvars[at] for at in self.alone], values, strict=True)
        known = {var: value for var, value in pairs if key is None and not isinstance(var, Literal)}
        taken = [*jaxpr.invars, *known]
        part = self._whole.part(which, taken)
        flags = self._dependencies(known)
        if key is None and any(KEY in flags[at] for at in which):
            raise js.errors.InitializerError(
                f"the module's initial value of {names[which[0]]!r} depends on its inputs and on a key",
                code="init_of_inputs",
                at=users_line(),
                also=", ".join(names[at] for at in which[1:]),
                fix="let the library draw all values by one key: initial=jax.random.key(0), say",
            )
        given = jax.random.key(0) if key is None else key
        return list(jaxpr_as_fun(part)(given, *arrays, *known.values()))

    def draw(self, at: int, key: Any) -> Any:
        """Return one result, which depends on the key alone, by the law that it has in the library.

        The key stands in the place of the one that the library makes for this value: of a name, by counting,
        or by splitting. So values that are drawn alike are so wherever in the model they are.
        """
        parted, taken = self._drawing(at, key.dtype)
        return self._run(parted, [at], taken, key)[0]

    def alike(self, at: int) -> Hashable:
        """Return what is equal for results, also of other programs, that are drawn in the same way."""
        if at not in self._alike:
            parted, taken = self._drawing(at, self._key_type)
            # JAX draws other bits by the same operations where this is otherwise.
            self._alike[at] = parted.alike(at, taken), bool(_config.jax_threefry_partitionable)
        return self._alike[at]

    def _drawing(self, at: int, key_type: Any) -> tuple[Parted, list[Any]]:
        """Return what one result is drawn from by keys of a type, and what that takes: a key, the inputs."""
        if key_type not in self._parted:
            closed = self._closed
            if key_type != self._key_type:  # for which the program is another one
                made: Any = jax.make_jaxpr(self._function)
                closed = made(jax.ShapeDtypeStruct((), key_type), self._arrays)
            self._parted[key_type] = Parted(inlined(closed))
        parted = self._parted[key_type]
        key, *others = parted.closed.jaxpr.invars
        return parted, [parted.root(at, key, others), *others]

    def _drawn(self, key: Any) -> list[Any]:
        """Return results as the library computes them: operation by operation, now."""
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        if isinstance(key, Tracer):
            return self._run_all(key)
        with jax.ensure_compile_time_eval():
            known = str(key.dtype), np.asarray(jax.random.key_data(key)).tobytes()
            if known not in self._values:
                self._values[known] = self._run_all(key)
        return self._values[known]

    def _run_all(self, key: Any) -> list[Any]:
        return self._run(self._whole, self.alone, self._inputs, key)

    def _run(self, parted: Parted, which: list[int], taken: Sequence[Any], key: Any) -> list[Any]:
        # Inputs may take part where a loop computes several values, of which these do not depend on them.
        inputs = [jnp.zeros(array.shape, array.dtype) for array in self._arrays]
        results = zip(which, jaxpr_as_fun(parted.part(which, taken))(key, *inputs), strict=True)
        return [jnp.asarray(value, self.results[at].dtype) for at, value in results]

    def _filled(self, at: int) -> Any:
        """Return an initializer of one number, if a result is just that: one program serves all such."""
        atom = self._closed.jaxpr.outvars[at]
        if not isinstance(atom, Literal):
            made = [equation for equation in self._closed.jaxpr.eqns if atom in equation.outvars]
            if not made or made[0].primitive.name != "broadcast_in_dim":
                return None
            atom = made[0].invars[0]
        if not isinstance(atom, Literal) or np.ndim(atom.val):
            return None
        return js.initializers.constant(np.asarray(atom.val).item())

    def _find_of_inputs(self) -> set[int]:
        """Return which results depend on inputs, or on other values of a trace."""
        return {at for at, flags in enumerate(self._dependencies()) if INPUTS in flags}

    def _dependencies(self, known: Collection[Any] = ()) -> list[Flags]:
        """Return what each result depends on, where some values are known."""
        jaxpr = self._closed.jaxpr
        constants = [INPUT if isinstance(const, Tracer) else NOTHING for const in self._closed.consts]
        return dependencies(jaxpr, [KEY_ALONE, *[INPUT] * self._count], constants, known)


class Start(js.initializers.Initializer):
    """An initializer: one result of a program, with the key of the variable's own name."""

    def __init__(self, program: Program, at: int) -> None:
        self._program, self._at = Memory(program), at

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """Return the result."""
        drawn: jax.Array = self._program.value.draw(self._at, key)
        return drawn

    def problem(self, shape: tuple[int, ...] | None, dtype: Any) -> tuple[str, str] | None:
        """Return why it cannot be of a shape and dtype: it is of one alone."""
        result = self._program.value.results[self._at]
        if shape is not None and tuple(shape) != result.shape:
            return "init_wrong_shape", f"gives shape {result.shape}, not {tuple(shape)}"
        if dtype != result.dtype:
            return "init_wrong_dtype", f"gives {result.dtype}, not {dtype}"
        return None

    def _compared(self) -> tuple[Any, ...]:
        return (self._program.value.alike(self._at),)

    def __repr__(self) -> str:
        return "the module's own"
