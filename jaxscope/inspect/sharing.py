"""sharing: every line that asks for a variable, and the scopes in which it does."""

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jaxscope as js
from jaxscope.inspect.leaves import type_text
from jaxscope.inspect.tables import Shown, Table, counted


class Request(NamedTuple):
    """One place that asks for a variable.

    Attributes:
        file: The path of the source file.
        line: The line in it, from 1.
        function: The function that the line is in.
        scope: The scope that was open, for layers of a block that of the block; "" for the root.
        times: How many times it asks.
        makes: Whether it is the one that makes the variable.
    """

    file: str
    line: int
    function: str
    scope: str
    times: int
    makes: bool

    @property
    def place(self) -> str:
        """The place in short: `train.py:12 in net`."""
        return f"{os.path.basename(self.file)}:{self.line} in {self.function}"


class Asked(NamedTuple):
    """A variable, and who asks for it.

    Attributes:
        name: Its full name.
        type: Element type and shape: `"float32[3,2]"`.
        trainable: Whether it is.
        requests: The places that ask for it, in order.
    """

    name: str
    type: str
    trainable: bool
    requests: tuple[Request, ...]

    @property
    def times(self) -> int:
        """How many times it is asked for."""
        return sum(request.times for request in self.requests)


class Sharing(Shown):
    """What `sharing` has found; shown, it is a table.

    Attributes:
        rows: One `Asked` for each variable, in order of making.
    """

    def __init__(self, rows: tuple[Asked, ...]) -> None:
        self.rows = rows

    @property
    def shared(self) -> tuple[Asked, ...]:
        """Those variables that are asked for more than once."""
        return tuple(row for row in self.rows if row.times > 1)

    def table(self) -> Table:
        """Return the table: a line for each place that asks."""
        lines: list[tuple[str, ...]] = []
        for row in self.rows:
            for at, request in enumerate(row.requests):
                above = not request.scope or row.name.startswith(f"{request.scope}/")
                scope = "" if above else f"in scope {request.scope!r}"
                frozen = "" if row.trainable or at else "not trainable"
                head = ("", "", "") if at else (row.name, row.type, f"{row.times}x" if row.times > 1 else "")
                times = f"{request.times} times" if request.times > 1 else ""
                notes = ", ".join(filter(None, [times, scope, frozen]))
                lines.append((*head, request.place, notes))
        shared = len(self.shared)
        title = f"{counted(len(self.rows), 'variable')}, {shared} shared"
        return Table(("name", "type", "", "asked for at", ""), lines, before=(title,))

    def to_json(self) -> str:
        """Return the rows as JSON."""
        rows = [
            {**row._asdict(), "requests": [request._asdict() for request in row.requests]}
            for row in self.rows
        ]
        return json.dumps({"rows": rows})


def sharing(net: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Sharing:
    """Return every line that asks for each variable of a net; nothing is computed.

    Args:
        net: A transformed function, or one that `js.transform` takes.
        *args: Its arguments, as of `net.spec`: arrays may be `jax.ShapeDtypeStruct`s.
        **kwargs: Likewise.

    Returns:
        A `Sharing`: `rows`, `shared`, `to_json()`; shown, it is a table. Of layers in a block
        (`js.scan_layers`, `js.jit`) each is told of as if it were alone.

    Raises:
        JaxscopeError: As of `net.spec`.

    Example:
        >>> def siamese(x, y):
        ...     with js.variable_scope("side", reuse=js.AUTO_REUSE):
        ...         return [a * js.get_variable("w", [2]) for a in (x, y)]
        >>> found = js.inspect.sharing(siamese, jnp.ones(2), jnp.ones(2))
        >>> [(row.name, row.times, row.requests[0].line) for row in found.shared]
        [('side/w', 2, 3)]
    """
    told: list[tuple[str, bool, Any, str, bool]] = []
    function = js.transform(net)

    @js.transform
    def observed(*args: Any, **kwargs: Any) -> Any:
        told.clear()  # a pass may begin again

        def listen(answer: Any) -> None:
            if answer.behind:
                scope = js.get_variable_scope().name
                told.append((answer.name, answer.made, answer.site, scope, answer.trainable))

        with js.observe(listen):
            return function(*args, **kwargs)

    specs = observed.spec(*args, **kwargs)
    requests: dict[str, dict[Any, list[bool]]] = {name: {} for name in specs}
    for name, made, site, scope, _ in told:
        place = (site.file, site.line, site.function, scope)
        requests.setdefault(name, {}).setdefault(place, []).append(bool(made))
    return Sharing(
        tuple(
            Asked(
                name,
                type_text(spec),
                spec.trainable,
                tuple(_request(place, made) for place, made in requests[name].items()),
            )
            for name, spec in specs.items()
        )
    )


def _request(place: tuple[str, int, str, str], made: list[bool]) -> Request:
    file, line, function, scope = place
    return Request(file, line, function, scope, len(made), any(made))
