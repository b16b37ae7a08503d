"""Stacks among given variables: taken apart for a while, and put together again."""

import re
from collections.abc import Mapping
from typing import Any

import jaxscope as js


def apart(variables: Mapping[str, Any]) -> tuple[js.Variables, list[str]]:
    """Return variables with the layers of stacks by themselves, and by which names to stack them again."""
    given = variables if isinstance(variables, js.Variables) else js.Variables(variables)
    scopes = dict.fromkeys(part for name in given for part in name.split("/") if "{}" in part)
    return (given.unstack() if scopes else given), list(scopes)


def together(variables: js.Variables, scopes: list[str]) -> js.Variables:
    """Return variables with the layers of scopes stacked."""
    for scope in scopes:
        layer = re.escape(scope).replace(r"\{\}", "[0-9]+")
        if any(re.fullmatch(layer, part) for name in variables for part in name.split("/")):
            variables = variables.stack(scope)
    return variables
