"""Every public name has an entry: `.. public:: jaxscope.layers` makes them, so no list is kept by hand."""

import functools
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .docstrings import rst, rst_lines
from .names import homes, modules, things
from .signatures import written

logger = logging.getLogger(__name__)


def kind(thing: Any) -> str:
    """Return what Sphinx calls such an object."""
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


def summary(thing: Any) -> str:
    """Return the first sentence about an object, where it has one of its own."""
    # js.layers has classes that are a class of layers with a function given.
    if isinstance(thing, functools.partial):
        return f"`{thing.args[0].__name__}` as an object, made with its arguments and called with its inputs."
    own = isinstance(thing, ModuleType) or kind(thing) != "data"
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split()) if own else ""


class Public(SphinxDirective):
    """A table of a module's public names, and an entry for each; with `:inner:`, of the modules in it."""

    required_arguments = 1
    option_spec: ClassVar = {"inner": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return the nodes of a module, or a section for each module in it."""
        module = importlib.import_module(self.arguments[0])
        if "inner" not in self.options:
            return self.parse_text_to_nodes("\n".join(self.entries(module)))
        return [self.section(inner) for inner in modules(module) if inner is not module]

    def section(self, module: ModuleType) -> nodes.section:
        """Return a module with a heading."""
        name = module.__name__
        section = nodes.section("", nodes.title(name, name), ids=[nodes.make_id(name)], names=[name])
        section += self.parse_text_to_nodes("\n".join(self.entries(module)))
        return section

    def entries(self, module: ModuleType) -> Iterator[str]:
        """Write a module in reStructuredText."""
        path = module.__name__
        yield from (f".. automodule:: {path}", "   :no-members:", "")
        yield from (".. list-table::", "   :widths: auto", "")
        for name, thing in things(module).items():
            yield from (f"   * - :py:obj:`~{path}.{name}`", f"     - {rst(summary(thing))}")
        for name, thing in things(module).items():
            full = f"{path}.{name}"
            home = homes().get(id(thing), full)
            if isinstance(thing, ModuleType):
                if thing.__name__ != full:  # tf.compat.v1 is tf
                    yield from ("", f".. py:module:: {full}", "", f"It is :py:mod:`{thing.__name__}`.")
            elif home != full:
                yield from ("", f".. py:{kind(thing)}:: {name}", f"   :module: {path}", "")
                yield f"   It is :py:obj:`{home}`."
            elif isinstance(thing, functools.partial):
                yield from (
                    "",
                    f".. py:class:: {name}(*args, name=None, **kwargs)",
                    f"   :module: {path}",
                    "",
                )
                yield f"   {rst(summary(thing))} See :py:obj:`{homes()[id(thing.args[0])]}`."
            elif inspect.isclass(thing) and thing.__name__ != name:  # autodoc would call it an alias
                heading = f"{name}{written(str(inspect.signature(thing)), thing)}"
                yield from ("", f".. py:class:: {heading}", f"   :module: {path}", "")
                lines = rst_lines((inspect.getdoc(thing) or "").splitlines())
                yield from (f"   {line}" for line in GoogleDocstring(lines, self.config).lines())
            else:
                yield from ("", f".. auto{kind(thing)}:: {full}")
                if kind(thing) == "data" and repr(thing).startswith("<"):  # it says nothing
                    yield "   :no-value:"


def check(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name that no page has."""
    entries = env.domains.python_domain.objects
    for module in modules():
        names = [module.__name__, *(f"{module.__name__}.{name}" for name in things(module))]
        missing = [name for name in names if name not in entries]
        if missing:
            logger.warning("public, and on no page: %s", ", ".join(missing))


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know."""
    app.add_directive("public", Public)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
