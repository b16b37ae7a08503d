"""The 579 recorded programs: how to load them, walk through them and read them as Python."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Node = dict[str, Any]

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Line:
    """One recorded program: `id` is `case-17` or `public-203`, `replay` is None after a final error."""

    id: str
    title: str
    features: tuple[str, ...]
    flags: tuple[str, ...]
    program: list[Node]
    outcome: dict[str, Any]
    replay: dict[str, Any] | None

    @property
    def category(self) -> str:
        """Category of the error that ends the program, or `"no error"`."""
        return self.outcome.get("error", {}).get("category", "no error")

    def __repr__(self) -> str:
        return self.id


def without_new(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "new"}


def _line(raw: dict[str, Any], prefix: str) -> Line:
    outcome, replay = raw["outcome"], raw.get("replay")
    if replay == "same":
        replay = {"steps": [without_new(step) for step in outcome["steps"]], "final": outcome["final"]}
    return Line(
        id=f"{prefix}-{raw['id'] if 'id' in raw else raw['seed']}",
        title=raw.get("title", ""),
        features=tuple(raw["features"]),
        flags=tuple(raw["flags"]),
        program=raw["program"],
        outcome=outcome,
        replay=replay,
    )


@functools.cache
def lines() -> tuple[Line, ...]:
    """All recorded programs: first the instructive cases, then the random ones."""
    files = {"case": "cases.jsonl", "public": "public.jsonl"}
    return tuple(
        _line(json.loads(text), prefix)
        for prefix, name in files.items()
        for text in (DATA / name).read_text(encoding="utf-8").splitlines()
    )


def walk(nodes: list[Node]) -> Iterator[Node]:
    """All nodes of a program, also those in bodies."""
    for node in nodes:
        yield node
        yield from walk(node.get("body", []))
        for body in node.get("bodies", []):
            yield from walk(body)


STANDARD = ("variables", "trainable_variables", "local_variables")


def own_collections(program: list[Node]) -> list[str]:
    """Names of the collections that only this program has."""
    asked = {key for node in walk(program) for key in node.get("collections", ())}
    return sorted(asked.difference(STANDARD))


def _object(kind: str, value: Any) -> str:
    """An initializer, getter, ... as one would write it."""
    if not isinstance(value, dict):
        return str(value)
    if kind == "init":
        dtype = f", {value['dtype']}" if "dtype" in value else ""
        ((name, content),) = ((k, v) for k, v in value.items() if k != "dtype")
        calls = {"const": "constant", "value": "np.array", "fn0": "lambda: np.array"}
        plain = name in {"py", "str"}
        return repr(content) if plain else f"{calls.get(name, name)}({content}{dtype})"
    inside = ", ".join(repr(v) for k, v in value.items() if k != "kind")
    return f"{value.get('kind', kind)}({inside})"


KEYWORDS = {"init": "initializer", "reg": "regularizer", "getter": "custom_getter", "part": "partitioner"}


def _arguments(node: Node, first: tuple[str, ...], rest: tuple[str, ...]) -> str:
    # Python's None is what the programs call null, also inside shapes.
    plain = {"name", "shape", "dtype", "collections", "default_name", "trainable", "value", "unique_name"}
    words = [repr(node[key]) for key in first if key in node]
    for key in rest:
        if key in node:
            text = repr(node[key]) if key in plain else _object(key, node[key])
            words.append(f"{KEYWORDS.get(key, key)}={text}")
    return ", ".join(words)


_OPTIONS = ("init", "reg", "dtype", "getter", "reuse", "constraint", "part")


def _scope(node: Node) -> str:
    if "cm" in node:
        return str(node["cm"])
    first = str(node["ref"]) if "ref" in node else repr(node.get("name"))
    rest = _arguments(node, (), ("default_name", *_OPTIONS))
    return f"variable_scope({first}{', ' if rest else ''}{rest})"


def _head(node: Node) -> str:
    match node["op"]:
        case "get":
            rest = ("dtype", "init", "reg", "trainable", "collections", "constraint", "part", "getter")
            call = "get_local_variable" if node.get("local") else "get_variable"
            return f"{call}({_arguments(node, ('name', 'shape'), rest)})"
        case "scope":
            return f"with {_scope(node)}{' as ' + node['as'] if 'as' in node else ''}:"
        case "cm":
            return f"{node['as']} = {_scope(node)}"
        case "capture":
            return f"{node['as']} = get_variable_scope()"
        case "set":
            on = node.get("on") or "get_variable_scope()"
            what = node["what"]
            if what == "reuse":
                return f"{on}.reuse_variables()"
            return f"{on}.set_{KEYWORDS.get(what, what)}({_object(what, node['value'])})"
        case "query":
            return f"query({node.get('on') or 'get_variable_scope()'})"
        case "var":
            rest = ("trainable", "collections", "name", "dtype")
            return f"Variable({_arguments(node, ('value',), rest)})"
        case "template":
            rest = _arguments(node, (), ("create_scope_now", "unique_name", "getter"))
            name = repr(node.get("name"))
            return f"{node['as']} = make_template({name}, body{', ' if rest else ''}{rest})"
        case "call":
            return f"{node['fn']}()"
        case "template_vars":
            return f"template_vars({node['fn']})"
        case "func":
            return f"def {node['as']}():"
        case "expect_error":
            return "with expect_error():"
        case "raise":
            return "raise UserError"
        case "name_scope":
            return f"with name_scope({node['name']!r}):"
        case "creator_scope":
            return f"with variable_creator_scope({_object('', {k: node[k] for k in node if k in _CREATOR})}):"
        case "collection":
            return f"get_collection({node['key']!r}, {node.get('scope')})"
        case op:
            return f"{op}()"


_CREATOR = ("kind", "tag", "s")


def pseudocode(program: list[Node], indent: str = "") -> str:
    """The program as indented Python."""
    rows: list[str] = []
    for node in program:
        rows.append(indent + _head(node))
        for k, body in enumerate(node.get("bodies", ())):
            rows.append(
                f"{indent}    # body of call {k}{' and later' if k + 1 == len(node['bodies']) else ''}"
            )
            rows.append(pseudocode(body, indent + "    "))
        if "body" in node:
            rows.append(pseudocode(node["body"], indent + "    "))
    return "\n".join(rows) or indent + "pass"
