"""Docstrings as reStructuredText: their code is in single backticks, and no other sign means anything."""

from typing import Any

from sphinx.application import Sphinx

_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\*|_"})


def rst(text: str) -> str:
    """Return a paragraph of a docstring as reStructuredText."""
    parts = text.split("`")
    plain = [part.translate(_ESCAPED) for part in parts[::2]]
    code = [f"\\ ``{part}``\\ " for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))


def rst_lines(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText; examples stay as they are."""
    found = list[str]()
    for paragraph in "\n".join(lines).split("\n\n"):
        text, sign, example = paragraph.partition(">>> ")
        found += [*(rst(text) + sign + example).split("\n"), ""]
    return found


def on_docstring(_app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Change what autodoc has found."""
    lines[:] = rst_lines(lines)


def on_member(_app: Sphinx, _what: str, _name: str, thing: Any, _skip: object, _options: Any) -> bool | None:
    """Leave out a named tuple's fields: they have no docstrings of their own."""
    return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know."""
    app.connect("autodoc-process-docstring", on_docstring, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", on_member)
    return {"parallel_read_safe": True}
