"""Random programs by theme: each theme mixes a few operations, so that these meet often and deeply."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conformance import programs
from tests.conformance.corpus import Node
from tests.conformance.programs import ABSENT, NUMBERS, expected, get, node, options, rare

Nodes = st.SearchStrategy[Node]
Body = st.SearchStrategy[list[Node]]


@dataclass(frozen=True, eq=False)
class Theme:
    """What programs are made of: nodes without a body, nodes that fail, and nodes around a body."""

    leaves: list[Nodes]
    failing: list[Nodes]
    around: Callable[[Body], list[Nodes]]
    depth: int = 3

    def programs(self) -> Body:
        return self._bodies(self.depth).map(programs.resolved)

    @functools.cache  # noqa: B019 themes live as long as the module
    def _bodies(self, depth: int) -> Body:
        """Lists of nodes that nest at most `depth` deep."""
        leaf = st.one_of(self.leaves)
        failing = expected(st.one_of(self.failing))
        if depth == 0:
            return st.lists(st.one_of(leaf, leaf, *[expected(leaf)] * 2, failing), min_size=1, max_size=4)
        body = self._bodies(depth - 1)
        around = st.one_of(self.around(body))
        expecting = node("expect_error", body=body)
        kinds = [leaf, *[expected(leaf)] * 3, failing, *[around] * 4, *[expected(around)] * 2, expecting]
        return st.lists(st.one_of(kinds), min_size=3 if depth == self.depth else 1, max_size=6)


BIND = {"as": rare([0], 2)}
BOUND = {"as": [0]}
REUSE = [ABSENT] * 5 + ["AUTO"] * 5 + [None, False, True, True]
AUTO = [ABSENT, "AUTO", "AUTO"]
CALLS = [node("call", fn=NUMBERS)] * 2
RAISE = [node("raise")]
CREATORS = ({"kind": "log", "tag": "C"}, {"kind": "nontrain"}, {"kind": "suffix", "s": "_c"})


def creators(body: Body, kinds: tuple[Node, ...] = CREATORS) -> list[Nodes]:
    return [node("creator_scope", body=body, **{k: [v] for k, v in kind.items()}) for kind in kinds]


def template(body: Body, names: list[str], **fields: Any) -> Nodes:
    return node(
        "template",
        name=names,
        bodies=st.lists(body, min_size=1, max_size=2),
        calls=[0, 1, 2, 2, 3],
        fails=rare([True], 4),
        **BOUND,
        **fields,
    )


def _everything(body: Body) -> list[Nodes]:
    given = {"init": rare(programs.INITS, 10), **options(10)}
    jump = node("scope", ref=NUMBERS, reuse=REUSE, body=body, **BIND, **given)
    named = node("scope", name=programs.SCOPES, reuse=REUSE, body=body, **BIND, **given)
    defaults = programs.DEFAULTS
    now, unique = rare([True], 4), rare(["un", "t", "a"], 4)
    getter = rare(programs.GETTERS, 8)
    return [
        *[named] * 2,
        node("scope", name=programs.SCOPES, body=body, **BIND),
        node("scope", default_name=defaults, body=body, **BIND),
        node("scope", default_name=defaults, name=rare(programs.SCOPES, 8), body=body, **BIND, **given),
        *[jump] * 3,
        *[template(body, ["t", "t", "d", "a"], create_scope_now=now, unique_name=unique, getter=getter)] * 3,
        node("cm", name=["a", "c"], dtype=rare(programs.DTYPES, 3), **BOUND),
        node("cm", default_name=["d"], **BOUND),
        node("scope", cm=NUMBERS, body=body),
        node("func", body=body, **BOUND),
        node("name_scope", name=["n", "a", "n/", "", None], body=body),
        *creators(body),
    ]


def _counts(body: Body) -> list[Nodes]:
    default = node("scope", default_name=["d", "d", "d", "a"], body=body, **BIND)
    return [
        *[default] * 3,
        *[node("scope", name=["a", "d", "d_1", "a/d", "d/d", ""], body=body, **BOUND)] * 2,
        *[node("scope", ref=NUMBERS, body=body, **BIND)] * 3,
        template(body, ["d", "a"], create_scope_now=rare([True], 2)),
        node("cm", default_name=["d"], **BOUND),
        node("scope", cm=NUMBERS, body=body),
    ]


_UNIQUE = ["a", "a", "a_1", "a_1", "a_2", "u", "A"]


def _names(body: Body) -> list[Nodes]:
    return [
        *[node("scope", name=[*_UNIQUE, "a/a", ""], body=body, **BIND)] * 2,
        node("scope", default_name=_UNIQUE, body=body, **BIND),
        node("scope", ref=NUMBERS, body=body),
        *[node("name_scope", name=["a", "a", "a_1", "a/", "", None], body=body)] * 2,
        template(
            body, ["a"], create_scope_now=rare([True], 3), getter=rare([{"kind": "suffix", "s": "_1"}], 3)
        ),
        *creators(body, ({"kind": "suffix", "s": "_1"}, {"kind": "suffix", "s": "/"})),
    ]


def _getters(body: Body) -> list[Nodes]:
    given = {"getter": [*programs.GETTERS, {"kind": "variable"}], "dtype": rare(programs.DTYPES, 4)}
    return [
        *[node("scope", name=["", "a", "c"], reuse=AUTO, body=body, **BIND, **given)] * 3,
        node("scope", ref=NUMBERS, reuse=REUSE, body=body, **given),
        node("scope", ref=NUMBERS, reuse=REUSE, body=body),
        template(body, ["t"], getter=programs.GETTERS),
        *creators(body),
    ]


def _initial(body: Body) -> list[Nodes]:
    given = {"init": rare(programs.INITS, 2), "dtype": rare(programs.DTYPES, 3)}
    return [
        *[node("scope", name=["", "a"], reuse=REUSE, body=body, **BIND, **given)] * 3,
        node("scope", ref=NUMBERS, reuse=REUSE, body=body, **given),
        template(body, ["t"]),
    ]


def _collections(body: Body) -> list[Nodes]:
    names = ["a", "a", "a.b", "a.b", "aXb", "aXb", "a/b", ""]  # a scope's name is a regular expression (R44)
    given = {"reg": rare(programs.REGULARIZERS, 3), "constraint": rare(programs.CONSTRAINTS, 4)}
    return [
        *[node("scope", name=names, reuse=AUTO, body=body, **BOUND, **given)] * 3,
        node("scope", ref=NUMBERS, reuse=AUTO, body=body, **BOUND, **given),
        template(body, ["a", "t"], unique_name=rare(["a", "un"], 2), create_scope_now=rare([True], 2)),
        *creators(body),
    ]


def _templates(body: Body) -> list[Nodes]:
    now, unique = rare([True], 3), rare(["un", "a"], 3)
    return [
        *[template(body, ["t", "t", "d"], create_scope_now=now, unique_name=unique)] * 3,
        node("scope", name=["a", "a", "t", ""], reuse=REUSE, body=body, **BIND),
        node("scope", default_name=["d", "t"], body=body, **BIND),
        node("scope", ref=NUMBERS, reuse=REUSE, body=body),
        node("func", body=body, **BOUND),
    ]


_V = get(name=["v", "v", "w"], shape=[ABSENT, [2], [2]])
_QUERY = node("query", on=rare(NUMBERS, 2))
_VAR = node("var", value=[1.0], name=["u"])
_COLLECTED = {
    "collections": rare(programs.COLLECTIONS, 2),
    "trainable": rare([False, True], 2),
    "reg": rare(programs.REGULARIZERS, 3),
    "local": rare([True], 4),
}
_INITS = programs.INITS + programs.RARE_INITS
_REUSE = node("set", on=rare(NUMBERS, 2), what=["reuse"])

THEMES = {
    "everything": Theme(programs.LEAVES, programs.FAILING, _everything),
    "counts": Theme([get(name=["v"], shape=[[2]]), *CALLS], RAISE, _counts, depth=4),
    "names": Theme(
        [
            *[node("var", value=[1.0], name=[ABSENT, *_UNIQUE, "a/u"])] * 3,
            get(name=[*_UNIQUE, "a/a", "a/u"], shape=[[2]]),
            *CALLS,
        ],
        [*RAISE, node("var", value=[1.0], name=programs.BAD_VARIABLES), get(name=programs.BAD_NAMES)],
        _names,
    ),
    "getters": Theme(
        [
            *[get(name=["v", "v", "w", "a/v"], dtype=rare(programs.DTYPES, 3), shape=[ABSENT, [2]])] * 2,
            get(name=["v", "w"], getter=programs.GETTERS, shape=[ABSENT, [2]]),
            node("set", on=rare(NUMBERS, 2), what=["getter"], value=programs.GETTERS),
            _REUSE,
            *CALLS,
        ],
        [*RAISE, get(getter=programs.BAD_GETTERS)],
        _getters,
    ),
    "initial": Theme(
        [
            get(name=["v", "w"], dtype=rare(programs.DTYPES, 2), init=_INITS),
            get(name=["v", "w"], dtype=rare(programs.DTYPES, 2), init=_INITS, shape=[ABSENT]),
            get(name=["v", "w"], shape=rare([[2], [2], [3]], 2), dtype=rare(programs.DTYPES, 2)),
            node("set", on=rare(NUMBERS, 2), what=["init"], value=programs.INITS),
            node("set", on=rare(NUMBERS, 2), what=["dtype"], value=programs.DTYPES),
            *CALLS,
        ],
        [*RAISE, get(reg=["raises"])],
        _initial,
    ),
    "collections": Theme(
        [
            *[get(name=["v", "w", "u", "x"], shape=[[2]], **_COLLECTED)] * 3,
            node(
                "var",
                value=[1.0],
                name=["u"],
                collections=rare(programs.COLLECTIONS, 2),
                trainable=[True, False],
            ),
            *[node("collection", scope=NUMBERS, key=programs.KEYS)] * 2,
            *[node("template_vars", fn=NUMBERS)] * 2,
            *CALLS,
        ],
        [*RAISE, get(reg=["raises"])],
        _collections,
    ),
    "templates": Theme(
        [*[_V] * 3, _VAR, *CALLS * 2, _REUSE, _QUERY, node("template_vars", fn=NUMBERS)],
        RAISE,
        _templates,
    ),
}
