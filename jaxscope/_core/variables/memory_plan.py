"""Plans: what a training step keeps on each device of a mesh, in bytes, before there is a device."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jax.sharding import PartitionSpec

from jaxscope._core.base.describe import human_bytes
from jaxscope._core.base.immutable import Value
from jaxscope._core.drawing.axes import entries_of
from jaxscope._core.variables.sharding_errors import mesh_text

#: The columns of bytes.
KINDS = ("parameters", "gradients", "optimizer")


class PlannedVariable(NamedTuple):
    """What one variable takes on each device.

    Attributes:
        name: The full name.
        shape: Axis lengths, in elements.
        dtype: The element type.
        partition: What splits each axis.
        copies: How many devices have the same part.
        parameters: Bytes of its part.
        gradients: Bytes of the gradient's; 0 of what is not trainable.
        optimizer: Bytes of the optimizer's state that belongs to it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    partition: PartitionSpec
    copies: int
    parameters: int
    gradients: int
    optimizer: int


class PlannedArray(NamedTuple):
    """What one array of a batch, or of optimizer state that belongs to no variable, takes on each device."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    partition: PartitionSpec
    copies: int
    nbytes: int


class Plan(Value):
    """The bytes of variables, gradients, optimizer state and batch on each device of a mesh.

    Attributes:
        mesh: The mesh's axes, with their sizes in devices.
        variables: What each variable takes, in order of making.
        others: The arrays of the optimizer's state that belong to no variable.
        batch: The arrays of the batch.
        problems: `(full name, words)` of each variable that cannot be split as it is to be; here it is
            counted as whole on each device, with its gradients and its part of the optimizer's state.
        whole: The full names of large variables that each device has whole.

    Example:
        >>> import jaxscope as js
        >>> P = jax.sharding.PartitionSpec
        >>> net = js.transform(lambda: js.get_variable("w", [1024, 256], partitioner=P("data")))
        >>> plan = net.spec().plan(jax.sharding.AbstractMesh((8,), ("data",)))
        >>> plan.parameters, plan.gradients, plan.total
        (131072, 131072, 262144)
    """

    def __init__(
        self,
        mesh: Mapping[str, int],
        variables: tuple[PlannedVariable, ...],
        others: tuple[PlannedArray, ...],
        batch: tuple[PlannedArray, ...],
        problems: tuple[tuple[str, str], ...],
        whole: tuple[str, ...],
    ) -> None:
        self.mesh = dict(mesh)
        self.variables = variables
        self.others = others
        self.batch = batch
        self.problems = problems
        self.whole = whole

    def _compared(self) -> tuple[Any, ...]:
        return tuple({**vars(self), "mesh": tuple(self.mesh.items())}.values())

    @property
    def devices(self) -> int:
        """The number of devices."""
        return math.prod(self.mesh.values())

    @property
    def parameters(self) -> int:
        """Bytes of all variables on a device."""
        return sum(row.parameters for row in self.variables)

    @property
    def gradients(self) -> int:
        """Bytes of all gradients on a device."""
        return sum(row.gradients for row in self.variables)

    @property
    def optimizer(self) -> int:
        """Bytes of the optimizer's state on a device."""
        return sum(row.optimizer for row in self.variables) + sum(row.nbytes for row in self.others)

    @property
    def total(self) -> int:
        """Bytes of all that is planned on a device; what a step computes in between comes on top."""
        return self.parameters + self.gradients + self.optimizer + sum(row.nbytes for row in self.batch)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dicts: what `to_json` writes."""
        return {
            "mesh": self.mesh,
            "devices": self.devices,
            "bytes_per_device": {
                **{kind: getattr(self, kind) for kind in KINDS},
                "batch": sum(row.nbytes for row in self.batch),
                "total": self.total,
            },
            "variables": [_as_dict(row) for row in self.variables],
            "others": [_as_dict(row) for row in self.others],
            "batch": [_as_dict(row) for row in self.batch],
            "problems": [{"name": name, "problem": words} for name, words in self.problems],
            "whole": list(self.whole),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return everything as JSON.

        Args:
            indent: As of `json.dumps`.
        """
        return json.dumps(self.as_dict(), indent=indent)

    def tabulate(self, depth: int | None = 2) -> str:
        """Return a table by scope, of bytes on each device.

        Args:
            depth: How many parts of the full names to tell apart; None for all, so for each variable.

        Returns:
            Text, with a line for each scope in order of making. Scopes that differ in numbers alone share
            a line: `layer_{}/mlp` stands for that of all layers.
        """
        groups: dict[str, list[PlannedVariable]] = {}
        for row in self.variables:
            groups.setdefault(_scope(row.name, depth), []).append(row)
        lines = [
            _line(scope, [sum(getattr(row, kind) for row in rows) for kind in KINDS], len(rows))
            for scope, rows in groups.items()
        ]
        if self.others:
            rest = sum(row.nbytes for row in self.others)
            lines.append(_line("(of no variable)", [None, None, rest], len(self.others)))
        lines += [_line(f"batch{row.name}", [None, None, None, row.nbytes], 1) for row in self.batch]
        columns = [*(getattr(self, kind) for kind in KINDS), self.total]
        total = _line("on each device", columns, len(self.variables) + len(self.others) + len(self.batch))
        return _drawn(("scope", "arrays", *KINDS, "total"), lines, total)

    def __str__(self) -> str:
        parts = [
            f"{self.devices:,} devices ({mesh_text(self.mesh)}), {human_bytes(self.total)} on each\n",
            self.tabulate(),
        ]
        if self.problems:
            parts += ["", "cannot be split so:", *_first(f"{name}: {words}" for name, words in self.problems)]
        if self.whole:
            sizes = {row.name: row.parameters for row in self.variables}
            alike: dict[tuple[str, int], int] = {}
            for name in self.whole:
                line = _scope(name, None), sizes[name]
                alike[line] = alike.get(line, 0) + 1
            parts += ["", "whole on each device, though large:"]
            parts += _first(
                f"{name}: {human_bytes(size)}" + (f", {count} times" if count > 1 else "")
                for (name, size), count in alike.items()
            )
        return "\n".join(parts)

    __repr__ = __str__


def _as_dict(row: Any) -> dict[str, Any]:
    return {
        **row._asdict(),
        "shape": list(row.shape),
        "partition": [
            list(entry) if isinstance(entry, tuple) else entry for entry in entries_of(row.partition)
        ],
    }


def _line(scope: str, sizes: list[int | None], count: int) -> tuple[str, ...]:
    """Return the cells of a line; a total that is not given is the sum."""
    if len(sizes) == len(KINDS):
        sizes = [*sizes, sum(size or 0 for size in sizes)]
    return (scope, str(count), *("" if size is None else human_bytes(size) for size in sizes))


def _scope(name: str, depth: int | None) -> str:
    """Return the scope at a depth of a full name, with `{}` for its numbers."""
    parts = name.split("/")
    kept = parts if depth is None else parts[: max(1, min(depth, len(parts) - 1))]
    return "/".join(map(_unnumbered, kept))


def _unnumbered(word: str) -> str:
    stem = word.rstrip("0123456789")
    return f"{stem}{{}}" if stem != word else word


_MOST = 30


def _first(lines: Iterable[str]) -> list[str]:
    told = list(lines)
    left_out = [f"  ... and {len(told) - _MOST} more"] if len(told) > _MOST else []
    return [f"  {line}" for line in told[:_MOST]] + left_out


def _drawn(head: tuple[str, ...], lines: list[tuple[str, ...]], total: tuple[str, ...]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *lines, total, strict=True)]
    rows = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *lines, total)
    ]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join([rows[0], rule, *rows[1:-1], rule, rows[-1]])
