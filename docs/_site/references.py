"""What names and links lead to where Sphinx would not find it, and how examples end."""

import builtins
import importlib
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import find_pending_xref_condition

from .names import homes

#: The beginning of a link to Markdown outside of docs/.
_BEYOND = re.compile(r"\]\((?=(\.\./)+(jaxscope|examples|[A-Z]+\.md)[^)]*\.md\))")


def links_beyond(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Take Markdown outside of docs/, which pages link to, for files: no page of the site shows it."""
    source[0] = _BEYOND.sub("](path:", source[0])


def names_of_python(_app: Sphinx, doctree: nodes.document) -> None:
    """Let `bool` in a signature be Python's, and not a public name that ends so."""
    for node in [*doctree.findall(addnodes.pending_xref)]:
        if node.get("refdomain") == "py" and node["reftarget"] in vars(builtins):
            plain = find_pending_xref_condition(node, "*")  # one of two wordings, if there are two
            node.replace_self((plain or node).children)


def examples_end(_app: Sphinx, doctree: nodes.document) -> None:
    """Take off the empty line that ends an example of Python's prompt."""
    for node in doctree.findall(nodes.literal_block):
        text = node.astext().rstrip()
        node.rawsource, node.children = text, [nodes.Text(text)]


def names_elsewhere(app: Sphinx, env: BuildEnvironment, node: Any, text: nodes.Node) -> nodes.Node | None:
    """Resolve a type of a signature that exists, but is public under another name, or under none."""
    module, _, name = node.get("reftarget", "").rpartition(".")
    try:
        thing = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None
    home = homes().get(id(thing), "")
    entry = env.domains.python_domain.objects.get(home)
    if entry is None:
        return text
    uri = app.builder.get_relative_uri(node["refdoc"], entry.docname)
    return nodes.reference("", "", text, internal=True, refuri=f"{uri}#{entry.node_id}", reftitle=home)


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know."""
    app.connect("source-read", links_beyond)
    app.connect("doctree-read", names_of_python)
    app.connect("doctree-read", examples_end)
    app.connect("missing-reference", names_elsewhere)
    return {"parallel_read_safe": True}
