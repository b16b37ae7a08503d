"""HTML: the template, the styles, the scripts and the data as one file that may load nothing."""

import base64
import functools
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

_PACKAGE = "jaxscope.inspect.page"
_LIBRARY = "d3-hierarchy.min.js"
#: What the page does, one after the other; together they are one function.
_SCRIPTS = ("data.js", "colours.js", "map.js", "tree.js", "details.js", "sharing.js", "main.js")


def document(contents: dict[str, Any]) -> str:
    """Return the page of some contents.

    Names come from files, so they may be anything. All of them are in one block of JSON in which no `<`
    stands, so that it ends where it should; the scripts put them into the page as text alone. Its policy
    forbids all that is not in the file, and scripts other than these two.

    Args:
        contents: Plain data; `title` is the document's title, too.
    """
    parts = {**_static(), "title": _title(contents["title"]), "data": _embedded(contents)}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def _title(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())  # half a character, of names, is none


def _embedded(contents: dict[str, Any]) -> str:
    """Return JSON, all of it ASCII, that HTML does not take for anything else."""
    text = json.dumps(contents, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.cache
def _static() -> dict[str, str]:
    """Return what is the same in all pages, and the digests by which the policy knows it."""
    style = _read("page.css")
    notice = f"/*!\n{_read('d3-hierarchy.LICENSE.txt').strip()}\n*/\n"
    library = notice + _read(_LIBRARY)
    ours = "".join(_read(name) for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{ours}}})();\n'
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_digest(library)} {_digest(script)}",
            f"style-src {_digest(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )
    return {"style": style, "library": library, "script": script, "policy": policy}


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _read(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
