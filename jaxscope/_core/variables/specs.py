"""Specs: all variables of a function, in order of making; from them come values, shardings and checks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import jax
from jax.core import Tracer
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from jaxscope._core.variables import stacks
from jaxscope._core.variables.joining import joined, layer_of
from jaxscope._core.variables.layered import start_of
from jaxscope._core.variables.merging import check_same_spec
from jaxscope._core.variables.partitioner import AnyMesh, on_mesh
from jaxscope._core.variables.patterns import matching, no_entry
from jaxscope._core.variables.sharding_errors import Misfits, axis_sizes
from jaxscope._core.variables.spec import FROM_INPUTS, VariableSpec
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import InitializerError, InvalidShapeError, MergeError, VariablesMismatchError

if TYPE_CHECKING:
    from jaxscope._core.variables.memory_plan import Plan

__all__ = ["FROM_INPUTS", "VariableSpec", "VariableSpecs"]

#: A regular expression that full names match at their start, or a predicate of a spec.
Pattern = str | Callable[[VariableSpec], bool]


class VariableSpecs(Mapping[str, VariableSpec]):
    """An immutable mapping of full names to `VariableSpec`s, in order of making.

    That is the order of TF1's collections, and the one to read a model in; that of `Variables` does not
    depend on it. Two sets are equal where they have the same specs, in whatever order.

    Args:
        specs: The specs, in the order to keep; each is kept under its own name.

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
        self._by_name = by_name

    def __getitem__(self, name: str) -> VariableSpec:
        try:
            return self._by_name[name]
        except KeyError:
            raise no_entry("spec", name, self) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __hash__(self) -> int:
        return hash(frozenset(self._by_name))

    def __reduce__(self) -> tuple[Any, ...]:
        return VariableSpecs, (tuple(self.values()),)

    @property
    def num_params(self) -> int:
        """The number of elements of all variables."""
        return sum(spec.size for spec in self.values())

    @property
    def nbytes(self) -> int:
        """The size of all variables, in bytes."""
        return sum(spec.nbytes for spec in self.values())

    def init(self, key: jax.Array, *, mesh: Any = None) -> Variables:
        """Return initial values, each of which depends on (key, full name, shape, dtype, initializer) alone.

        Args:
            key: A typed key (`jax.random.key(0)`) or a legacy one, of shape `()` or `(2,)`.
            mesh: The `jax.sharding.Mesh` whose axes the partitioners name: each part of a variable is made
                where it lives, and nowhere is there a whole. None for JAX's default device.

        Returns:
            One array for each spec. Any subset of the specs gives the same bits for its names.

        Raises:
            InitializerError: A value is computed from the function's inputs (use `net.init`), or an
                initializer returns another shape or dtype than asked.
            InvalidShapeError: As `shardings`; or the mesh has no devices (code `mesh`).
        """
        for spec in self.values():
            if spec.initializer is FROM_INPUTS:
                raise InitializerError(
                    f"the initial value of {spec.name!r} is computed from the function's inputs",
                    code="init_from_inputs",
                    first=spec.site,
                    fix="call net.init(key, *args) with real arguments, not spec(...).init(key)",
                )
        places = None if mesh is None else [*self._shardings(mesh)]
        if isinstance(mesh, AbstractMesh) and not isinstance(key, Tracer):
            raise InvalidShapeError(
                "values live on devices, and the mesh is an AbstractMesh, which has none",
                code="mesh",
                fix="pass a mesh of devices: jax.make_mesh(...); shardings(mesh) and plan(mesh) need none",
            )
        asked = [(spec.name, start_of(spec.initializer), spec.shape, spec.dtype) for spec in self.values()]
        from jaxscope._core.drawing.draw import draw  # which `import jaxscope` has no time for

        return self._variables(draw(key, asked, places))

    def _variables(self, values: Iterable[Any]) -> Variables:
        """Return one value for each spec as a pytree that fits the variables."""
        frozen = [name for name, spec in self.items() if not spec.trainable]
        return Variables(zip(self, values, strict=True), non_trainable=frozen)

    def select(self, pattern: Pattern) -> "VariableSpecs":
        """Return the specs that match.

        Args:
            pattern: A regular expression that must match at the start of the full name, or a
                predicate of a spec.

        Returns:
            The matching specs, in the same order; none where there are none, or where a predicate finds none.

        Raises:
            VariableNotFoundError: A regular expression matches no name (code `nothing_matches`).

        Example:
            >>> import numpy as np
            >>> specs = VariableSpecs([VariableSpec(n, (), np.dtype("float32")) for n in ("a/w", "b/w")])
            >>> list(specs.select("b/"))
            ['b/w']
        """
        return self._only(self._flags(pattern))

    def partition(self, pattern: Pattern) -> "tuple[VariableSpecs, VariableSpecs]":
        """Return the specs that match and those that do not.

        Args:
            pattern: As in `select`.

        Returns:
            `(matching, others)`, each in the same order.

        Raises:
            VariableNotFoundError: As in `select`.

        Example:
            >>> import numpy as np
            >>> specs = VariableSpecs([VariableSpec(n, (), np.dtype("float32")) for n in ("a/w", "b/w")])
            >>> a, others = specs.partition("a/")
            >>> list(a), list(others)
            (['a/w'], ['b/w'])
        """
        matches = self._flags(pattern)
        return self._only(matches), self._only([not match for match in matches])

    def _flags(self, pattern: Pattern) -> list[bool]:
        if isinstance(pattern, str):
            return matching(pattern, list(self))
        return [bool(pattern(spec)) for spec in self.values()]

    def _only(self, flags: Iterable[bool]) -> "VariableSpecs":
        return VariableSpecs(spec for spec, flag in zip(self.values(), flags, strict=True) if flag)

    def stack(self, pattern: str) -> "VariableSpecs":
        """Return these specs with those of numbered layers stacked, as `Variables.stack` does with values.

        Args:
            pattern: The name of the layers' scopes, with `{}` for the number: `"layer_{}"`.

        Returns:
            Specs whose `init`, `bind` and `shardings` give what those of the layers give, stacked: each layer
            still draws its initial value by its own name.

        Raises:
            MergeError: The layers are not numbered from 0 without gaps, or differ.

        Example:
            >>> import jaxscope as js
            >>> net = js.transform(js.scan_layers(lambda x: x * js.get_variable("w", [2]), 3))
            >>> net.spec(jnp.ones(2)).stack("layer_{}")
            VariableSpecs({
              layer_{}/w: float32[3,2] (24 B)
            })
        """
        made = stacks.stacked(self, pattern, lambda name: self[name].trainable, joined)
        return VariableSpecs(spec for _, _, spec in made)

    def unstack(self, pattern: str = "{}") -> "VariableSpecs":
        """Return these specs with those of stacks split into those of single layers; the inverse of `stack`.

        Args:
            pattern: What the names to split contain; all that have `{}` if left out.

        Raises:
            MergeError: A spec has no axis of layers, or a layer's name is taken.
        """
        made = stacks.unstacked(self, pattern, None, layer_of)
        return VariableSpecs(spec.replace(name=name) for name, _, spec in made)

    def shardings(self, mesh: AnyMesh) -> Variables:
        """Return a `NamedSharding` for each variable, as a pytree that fits the variables.

        Args:
            mesh: The mesh whose axes the partitioners name.

        Returns:
            `Variables` whose leaves are shardings: the `out_shardings` of a jitted init, say.

        Raises:
            InvalidShapeError: A partitioner gave no `PartitionSpec` (code `partitioner`); or variables cannot
                be split so (code `sharding`): the one error lists all that is wrong.
        """
        return self._variables(self._shardings(mesh))

    def _shardings(self, mesh: AnyMesh) -> Iterator[NamedSharding]:
        sizes, wrong = axis_sizes(mesh), Misfits()
        partitions = [spec.partition_spec() for spec in self.values()]
        for spec, partition in zip(self.values(), partitions, strict=True):
            wrong.check(spec.name, spec.shape, partition, sizes)
        wrong.throw(sizes)
        return (on_mesh(mesh, partition) for partition in partitions)

    def with_shardings(self, rules: Mapping[Any, Any]) -> "VariableSpecs":
        """Return these specs laid out by rules, which win over the partitioners of the model.

        Args:
            rules: Pattern -> partition. A pattern is a regular expression that full names match at their
                start, or a predicate of a spec; the first one that matches counts, and `...` stands for all
                that none matches (without it they keep what they have). A partition is what `partitioner=`
                takes: a `PartitionSpec`, a tuple of the names of axes, or a function of the request; None for
                a variable that stays whole.

        Returns:
            Specs whose `shardings`, `init` and `plan` follow the rules.

        Raises:
            InvalidShapeError: A pattern matches no name or is none, or a partition is none, has more axes
                than its variable, or an axis twice (code `sharding`); the one error lists all of them.

        Example:
            >>> from jax.sharding import PartitionSpec as P
            >>> import jaxscope as js
            >>> net = js.transform(lambda: (js.get_variable("w", [4, 8]), js.get_variable("b", [8])))
            >>> specs = net.spec().with_shardings({"w": P(None, "model"), ...: P()})
            >>> specs.shardings(jax.sharding.AbstractMesh((2,), ("model",)))["w"].spec == P(None, "model")
            True
        """
        from jaxscope._core.variables.sharding_rules import by_pattern

        return VariableSpecs(by_pattern(self, rules))

    def with_axes(self, rules: Mapping[str, Any]) -> "VariableSpecs":
        """Return these specs with axes of a mesh in the place of the logical ones that partitioners name.

        Args:
            rules: Logical axis -> axis of the mesh, a tuple of such, or None for one that is not split. Names
                that are no logical ones have to be among these axes of the mesh.

        Returns:
            Specs whose partitions name axes of the mesh alone.

        Raises:
            InvalidShapeError: A partition names an axis that has no rule, or would have one of the mesh twice
                (code `sharding`); the one error lists all of them.

        Example:
            >>> from jax.sharding import PartitionSpec as P
            >>> import jaxscope as js
            >>> net = js.transform(lambda: js.get_variable("w", [4, 8], partitioner=("embed", "mlp")))
            >>> specs = net.spec().with_axes({"embed": None, "mlp": "model"})
            >>> specs["w"].partition_spec() == P(None, "model")
            True
        """
        from jaxscope._core.variables.sharding_rules import by_axes

        return VariableSpecs(by_axes(self, rules))

    def plan(
        self,
        mesh: AnyMesh,
        *,
        optimizer: Any = None,
        batch: Any = None,
        batch_partition: PartitionSpec | None = None,
        large: int = 2**20,
    ) -> "Plan":
        """Return what each device of a mesh keeps in a training step, in bytes; no device is needed.

        Args:
            mesh: The mesh whose axes the partitions name: one of devices, or an `AbstractMesh` of any size.
            optimizer: What has `init(trainable variables) -> state`: any of optax's. Its state lives as the
                variables do; None for none.
            batch: Arrays or `jax.ShapeDtypeStruct`s, in any tree.
            batch_partition: How those of the batch are split whose own sharding does not say so.
            large: From how many bytes on a variable is told of that each device has whole.

        Returns:
            A plan: shown, it is a table by scope; `tabulate(depth)`, `to_json()` and its attributes give the
            rest. What cannot be split as it should is told there, and is no error.

        Raises:
            InvalidShapeError: A partitioner gave no `PartitionSpec`, or the mesh is none.
            TypeError: The optimizer has no `init`.

        Example:
            >>> import jaxscope as js
            >>> P = jax.sharding.PartitionSpec
            >>> net = js.transform(lambda: js.get_variable("mlp/w", [2048, 512], partitioner=P("data")))
            >>> print(net.spec().plan(jax.sharding.AbstractMesh((8,), ("data",))))
            8 devices (data 8), 1.0 MiB on each
            <BLANKLINE>
            scope           arrays  parameters  gradients  optimizer    total
            -----------------------------------------------------------------
            mlp                  1   512.0 KiB  512.0 KiB        0 B  1.0 MiB
            -----------------------------------------------------------------
            on each device       1   512.0 KiB  512.0 KiB        0 B  1.0 MiB
        """
        from jaxscope._core.variables.memory_planning import planned

        return planned(self, self.shape_dtypes().trainable, mesh, optimizer, batch, batch_partition, large)

    def shape_dtypes(self) -> Variables:
        """Return a `jax.ShapeDtypeStruct` for each variable, as a pytree that fits the variables."""
        return self._variables(jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in self.values())

    def bind(self, values: Mapping[str, Any]) -> Variables:
        """Return `values` as `Variables` of these specs, after checking all of them.

        Args:
            values: Full name -> array, or what becomes one: NumPy's, datasets in files, parameters of other
                libraries. Exactly the names of these specs; those of numbered layers alone, or stacked.

        Returns:
            `Variables` of `jax.Array`s, with the specs' distinction of trainable and non-trainable. What is
            given stacked stays so.

        Raises:
            VariablesMismatchError: Names are missing or extra, or values are of other shapes or dtypes, or no
                arrays; the one error lists all of them.

        Example:
            >>> import jax.numpy as jnp, jaxscope as js
            >>> specs = js.transform(lambda: js.get_variable("n", [], "int32", trainable=False)).spec()
            >>> list(specs.bind({"n": jnp.int32(4)}).non_trainable)
            ['n']
        """
        from jaxscope._core.variables.binding import bound

        if not isinstance(cast(object, values), Mapping):
            raise VariablesMismatchError(
                f"variables must be a mapping of full names to arrays, not {type(values).__name__}",
                fix="pass a dict such as {'dense/kernel': array}",
            )
        wanted: dict[str, VariableSpec] = {}
        for name, spec in self.items():
            stacked = "{}" in name and name not in values
            layers = VariableSpecs([spec]).unstack() if stacked else VariableSpecs()
            wanted |= layers if any(layer in values for layer in layers) else {name: spec}
        arrays, frozen = bound(wanted, values)
        return Variables(arrays, non_trainable=frozen)

    def __or__(self, other: "VariableSpecs") -> "VariableSpecs":
        """Merge two sets of specs: the left ones, then what the right ones add.

        A name in both must have one shape, dtype and trainability; all else is the right one's.

        Raises:
            MergeError: A name in both differs in one of these.
        """
        if not isinstance(cast(object, other), VariableSpecs):
            return NotImplemented
        for name in filter(other.__contains__, self):
            check_same_spec(self[name], other[name])
        return VariableSpecs({**self._by_name, **other._by_name}.values())

    def tabulate(self) -> str:
        """Return a table by scope: shapes, dtypes, counts in elements, sizes in bytes.

        Returns:
            Text, with a line for each scope and variable, in order of making.
        """
        from jaxscope._core.variables.tables import tabulate

        return tabulate((name, spec, spec.trainable) for name, spec in self.items())

    def __repr__(self) -> str:
        from jaxscope._core.variables.tables import listing

        return listing("VariableSpecs", list(self), self.__getitem__)

    def __str__(self) -> str:
        return self.tabulate()

    def _repr_html_(self) -> str:
        from jaxscope._core.variables.notebooks import html

        frozen = {name for name, spec in self.items() if not spec.trainable}
        return html("VariableSpecs", list(self), self.__getitem__, frozen)

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        from jaxscope._core.variables.notebooks import treescope

        return treescope(type(self), list(self), self.__getitem__, path, subtree_renderer)
