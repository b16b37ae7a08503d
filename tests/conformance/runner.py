"""Runs programs on jaxscope: as a recording (`spec`, `init`) and as a replay (`apply`)."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

import jaxscope as js
from tests.conformance.corpus import STANDARD, Node, own_collections
from tests.conformance.interpreter import Run
from tests.conformance.objects import Given, Identity, UserError
from tests.conformance.outcomes import kept, observed


def _raises(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
    raise UserError


class Library:
    """What `interpreter.Run` asks of an implementation, given by jaxscope."""

    def __getattr__(self, name: str) -> Any:
        return getattr(js, name)

    @staticmethod
    def initializer(spec: Any) -> Any:
        simple = {
            "zeros": js.initializers.zeros(),
            "ones": js.initializers.ones(),
            "glorot": js.initializers.glorot_uniform(),
            "zeros_class": js.initializers.zeros,
            "needs_arg": lambda x: x,
            "raises": _raises,
        }
        if isinstance(spec, str):
            return simple[spec]
        dtype = spec.get("dtype", "float32")
        match next(iter(spec.items())):
            case "const", value:
                return js.initializers.constant(value)
            case "value", value:
                return np.array(value, dtype)
            case (("py" | "str"), value):
                return value
            case "fn0", value:
                return lambda: np.array(value, dtype)
            case "wrong_shape", wrong:
                return lambda key, shape, dtype: jnp.zeros(wrong, dtype)
            case "wrong_dtype", wrong:
                return lambda key, shape, dtype: jnp.zeros(shape, wrong)
        raise ValueError(spec)

    @staticmethod
    def describe(error: Exception) -> tuple[str, str]:
        if isinstance(error, js.errors.JaxscopeError):
            return error.category, error.code
        return "crash", f"{type(error).__name__}: {error}"

    @staticmethod
    def loss(variable: Any, number: int) -> Any:
        return jnp.sum(variable) * 0 + number

    @staticmethod
    def loss_number(loss: Any) -> int | None:
        return None if isinstance(loss, jax.core.Tracer) else int(loss.real)

    @staticmethod
    def partitioner(spec: Any) -> Any:
        axes = [None] * spec["axis"] + ["x"]
        return lambda shape, dtype: PartitionSpec(*axes)

    @staticmethod
    def dtype_name(dtype: Any) -> str:
        return np.dtype(dtype).name


class Searched(Run):
    """A run that at its end searches collections for the names in `wanted`."""

    wanted: tuple[str, ...] = ()
    found: dict[str, set[Any]]  # full name -> indices of the variables that have it

    def look(self) -> dict[str, Any]:
        index, keys = self.identity.index, (*STANDARD, *own_collections(self.program))

        def search(name: str) -> set[Any]:
            return {index(v) for key in keys for v in js.get_collection(key, f"{re.escape(name)}$")}

        self.found = {name: search(name) for name in self.wanted}
        return super().look()


def _transformed(
    program: list[Node], identify: Callable[[], Identity | Given], wanted: tuple[str, ...] = ()
) -> tuple[Any, list[Searched]]:
    """The program as a transformed function, and the list that its latest run is put into."""
    runs: list[Searched] = []

    def fun() -> None:
        # A pass may be begun anew: only its latest run counts.
        runs[:] = [Searched(Library(), program, identify())]
        runs[0].wanted = wanted
        runs[0]()

    return js.transform(fun), runs


def _attempt(call: Callable[[], Any], runs: list[Searched]) -> tuple[Any, dict[str, str] | None]:
    """The result of a pass and the error that came out of it."""
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001 whatever comes out is compared
        return None, dict(zip(("category", "code"), runs[0].describe(error), strict=True))


def record(program: list[Node], expected: dict[str, Any], *, values: bool = True) -> dict[str, Any]:
    """The outcome of a program by jaxscope, with or without a look at the initial values.

    `expected` tells the names that are looked up at its end.
    """
    names = [v["name"] for v in expected["vars"]]
    net, runs = _transformed(program, Identity, tuple(dict.fromkeys(names)))
    with jax.enable_x64(True):
        specs, error = _attempt(net.spec, runs)
        run = runs[0]
        variables, init_error = None, error
        if values:
            variables, init_error = _attempt(lambda: net.init(jax.random.key(0)), runs)
        run.final["reg_losses"] = _losses(run, expected)
        seen = observed(run, names)
        seen["vars"] = [
            _variable(i, row, run, specs, variables) if i < len(run.identity) else "not made"
            for i, row in enumerate(expected["vars"])
        ]
        seen["vars"] += [f"one more: {v}" for v in run.identity.seen[len(names) :]]  # type: ignore[union-attr]
    for where, other in (("spec", error), ("init", init_error)):
        if other != seen.get("error"):
            seen["error"] = f"{seen.get('error')} inside, {other} out of {where}"
    if specs is not None and (extra := set(specs) ^ set(kept(expected))):
        seen["final"] = {**seen["final"], "specs differ": sorted(extra)}
    return seen


def _losses(run: Searched, expected: dict[str, Any]) -> list[Any]:
    """The losses of a recording: they have no values, so they are the calls for what is there in the end."""
    rows = expected["vars"]
    undone = {i for i, row in enumerate(rows) if row.get("undone")}
    calls = [call for call in run.losses if call[0] is not None and call[0] not in undone]
    count = len(run.final["reg_losses"])
    return calls if len(calls) == count else [*calls, f"{count} losses"]


def _variable(i: int, row: dict[str, Any], run: Searched, specs: Any, variables: Any) -> dict[str, Any]:
    """What there is to see of variable `i`; where nothing can be seen, what is expected."""
    name, array = row["name"], run.identity.seen[i]  # type: ignore[union-attr]
    seen = {**row, "shape": list(array.shape), "dtype": array.dtype.name}
    found = run.found[name]
    listed = any(i in members for members in _members(run.final))
    if not row.get("undone") and listed != (i in found):
        seen["name"] = f"{name}, which is the name of {sorted(found)}"
    if row.get("undone") or specs is None or name not in specs:
        return seen
    spec = specs[name]
    seen |= {"shape": list(spec.shape), "dtype": np.dtype(spec.dtype).name}
    if spec.name != name:
        seen["name"] = f"{name}, whose spec has the name {spec.name}"
    seen.pop("trainable", None)
    if not spec.trainable:
        seen["trainable"] = False
    seen.pop("constraint", None)
    if spec.constraint is not None:
        seen["constraint"] = run.tag("constraint", spec.constraint)
    if variables is not None:
        seen["init"] = _initial(np.asarray(variables[name]), row["init"])
    return seen


def _members(final: dict[str, Any]) -> list[list[int]]:
    return [final["global"], final["trainable"], final["local"], *final.get("collections", {}).values()]


def _initial(value: np.ndarray, expected: dict[str, Any]) -> dict[str, Any]:
    """The value in the way that `expected` describes one."""
    if "empty" in expected:
        return {"empty": True} if value.size == 0 else {"values": value.ravel().tolist()}
    if limit := expected.get("uniform"):
        # `limit` is rounded to three digits; that values spread is tested with the initializers.
        within = np.all(np.abs(value) <= limit * 1.005)
        spread = value.size == 1 or len(np.unique(value)) > 1
        return expected if within and spread else {"values": value.ravel().tolist()}
    flat = value.ravel().tolist()
    return {"fill": flat[0]} if "fill" in expected and len(set(flat)) == 1 else {"values": flat}


def replay(program: list[Node], outcome: dict[str, Any]) -> dict[str, Any]:
    """What a replay of the program comes to by jaxscope, given the variables of `outcome`."""
    # As it is written: neither explored nor staged, so that what the program gets are the given objects.
    with jax.enable_x64(True), jax.disable_jit():
        names = kept(outcome)
        rows = outcome["vars"]
        given = {name: jnp.zeros(rows[i]["shape"], rows[i]["dtype"]) for name, i in names.items()}
        net, runs = _transformed(program, lambda: Given([(given[name], i) for name, i in names.items()]))
        _, error = _attempt(lambda: net.apply(given), runs)
        seen = observed(runs[0], [row["name"] for row in rows])
    if error != seen.get("error"):
        seen["error"] = f"{seen.get('error')} inside, {error} out of apply"
    return seen
