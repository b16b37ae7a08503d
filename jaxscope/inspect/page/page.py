"""page: what is in a file, a net or variables, to look at in a browser; or two of them compared."""

import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jaxscope as js
from jaxscope.inspect.diff import of_leaves
from jaxscope.inspect.leaves import Named, leaves
from jaxscope.inspect.page import contents
from jaxscope.inspect.page.html import document
from jaxscope.inspect.renames import Rename, renamed
from jaxscope.inspect.sharing import Sharing
from jaxscope.inspect.tables import counted, human_bytes
from jaxscope.writing import write_bytes, written_anew


class Page:
    """A page: one HTML file that needs no network; it shows itself in notebooks.

    Attributes:
        title: Its title.
        html: All of it.
    """

    def __init__(self, title: str, html: str, count: int) -> None:
        self.title = title
        self.html = html
        self._count = count

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is there when all of it is written, and until then what was there before.

        Args:
            path: The file's name; by custom it ends in `.html`.

        Raises:
            OSError: It cannot be written.
        """
        path = os.path.realpath(path)
        folder = os.path.dirname(path)
        if not os.path.isdir(folder) or os.path.isdir(path):
            raise OSError(
                f"{path!r} is a folder" if os.path.isdir(path) else f"there is no folder {folder!r}"
            )
        with written_anew(path) as file:
            write_bytes(file, self.html.encode())

    def __repr__(self) -> str:
        size = human_bytes(len(self.html.encode()))
        return f"<Page {self.title!r}: {counted(self._count, 'variable')}, {size}>"

    def _repr_html_(self) -> str:
        # A frame of its own, which may run scripts and else nothing: not reach the notebook, say.
        return (
            f'<iframe title="{html.escape(self.title)}" sandbox="allow-scripts allow-modals" '
            'style="width:100%;height:720px;border:0" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def page(
    thing: Named,
    other: Named = None,
    *,
    title: str | None = None,
    labels: Sequence[str] = (),
    specs: Mapping[str, js.VariableSpec] | None = None,
    sharing: Sharing | None = None,
    rename: Rename = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    values: bool = True,
) -> Page:
    """Return a page about variables: a map of scopes by size, each variable, who shares what, what differs.

    Args:
        thing: Variables, specs, gradients, a tree of arrays, what `js.checkpoint` has opened, a file's path.
        other: Likewise, with which it is compared, as by `diff`: `thing` is its `a`, `other` its `b`.
        title: The page's title; where none is given, the labels.
        labels: What to call `thing`, and `other`; where none are given, the files' names.
        specs: Specs (`net.spec(x)`) that know more of the variables: initializers, and the lines that made
            them. Those of `thing`, or of `other`, need not be given again.
        sharing: What `js.inspect.sharing` has found: every line that asks for each variable.
        rename: As of `diff`.
        rtol: As of `diff`.
        atol: As of `diff`.
        values: Whether to look at values: statistics, histograms, and differences.

    Returns:
        A `Page`: `save(path)`, `html`; a notebook shows it.

    Raises:
        VariablesMismatchError: As of `diff`; or `specs`, or `sharing`, know none of the variables.
        ValueError: A tolerance is negative; `rename`, `rtol` or `atol` are given, and no `other`; or labels
            are not one for each thing.
        CheckpointError: A file is damaged, or of no known format.
        FileNotFoundError: There is none.

    Example:
        >>> import os, tempfile
        >>> net = js.transform(lambda x: js.layers.dense(x, 4))
        >>> variables, x = net.init(jax.random.key(0), jnp.ones([2, 3])), jnp.ones([2, 3])
        >>> found = js.inspect.page(variables, specs=net.spec(x), sharing=js.inspect.sharing(net, x))
        >>> found
        <Page 'Variables': 2 variables, ... KiB>
        >>> found.save(os.path.join(tempfile.mkdtemp(), "net.html"))
    """
    if other is None and (rename is not None or rtol or atol):
        raise ValueError("rename, rtol and atol are about two sets of variables, and there is no other")
    if labels and len(labels) != (1 if other is None else 2):
        raise ValueError(f"labels are one for each thing, not {list(labels)}")
    here = leaves(thing)
    old: dict[str, str] = {}
    labels = labels or [_called(one) for one in (thing, other) if one is not None]
    title = title or " and ".join(labels)
    if other is None:
        names = [leaf.name for leaf in here]
        shown = contents.alone(here, values=values)
    else:
        there = leaves(other)
        new = renamed([leaf.name for leaf in here], rename)
        found = of_leaves(here, there, new, rtol, atol, values=values)
        old = {name: before for before, name in new.items()}
        names = [*(leaf.name for leaf in there), *found.only_a]
        shown = contents.compared(names, here, there, new, found, values=values)
    known = specs if specs is not None else _specs_of(thing, other)
    if known:
        shown |= contents.of_specs(_names_in(known, names, old, "specs"), known)
    if sharing is not None:
        rows = {row.name: row for row in sharing.rows}
        shown["sharing"] = contents.of_sharing(_names_in(rows, names, old, "sharing"), rows)
    shown |= {"title": title, "labels": list(labels), "values": values}
    return Page(title, document(shown), len(names))


def _names_in(known: Mapping[str, Any], names: Sequence[str], old: Mapping[str, str], what: str) -> list[str]:
    """Return what variables are called in what was given along: as they are, or as before a rename."""
    found = [name if name in known else old.get(name, name) for name in names]
    if known and names and not any(name in known for name in found):
        raise js.errors.VariablesMismatchError(
            f"{what} knows none of these variables",
            fix=f"give {what} of the same net; its first name is {next(iter(known))!r}",
        )
    return found


def _specs_of(thing: Named, other: Named) -> Mapping[str, js.VariableSpec] | None:
    return next((one for one in (other, thing) if isinstance(one, js.VariableSpecs)), None)


def _called(named: Named) -> str:
    path = named if isinstance(named, str | os.PathLike) else getattr(named, "path", None)
    if isinstance(path, str | os.PathLike):
        return os.path.basename(os.path.normpath(os.fspath(path)))
    return type(named).__name__
