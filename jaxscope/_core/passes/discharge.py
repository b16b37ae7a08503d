"""Discharge: a call that keeps its state in Refs is made with plain values, and leaves no Ref behind.

A Ref carries a write out of an inner `jax.jit`, scan or cond; yet JAX's outer transforms do not take every
Ref. So the function is traced by itself, to a jaxpr. This is written again with the present value of each Ref
in its place: an inner jaxpr takes the value as an input, and returns it where it writes. The result is
evaluated in the trace around. It is the program that one writes by hand for a function that takes its state
and returns it, and right wherever such a program is.

Only Refs that the function makes are replaced. One that comes from outside stays what it is.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, NoReturn, TypeVar, cast

import jax
import jax.numpy as jnp
from jax import core, lax
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from jaxscope._core.passes import control_flow, ref_indexing
from jaxscope.errors import StateError

R = TypeVar("R")


def discharged(function: Callable[..., R], *args: Any) -> R:
    """Return what a function returns, by operations that hold none of the Refs that it makes.

    Args:
        function: Called once, in a trace of its own. It may make Refs by `jax.new_ref`, and read and write
            them wherever JAX traces that: also inside `jax.jit`, `lax.scan`, `lax.cond` and others.
        args: Pytrees. Their arrays go in as tracers of that trace; all else goes in as it is, like
            everything that the function closes over.

    Returns:
        The function's result. Its tracers become values of the trace around, and all else is as returned.

    Raises:
        StateError: A Ref is used inside a transform that cannot take or return its value.

    Example:
        >>> def count(x):
        ...     total = jax.new_ref(jnp.zeros(()))
        ...
        ...     def add(_, x):
        ...         total[...] += x
        ...         return None, x
        ...
        ...     jax.lax.scan(add, None, x)
        ...     return total[...]
        >>> jax.grad(lambda x: discharged(count, x**2))(jnp.ones(3))
        Array([2., 2., 2.], dtype=float32)
    """
    leaves, tree = jax.tree.flatten(args)
    arrays = [leaf for leaf in leaves if _is_value(leaf)]
    found: list[Any] = []  # the tree of the result, then its leaves; None for a tracer, which must not leak

    def run(*values: Any) -> list[Any]:
        given = iter(values)
        filled = [next(given) if _is_value(leaf) else leaf for leaf in leaves]
        outs, out_tree = jax.tree.flatten(function(*jax.tree.unflatten(tree, filled)))
        found.append(out_tree)
        found.extend(None if isinstance(out, core.Tracer) else out for out in outs)
        return [out for out in outs if isinstance(out, core.Tracer)]

    closed = jax.make_jaxpr(run)(*arrays)
    values = jaxpr_as_fun(without_references(closed))(*arrays)
    out_tree, *outs = found
    # A result that is a literal of the jaxpr is evaluated to a number.
    traced = iter([value if isinstance(value, jax.Array) else jnp.asarray(value) for value in values])
    return cast(R, jax.tree.unflatten(out_tree, [next(traced) if out is None else out for out in outs]))


def without_references(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return a jaxpr that computes what another one does, without the Refs that this makes."""
    written: ClosedJaxpr = _Body(closed, (), {}).returning(())
    return written


def _is_value(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not isinstance(leaf, jax.Ref)


#: Equations that run one jaxpr on their operands: the parameter that holds it; and those that have an item
#: for each result, with the parameters from which a Ref's is taken. None: the results have a rule of their
#: own (their derivative), and there can be no more of them.
_CALLS: dict[str, tuple[str, dict[str, str] | None]] = {
    "jit": ("jaxpr", {"out_shardings": "in_shardings", "out_layouts": "in_layouts"}),
    "remat2": ("jaxpr", {}),
    "shard_map": ("jaxpr", {"out_specs": "in_specs"}),
    "custom_jvp_call": ("call_jaxpr", None),
    "custom_vjp_call": ("call_jaxpr", None),
}


class _Body:
    """A jaxpr, written again with the value of each Ref in its place; see `control_flow.Body`.

    Args:
        source: A jaxpr, closed or open.
        refs: The positions among its inputs of the Refs that become values.
        known: The bodies that were written before, so that what equations share stays shared.
    """

    def __init__(self, source: Any, refs: Sequence[int], known: "dict[Any, _Body]") -> None:
        self._source = source
        self._known = known
        self._jaxpr: Jaxpr = source.jaxpr if isinstance(source, ClosedJaxpr) else source
        self._atoms: dict[Any, Any] = {}  # what stands for a variable of the source
        self._held: dict[Any, Any] = {}  # what a Ref holds
        self._equations: list[JaxprEqn] = []
        self._returning: dict[tuple[int, ...], Any] = {}
        self.inputs: list[Any] = list(self._jaxpr.invars)
        for at in refs:
            self.inputs[at] = self.renewed(self._jaxpr.invars[at])
        for equation in self._jaxpr.eqns:
            self._add(equation)
        self.results = [self._atom(out) for out in self._jaxpr.outvars]
        self.values = {at: self._held[self._jaxpr.invars[at]] for at in refs}
        self.written = tuple(at for at in refs if self.values[at] is not self.inputs[at])

    # --- the new jaxpr -------------------------------------------------------------------------

    def arranged(
        self, inputs: Sequence[Any], results: Sequence[Any], equations: Sequence[JaxprEqn] | None = None
    ) -> Any:
        equations = self._equations if equations is None else equations
        # JAX 0.8 differentiates no while loop whose inputs have no names.
        debug_info = self._jaxpr.debug_info
        names = dict(zip(self.inputs, debug_info.arg_names or (), strict=False))
        debug_info = debug_info._replace(
            arg_names=tuple(names.get(var, "") for var in inputs), result_paths=None
        )
        jaxpr = self._jaxpr.replace(
            invars=list(inputs),
            outvars=list(results),
            eqns=list(equations),
            effects=_effects(equations, [*self._jaxpr.constvars, *inputs]),
            debug_info=debug_info,
        )
        return self._source.replace(jaxpr=jaxpr) if isinstance(self._source, ClosedJaxpr) else jaxpr

    def closed(self, results: Sequence[Any]) -> ClosedJaxpr:
        jaxpr = self.arranged(self.inputs, results)
        return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())

    def returning(self, written: tuple[int, ...]) -> Any:
        if written not in self._returning:  # the same object each time, which XLA then compiles once
            results = [*self.results, *(self.values[at] for at in written)]
            self._returning[written] = self.arranged(self.inputs, results)
        return self._returning[written]

    def needed(self, results: Iterable[Any], *, effects: bool) -> tuple[list[JaxprEqn], set[Any]]:
        """Return the equations that some results need, and the variables that these read.

        Args:
            results: Results of the new jaxpr, or what it writes.
            effects: Whether equations that have effects are needed, too.
        """
        read = {result for result in results if isinstance(result, Var)}
        kept: list[JaxprEqn] = []
        for equation in reversed(self._equations):
            if not read.isdisjoint(equation.outvars) or (effects and equation.effects):
                kept.append(equation)
                read.update(atom for atom in equation.invars if isinstance(atom, Var))
        return kept[::-1], read

    # --- its equations -------------------------------------------------------------------------

    def nested(self, source: Any, refs: Sequence[int]) -> "_Body":
        key = (id(source), *refs)
        if key not in self._known:
            self._known[key] = _Body(source, refs, self._known)
        return self._known[key]

    def renewed(self, ref: Any) -> Any:
        new = self._held[ref] = Var(ref.aval.inner_aval)
        return new

    def operands(self, equation: JaxprEqn) -> list[Any]:
        return [self._held[atom] if self._holds(atom) else self._atom(atom) for atom in equation.invars]

    def append(
        self, equation: JaxprEqn, operands: Sequence[Any], results: Sequence[Any], **params: Any
    ) -> None:
        effects = {effect for effect in _effects([equation], operands) if _about(effect) is not None}
        for value in params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, (ClosedJaxpr, Jaxpr)):
                    effects.update(effect for effect in inner.effects if _about(effect) is None)
        params = {**equation.params, **params}
        self._equations.append(
            equation.replace(invars=list(operands), outvars=list(results), params=params, effects=effects)
        )

    def traced(
        self, equation: JaxprEqn, function: Callable[..., Any], operands: Sequence[Any], refs: Sequence[Any]
    ) -> None:
        results = iter(self._trace(equation, function, *operands))
        for out in equation.outvars:
            self._atoms[out] = next(results)
        for ref in refs:
            self._held[ref] = next(results)

    def refuse(self, equation: JaxprEqn, why: str = "its value cannot go in or come out there") -> NoReturn:
        name = equation.primitive.name
        raise StateError(
            f"a variable that is set inside JAX's transforms is used in {name!r}, and {why}",
            code="write_in_transform",
            at=source_info_util.summarize(equation.source_info),
            fix=f"read the variable outside of {name!r}, and pass the value in;\n"
            "return the new value, and set the variable outside",
        )

    def _add(self, equation: JaxprEqn) -> None:
        name = equation.primitive.name
        refs = tuple(at for at, atom in enumerate(equation.invars) if self._holds(atom))
        makes = any(type(effect).__name__ == "InternalMutableArrayEffect" for effect in equation.effects)
        if name in _RULES and (refs or makes):
            _RULES[name](self, equation, refs)
        elif name in _CALLS and (refs or makes):
            self._call(equation, refs)
        elif refs:
            self.refuse(equation)
        else:
            self._copy(equation)

    def _copy(self, equation: JaxprEqn) -> None:
        operands = [self._atom(atom) for atom in equation.invars]
        same = all(new is old for new, old in zip(operands, equation.invars, strict=True))
        self._equations.append(equation if same else equation.replace(invars=operands))

    def _trace(self, equation: JaxprEqn, function: Callable[..., Any], *atoms: Any) -> list[Any]:
        """Write a function's equations in the place of one; return the atoms that are its results."""
        with equation.ctx.manager:
            closed = jax.make_jaxpr(function)(*(atom.aval for atom in atoms))
        self._atoms.update(zip(closed.jaxpr.invars, atoms, strict=True))
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            self._atoms[var] = Literal(value, var.aval)
        for inner in closed.jaxpr.eqns:
            self._copy(inner.replace(source_info=equation.source_info))
        return [self._atom(out) for out in closed.jaxpr.outvars]

    def _atom(self, atom: Any) -> Any:
        return atom if isinstance(atom, Literal) else self._atoms.get(atom, atom)

    def _holds(self, atom: Any) -> bool:
        return isinstance(atom, Var) and atom in self._held

    # --- those about a Ref ---------------------------------------------------------------------

    def _make(self, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
        self._held[equation.outvars[0]] = self._atom(equation.invars[0])

    def _make_empty(self, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
        (ref,) = equation.outvars
        aval = cast(Any, ref.aval).inner_aval
        (self._held[ref],) = self._trace(equation, lambda: jnp.zeros(aval.shape, aval.dtype))

    def _end(self, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
        if not refs:
            self._copy(equation)  # of a Ref from outside
            return
        for out in equation.outvars:
            self._atoms[out] = self._held[equation.invars[0]]

    def _access(self, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
        name, ref = equation.primitive.name, equation.invars[0]
        old, *rest = self.operands(equation)
        new, index = ([], rest) if name == "get" else (rest[:1], rest[1:])
        moving = [atom for atom in index if not isinstance(atom, Literal)]

        def views(values: Sequence[Any]) -> Any:
            given = iter(values)
            filled = [atom.val if isinstance(atom, Literal) else next(given) for atom in index]
            return jax.tree.unflatten(equation.params["tree"], filled)

        if refs != (0,) or not all(hasattr(view, "indices") for view in views(moving)):
            self.refuse(equation, "through a view that is no index")
        whole = not index and not views(())
        for out in equation.outvars:
            if whole:
                self._atoms[out] = old
            elif out in self._used:
                (self._atoms[out],) = self._trace(
                    equation, lambda value, *at: ref_indexing.read(value, views(at)), old, *moving
                )
        if whole and name == "swap":
            (self._held[ref],) = new
        elif name != "get":
            (self._held[ref],) = self._trace(
                equation,
                lambda value, new, *at: ref_indexing.write(value, new, views(at), add=name == "addupdate"),
                old,
                *new,
                *moving,
            )

    @cached_property
    def _used(self) -> set[Any]:
        """The variables of the source that something reads."""
        atoms = [atom for equation in self._jaxpr.eqns for atom in equation.invars]
        return {atom for atom in (*atoms, *self._jaxpr.outvars) if isinstance(atom, Var)}

    # --- those that run a jaxpr ----------------------------------------------------------------

    def _call(self, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
        parameter, lists = _CALLS[equation.primitive.name]
        inner, operands = self.nested(equation.params[parameter], refs), self.operands(equation)
        if lists is None and inner.written:
            self._call_and_write(equation, inner, operands)
            return
        params = {
            outs: (*equation.params[outs], *(equation.params[ins][at] for at in inner.written))
            for outs, ins in (lists or {}).items()
        }
        params[parameter] = inner.returning(inner.written)
        results = [*equation.outvars, *(self.renewed(equation.invars[at]) for at in inner.written)]
        self.append(equation, operands, results, **params)

    def _call_and_write(self, equation: JaxprEqn, inner: "_Body", operands: list[Any]) -> None:
        """Write an equation that cannot have more results, and beside it what its body writes.

        Its own rule stands for the derivative of its results; JAX never differentiates such a body. So what
        it writes has no derivative.
        """
        values = [inner.values[at] for at in inner.written]
        writes, read = inner.needed(values, effects=False)
        if any(one.effects for one in writes):
            self.refuse(equation, "what else happens there would happen twice")
        taken = [at for at, var in enumerate(inner.inputs) if var in read]
        written = inner.arranged([inner.inputs[at] for at in taken], values, writes)
        new = self._trace(
            equation,
            lambda *given: jaxpr_as_fun(written)(*map(lax.stop_gradient, given)),
            *(operands[at] for at in taken),
        )
        calls, read = inner.needed(inner.results, effects=True)
        for at in inner.written:
            if inner.inputs[at] not in read:  # else JAX may refuse it, as a differentiated value closed over
                (operands[at],) = self._trace(equation, lax.stop_gradient, operands[at])
        parameter, _ = _CALLS[equation.primitive.name]
        called = inner.arranged(inner.inputs, inner.results, calls)
        self.append(equation, operands, equation.outvars, **{parameter: called})
        for at, value in zip(inner.written, new, strict=True):
            self._held[equation.invars[at]] = value


_RULES: dict[str, Callable[[Any, JaxprEqn, tuple[int, ...]], None]] = {
    "new_ref": _Body._make,
    "empty_ref": _Body._make_empty,
    "freeze": _Body._end,
    "free_ref": _Body._end,
    "get": _Body._access,
    "swap": _Body._access,
    "addupdate": _Body._access,
    "cond": control_flow.branch,
    "scan": control_flow.scan,
    "while": control_flow.loop,
}


def _about(effect: Any) -> Any:
    """Return the input that an effect is about: a variable, in JAX 0.8 its position; None for others."""
    return getattr(effect, "input", getattr(effect, "input_index", None))


def _effects(equations: Sequence[JaxprEqn], inputs: Sequence[Any]) -> set[Any]:
    """Return the effects of equations, less those on Refs that are not among the inputs around them."""
    places: dict[Any, int] = {atom: at for at, atom in enumerate(inputs) if isinstance(atom, Var)}
    found: set[Any] = set()
    for equation in equations:
        for effect in cast("set[Any]", equation.effects):
            about = _about(effect)
            ref = equation.invars[about] if isinstance(about, int) else about
            if ref is None or ref in places:
                found.add(type(effect)(places[ref]) if isinstance(about, int) else effect)
    return found
