"""name_scope: a prefix for the names of js.Variable."""

import contextlib
from collections.abc import Generator

import jax

from jaxscope._core.base import names
from jaxscope._core.base.sites import here
from jaxscope._core.passes.base_pass import current


@contextlib.contextmanager
def name_scope(name: str | None) -> Generator[str]:
    """Open a name scope: a prefix for the names of `js.Variable`, which `get_variable` ignores.

    Args:
        name: The own name; with a `/` at its end, the full path of a name scope to open again; None
            or `""` for the empty path.

    Yields:
        The path, with a `/` at its end (TF1's form), or `""`.

    Raises:
        InvalidNameError: The name is no string or has characters that names may not have.
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.name_scope`.

    Example:
        >>> import jaxscope as js
        >>> @js.transform
        ... def net():
        ...     with js.name_scope("train"):
        ...         return js.Variable(0, name="step")
        >>> list(net.spec())
        ['train/step']
    """
    run = current("name_scope")
    run.absolute("js.name_scope")
    run.count_names()
    scopes = run.scopes.names
    before = scopes.path
    if name is None or name == "":
        path = ""
    else:
        names.check_string(name, "name scope", here())
        again = name.endswith("/")
        own = name[:-1] if again else name
        first = again or not before
        if not names.is_valid(own, first):
            raise names.invalid(name, "name scope", here(), first=first)
        path = own if again else scopes.ask(before, own, run.books.entries)
    scopes.path = path
    run.books.changed()
    try:
        with jax.named_scope(path) if path else contextlib.nullcontext():
            yield path + "/" if path else ""
    finally:
        scopes.path = before
        run.books.changed()
