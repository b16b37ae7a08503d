"""Specs: what each variable is (shape, dtype, initializer, who made it and where), without a value."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxscope._core.base import names
from jaxscope._core.base.describe import describe, row, size
from jaxscope._core.base.immutable import Value
from jaxscope._core.base.sites import ResolvedSite, Site
from jaxscope._core.drawing import draw as drawing
from jaxscope._core.variables.tables import tabulate
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import InitializerError, InvalidShapeError, MergeError, VariablesMismatchError, near

#: A regular expression that full names match at their start, or a predicate of a spec.
Pattern = str | Callable[["VariableSpec"], bool]


class FromInputs:
    """Stands in a spec for an initial value that is computed from the function's arguments."""

    def __repr__(self) -> str:
        return "<computed from the inputs>"


FROM_INPUTS = FromInputs()


class VariableSpec(Value):
    """What one variable is, without a value; equal where values of one may stand for values of the other.

    Attributes:
        name: The full name.
        shape: Axis lengths, in elements.
        dtype: The element type, a NumPy dtype.
        trainable: Whether it belongs to what gradients are taken of.
        collections: The names of the collections it was put in.
        initializer: `(key, shape, dtype) -> array`, a constant array, or `FROM_INPUTS`.
        regularizer: A function of the value that returns a scalar loss, or None.
        constraint: A function that projects a new value, for optimizers to call, or None.
        sharding: A `PartitionSpec`, a function of (shape, dtype) that returns one, or None.
        site: The user's file and line that made it first.

    Example:
        >>> import numpy as np
        >>> VariableSpec("w", (2, 3), np.dtype("float32")).nbytes
        24
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    trainable: bool
    collections: tuple[str, ...]
    initializer: Any
    regularizer: Any
    constraint: Any
    sharding: Any
    site: Site | ResolvedSite | None

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: Any,
        trainable: bool = True,
        collections: tuple[str, ...] = (),
        initializer: Any = None,
        regularizer: Any = None,
        constraint: Any = None,
        sharding: Any = None,
        site: Site | ResolvedSite | None = None,
    ) -> None:
        vars(self).update(  # a fifth of the time that it takes to set one after the other
            name=name,
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            collections=collections,
            initializer=initializer,
            regularizer=regularizer,
            constraint=constraint,
            sharding=sharding,
            site=site,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a spec is immutable; use spec.replace({name}=...)")

    def replace(self, **changes: Any) -> "VariableSpec":
        """Return this spec with other attributes in the place of some.

        Args:
            **changes: New values, by the names of attributes.

        Raises:
            TypeError: There is no such attribute.

        Example:
            >>> import numpy as np
            >>> VariableSpec("w", (2, 3), np.dtype("float32")).replace(trainable=False).trainable
            False
        """
        return VariableSpec(**{**vars(self), **changes})

    def _compared(self) -> tuple[Any, ...]:
        return self.name, self.shape, self.dtype, self.trainable, self.collections

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of the value, in bytes."""
        return row(self.name, self, self.trainable).nbytes

    def partition_spec(self) -> PartitionSpec:
        """Return the variable's `PartitionSpec`; one that replicates it where none was given.

        Raises:
            InvalidShapeError: The partitioner gave something else than a `PartitionSpec`.
        """
        given = self.sharding
        if callable(given) and not isinstance(given, PartitionSpec):
            given = given(shape=self.shape, dtype=self.dtype)
        if given is None:
            return PartitionSpec()
        if not isinstance(given, PartitionSpec):
            raise InvalidShapeError(
                f"the partitioner of {self.name!r} gave {given!r}, which is no PartitionSpec",
                code="partitioner",
                first=self.site,
                fix="return jax.sharding.PartitionSpec('axis', None), say, from the partitioner",
            )
        return given


class VariableSpecs(Mapping[str, VariableSpec]):
    """An immutable mapping of full names to `VariableSpec`s, in canonical order.

    Args:
        specs: The specs, in any order; each is kept under its own name.

    Raises:
        MergeError: Two specs have one name.

    Example:
        >>> import numpy as np
        >>> specs = VariableSpecs([VariableSpec("w", (2, 3), np.dtype("float32"))])
        >>> specs.num_params
        6
    """

    __slots__ = ("_by_name",)

    def __init__(self, specs: Iterable[VariableSpec] = ()) -> None:
        by_name: dict[str, VariableSpec] = {}
        for spec in specs:
            if spec.name in by_name:
                raise MergeError(f"two specs are called {spec.name!r}", fix="keep one of them")
            by_name[spec.name] = spec
        self._by_name = {name: by_name[name] for name in sorted(by_name, key=names.order_key)}

    def __getitem__(self, name: str) -> VariableSpec:
        try:
            return self._by_name[name]
        except KeyError:
            close = near(str(name), self)
            raise KeyError(f"no spec {name!r}" + (f"; near names: {close}" if close else "")) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __hash__(self) -> int:
        return hash(tuple(self._by_name))

    @property
    def num_params(self) -> int:
        """The number of elements of all variables."""
        return sum(spec.size for spec in self.values())

    @property
    def nbytes(self) -> int:
        """The size of all variables, in bytes."""
        return sum(spec.nbytes for spec in self.values())

    def init(self, key: jax.Array) -> Variables:
        """Return initial values, each of which depends on (key, full name, shape, dtype, initializer) alone.

        Args:
            key: A typed key (`jax.random.key(0)`) or a legacy one, of shape `()` or `(2,)`.

        Returns:
            One array for each spec. Any subset of the specs gives the same bits for its names.

        Raises:
            InitializerError: A value is computed from the function's inputs (use `net.init`), or an
                initializer returns another shape or dtype than asked.
        """
        for spec in self.values():
            if spec.initializer is FROM_INPUTS:
                raise InitializerError(
                    f"the initial value of {spec.name!r} is computed from the function's inputs",
                    code="init_from_inputs",
                    first=spec.site,
                    fix="call net.init(key, *args) with real arguments, not spec(...).init(key)",
                )
        values = drawing.draw(
            key, [(spec.name, spec.initializer, spec.shape, spec.dtype) for spec in self.values()]
        )
        return Variables(zip(self, values, strict=True), non_trainable=self._non_trainable())

    def _non_trainable(self) -> list[str]:
        return [spec.name for spec in self.values() if not spec.trainable]

    def select(self, pattern: Pattern) -> "VariableSpecs":
        """Return the specs that match.

        Args:
            pattern: A regular expression that must match at the start of the full name, or a
                predicate of a spec.

        Returns:
            The matching specs; possibly none.

        Example:
            >>> import numpy as np
            >>> specs = VariableSpecs([VariableSpec(n, (), np.dtype("float32")) for n in ("a/w", "b/w")])
            >>> list(specs.select("b/"))
            ['b/w']
        """
        if isinstance(pattern, str):
            expression = re.compile(pattern)
            return VariableSpecs(spec for spec in self.values() if expression.match(spec.name))
        return VariableSpecs(spec for spec in self.values() if pattern(spec))

    def shardings(self, mesh: Mesh | jax.sharding.AbstractMesh) -> Variables:
        """Return a `NamedSharding` for each variable, as a pytree that fits the variables.

        Args:
            mesh: The mesh whose axes the partitioners name.

        Returns:
            `Variables` whose leaves are shardings: the `out_shardings` of a jitted init, say.

        Raises:
            InvalidShapeError: A partitioner gave something else than a `PartitionSpec`.
        """
        return Variables(
            {spec.name: NamedSharding(mesh, spec.partition_spec()) for spec in self.values()},
            non_trainable=self._non_trainable(),
        )

    def shape_dtypes(self) -> Variables:
        """Return a `jax.ShapeDtypeStruct` for each variable, as a pytree that fits the variables."""
        return Variables(
            {spec.name: jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in self.values()},
            non_trainable=self._non_trainable(),
        )

    def bind(self, values: Mapping[str, Any]) -> Variables:
        """Return `values` as `Variables` of these specs, after checking all of them.

        Args:
            values: Full name -> array; exactly the names of these specs.

        Returns:
            `Variables`, with the specs' distinction of trainable and non-trainable.

        Raises:
            VariablesMismatchError: Names are missing or extra, or shapes or dtypes differ; the one
                error lists all of them.

        Example:
            >>> import jax.numpy as jnp, jaxscope as js
            >>> specs = js.transform(lambda: js.get_variable("n", [], "int32", trainable=False)).spec()
            >>> list(specs.bind({"n": jnp.int32(4)}).non_trainable)
            ['n']
        """
        if not isinstance(cast(object, values), Mapping):
            raise VariablesMismatchError(
                f"variables must be a mapping of full names to arrays, not {type(values).__name__}",
                fix="pass a dict such as {'dense/kernel': array}",
            )
        missing = [f"{name} {describe(spec)}" for name, spec in self.items() if name not in values]
        extra = [f"{name} {describe(values[name])}" for name in values if name not in self]
        misshapen: list[str] = []
        mistyped: list[str] = []
        for name, spec in self.items():
            if name not in values:
                continue
            given = values[name]
            if getattr(given, "shape", None) != spec.shape:
                misshapen.append(f"{name} {describe(given)}, not {describe(spec)}")
            elif given.dtype != spec.dtype:
                mistyped.append(f"{name} {describe(given)}, not {describe(spec)}")
        if missing or extra or misshapen or mistyped:
            raise VariablesMismatchError(
                f"the given variables do not match the {len(self)} specs",
                missing="\n".join(missing),
                extra="\n".join(extra),
                shape="\n".join(misshapen),
                dtype="\n".join(mistyped),
                fix="rename or convert the given values, or select the specs that they are for",
            )
        return Variables({name: values[name] for name in self}, non_trainable=self._non_trainable())

    def __or__(self, other: "VariableSpecs") -> "VariableSpecs":
        """Merge two sets of specs; a name in both must have one shape, dtype and trainability.

        Raises:
            MergeError: A name in both differs in one of these.
        """
        if not isinstance(cast(object, other), VariableSpecs):
            return NotImplemented
        for name in self.keys() & other.keys():
            one, two = self[name], other[name]
            if (one.shape, one.dtype, one.trainable) != (two.shape, two.dtype, two.trainable):
                raise MergeError(
                    f"variable {name!r} has two specs that differ",
                    left=f"{describe(one)} {one.site or ''}".strip(),
                    right=f"{describe(two)} {two.site or ''}".strip(),
                    fix="rename one of them, or make both with one shape, dtype and trainable",
                )
        return VariableSpecs({**self._by_name, **other._by_name}.values())

    def tabulate(self) -> str:
        """Return a table by scope: shapes, dtypes, counts in elements, sizes in bytes.

        Returns:
            Text, drawn by rich where it is installed (`pip install jaxscope[rich]`).
        """
        return tabulate(row(name, spec, spec.trainable) for name, spec in self.items())

    def __repr__(self) -> str:
        rows = [f"  {name}: {describe(spec)} {size(spec)}" for name, spec in self.items()]
        return "\n".join(["VariableSpecs({", *rows, "})"]) if rows else "VariableSpecs({})"

    def __str__(self) -> str:
        return self.tabulate()
