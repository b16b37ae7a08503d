"""`tf.while_loop`.

Where the number of steps is known while tracing, as that of `i < 5`, the loop is JAX's `fori_loop` and has
a derivative. Else it is `jax.lax.while_loop`. Where shapes grow, the steps are written out one by one.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, NotStaticError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import static_int
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, known_value, wrap
from jaxscope.tf1.ops.control.nesting import assert_same_structure, flatten, is_nested, pack_sequence_as
from jaxscope.tf1.ops.control.steps import Steps, again, concrete, goes_on, loop_key, step_keys, trips
from jaxscope.tf1.ops.control.tensor_array import TensorArray

__all__ = ["while_loop"]


@export("while_loop")
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """Return what variables are after a body has run as long as a condition holds.

    It has a derivative where the number of steps is known while tracing. What is drawn in the body has other
    keys in each step.

    Args:
        cond: A function of the variables that returns a truth value.
        body: A function of the variables that returns their next values, in the same structure.
        loop_vars: A list or tuple of tensors, `TensorArray`s, or structures of such.
        shape_invariants: Their shapes, with None for what changes: then the steps are written out, and their
            number must be known while tracing.
        parallel_iterations: Without meaning here.
        back_prop: Whether gradients go through the result.
        swap_memory: Without meaning here.
        name: A name for the results.
        maximum_iterations: The greatest number of steps, known while tracing.
        return_same_structure: Whether a single variable comes back in a list.

    Raises:
        TensorTypeError: If `cond` or `body` cannot be called, or the condition is no truth value.
        TensorValueError: If there are no variables, or their structure or shapes change (`tensor_value`).
        InvalidArgumentError: If their dtypes change (`invalid_argument`).
        NotStaticError: If shapes grow, and the number of steps is not known while tracing (`not_static`).
    """
    if not callable(cond):
        raise TensorTypeError("cond must be callable")
    if not callable(body):
        raise TensorTypeError("body must be callable")
    if not loop_vars:
        raise TensorValueError("loop_vars are missing")
    if not isinstance(loop_vars, list | tuple):
        loop_vars = [loop_vars]
    loop = _Loop(cond, body, loop_vars, shape_invariants)
    most = None if maximum_iterations is None else static_int(maximum_iterations, "maximum_iterations")
    flat = loop.run(most)
    if not back_prop:
        flat = [jax.tree.map(jax.lax.stop_gradient, one) for one in flat]
    packed = pack_sequence_as(loop.form, flat)
    return packed[0] if len(flat) == 1 and not return_same_structure and is_nested(packed) else packed


def _of_loop(value: Any) -> Any:
    return value if isinstance(value, TensorArray) else convert_to_tensor(value)


class _Loop:
    """One call of `while_loop`: its variables are a flat list of tensors and `TensorArray`s."""

    def __init__(self, cond: Any, body: Any, loop_vars: Any, invariants: Any) -> None:
        self.cond, self.body, self.given = cond, body, list(loop_vars)
        self.form: Any = self.given
        self.start = [_of_loop(one) for one in flatten(self.given)]
        self.invariants = self._invariants(invariants)
        self.key = loop_key()
        self.new: list[Any] = []

    def _invariants(self, invariants: Any) -> list[TensorShape | None]:
        if invariants is None:
            return [None] * len(self.start)
        shapes = jax.tree.leaves(invariants, is_leaf=_is_shape)
        if len(shapes) != len(self.start):
            raise TensorValueError(f"{len(shapes)} shape_invariants for {len(self.start)} variables")
        made = [one if one is None else TensorShape(one) for one in shapes]
        for tensor, shape in zip(self.start, made, strict=True):
            if (
                shape is not None
                and isinstance(tensor, Tensor)
                and not shape.is_compatible_with(tensor.shape)
            ):
                raise TensorValueError(
                    f"the shape invariant {shape} does not allow the first shape {tensor.get_shape()}"
                )
        return made

    def _packed(self, flat: list[Any]) -> list[Any]:
        return list(pack_sequence_as(self.given, flat))

    def step(self, flat: list[Any], n: Any) -> list[Any]:
        """Return the next variables, and note their structure."""
        with step_keys(self.key, n):
            result = self.body(*self._packed(flat))
        if isinstance(result, TensorArray) or not isinstance(result, list | tuple):
            result = [result]
        assert_same_structure(self.given, list(result), check_types=False)
        self.form = result
        new = [_of_loop(one) for one in flatten(result)]
        for before, after in zip(flat, new, strict=True):
            if isinstance(before, TensorArray) != isinstance(after, TensorArray):
                raise TensorTypeError("a variable of the loop is a TensorArray before or after it alone")
            if before.dtype is not after.dtype:
                raise InvalidArgumentError(
                    f"a variable of the loop is {before.dtype.name} before the body, and "
                    f"{after.dtype.name} after it",
                    code="dtypes_disagree",
                    fix=f"tf.cast(x, tf.{before.dtype.name}) in the body",
                )
        return new

    def holds(self, flat: list[Any], n: Any) -> Tensor:
        """Return the condition."""
        with step_keys(self.key, n):
            found = convert_to_tensor(self.cond(*self._packed(flat)))
        if not found.dtype.is_bool:
            raise TensorTypeError(f"the condition of a loop is a truth value, not {found.dtype.name}")
        if found._held.size != 1:
            raise TensorValueError(f"the condition of a loop is one truth value, not {found.get_shape()}")
        return found

    def run(self, most: int | None) -> list[Any]:
        """Run the loop, and return the last variables."""
        if any(isinstance(one, TensorArray) and one.dynamic_size for one in self.start):
            return self._unrolled(most)
        traced = self._traced(self.start)
        if any(isinstance(one, TensorArray) for one in self.start):
            whole = [_allocated(a, b) for a, b in zip(self.start, self.new, strict=True)]
            if any(a is not b for a, b in zip(whole, self.start, strict=True)):
                self.start = whole
                with again():
                    traced = self._traced(self.start)
        if self._grows():
            with again():
                return self._unrolled(most)
        leaves, form = jax.tree.flatten(self.start)
        test = Steps(self._condition, [np.int32(0), *leaves])
        count = trips(test, traced, leaves, most)
        arrays, zero = [jnp.asarray(leaf) for leaf in leaves], np.int32(0)
        if count is not None:
            counted = 0 in traced.uses()
            result = arrays
            if count:
                result = jax.lax.fori_loop(
                    0, count, lambda n, now: traced(jnp.int32(n) if counted else zero, *now), arrays
                )
        elif most is None and 0 not in traced.uses():
            result = jax.lax.while_loop(
                lambda now: goes_on(test(zero, *now)[0], zero, most), lambda now: traced(zero, *now), arrays
            )
        else:
            result = jax.lax.while_loop(
                lambda state: goes_on(test(*state)[0], state[0], most),
                lambda state: [state[0] + 1, *traced(*state)],
                [jnp.int32(0), *arrays],
            )[1:]
        return list(jax.tree.unflatten(form, result))

    def _traced(self, start: list[Any]) -> Steps:
        leaves, form = jax.tree.flatten(start)

        def advance(n: Any, *arrays: Any) -> list[Any]:
            self.new = self.step(list(jax.tree.unflatten(form, arrays)), n)
            return jax.tree.leaves(self.new)

        return Steps(advance, [np.int32(0), *leaves])

    def _condition(self, n: Any, *arrays: Any) -> list[Any]:
        flat = list(jax.tree.unflatten(jax.tree.structure(self.start), arrays))
        return [self.holds(flat, n)._held]

    def _grows(self) -> bool:
        """Tell whether shapes change, where that was asked for; `TensorValueError` where it was not."""
        changed = False
        for before, after, allowed in zip(self.start, self.new, self.invariants, strict=True):
            if isinstance(before, TensorArray):
                if before._size != after._size:
                    raise TensorValueError("a TensorArray without dynamic_size grows in a loop")
                continue
            if before._held.shape == after._held.shape:
                continue
            if allowed is None or not allowed.is_compatible_with(after._held.shape):
                raise TensorValueError(
                    f"a variable of the loop has shape {before.get_shape()} before the body, and "
                    f"{after.get_shape()} after it",
                    code="shapes_disagree",
                    fix="shape_invariants, with None for the size that changes",
                )
            changed = True
        return changed

    def _unrolled(self, most: int | None) -> list[Any]:
        """Run the steps one by one, each with shapes of its own."""
        flat, n = self.start, 0
        while most is None or n < most:
            with again():
                found = self.holds(flat, n)
            known = known_value(found)
            known = concrete(found._held) if known is None else known
            if known is None:
                raise NotStaticError(
                    "shapes grow in a loop, and how often it runs is not known while tracing",
                    fix="a condition that counts steps; or variables of a shape that stays",
                )
            if not known.all():
                break
            with again():
                flat = self.step(flat, n)
            n += 1
        if n == 0:
            self.form = self.given
        return flat


def _is_shape(value: Any) -> bool:
    if value is None or isinstance(value, TensorShape):
        return True
    return isinstance(value, list | tuple) and all(one is None or isinstance(one, int) for one in value)


def _allocated(before: Any, after: Any) -> Any:
    """Return a `TensorArray` with room, where the body was the first to write to it."""
    if not isinstance(before, TensorArray) or jax.tree.leaves(before) or not jax.tree.leaves(after):
        return before
    shape = after.element_shape.as_list()
    return before._with(_buffer=wrap(jnp.zeros((before._size, *shape), before.dtype.dtype))._held)
