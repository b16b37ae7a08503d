"""Nodes of random programs, for hypothesis: small pools of names and options, so that much meets."""

from typing import Any

from hypothesis import strategies as st

from tests.conformance.corpus import Node

ABSENT = object()

NAMES = ["v"] * 10 + ["w"] * 5 + ["a", "c/v", "d", "u", "u_1", "d/v", "a/v"]
BAD_NAMES = ["", "v/", "_v", "v w", "/v", None, 3]
SCOPES = ["a"] * 6 + ["c"] * 4 + ["d", "d_1", "c/sub", "t", "", ""]
BAD_SCOPES = ["_c", "-a", "c/", "a b", "/", 3]
DEFAULTS = ["d"] * 5 + ["a", "t", "d_1"]
BAD_DEFAULTS = ["", "_d", "a b", None]
VARIABLES = ["u"] * 4 + ["v", "w", "a", "u_1"]
BAD_VARIABLES = ["_u", "u/", "u v", ""]
SHAPES = [[2]] * 12 + [[2, 3]] * 3 + [[], [3], [None], [None, 3], [2, None], [-1, 2]]
DTYPES = ["float32", "float32", "float64", "float16", "int32", "int64", "bool"]
INITS = [
    "zeros",
    "ones",
    "glorot",
    {"const": 0.5},
    {"value": [1.0, 2.0]},
    {"value": 1.0, "dtype": "float64"},
    {"value": [4, 5], "dtype": "int32"},
]
RARE_INITS = [
    {"py": 4},
    {"py": [1.0, 2.0]},
    {"str": "zeros"},
    {"fn0": [1.0, 2.0]},
    {"fn0": [1, 2], "dtype": "int64"},
    "zeros_class",
    {"wrong_shape": [5]},
    {"wrong_dtype": "int32"},
    "needs_arg",
    "raises",
]
GETTERS = [
    {"kind": "log", "tag": "A"},
    {"kind": "log", "tag": "B"},
    {"kind": "suffix", "s": "_s"},
    {"kind": "suffix", "s": "/p"},
    {"kind": "strip"},
    {"kind": "nontrain"},
    {"kind": "auto"},
    {"kind": "anyreuse"},
    {"kind": "forget_reuse"},
    {"kind": "dtype", "dtype": "float64"},
    {"kind": "two"},
]
BAD_GETTERS = [{"kind": "notcallable"}, {"kind": "drop_constraint"}]
COLLECTIONS = [
    [],
    ["foo"],
    ["variables", "foo"],
    ["foo", "foo"],
    ["local_variables"],
    ["trainable_variables"],
]
REGULARIZERS = ["r1", "r2", "none"]
CONSTRAINTS = ["k1", "k2"]
PART = [{"axis": 0, "parts": 2}]
KEYS = ["variables", "variables", "trainable_variables", "local_variables", "foo"]

# A number stands for a scope or function bound before; `resolved` puts its name there.
NUMBERS = list(range(8))


def rare(pool: list[Any], weight: int) -> st.SearchStrategy[Any]:
    """Once in about `weight` times a member of the pool, else nothing, which is also simpler."""
    return st.sampled_from([ABSENT] * (len(pool) * (weight - 1)) + pool)


def node(op: str, **fields: Any) -> st.SearchStrategy[Node]:
    """Nodes of an operation; a field is a strategy, or a pool of values to choose from."""
    strategies = {k: v if isinstance(v, st.SearchStrategy) else st.sampled_from(v) for k, v in fields.items()}
    drawn = st.fixed_dictionaries({"op": st.just(op), **strategies})
    return drawn.map(lambda found: {k: v for k, v in found.items() if v is not ABSENT})


def options(weight: int) -> dict[str, Any]:
    return {
        "reg": rare(REGULARIZERS, weight),
        "constraint": rare(CONSTRAINTS, weight),
        "part": rare(PART, weight * 3),
        "dtype": rare(DTYPES, weight),
        "getter": rare(GETTERS, weight),
    }


def get(**changed: Any) -> st.SearchStrategy[Node]:
    return node("get", **{"name": NAMES, "shape": SHAPES, **changed})


_GETTING = {
    "init": rare(INITS * 2 + RARE_INITS, 6),
    "trainable": rare([False, True], 6),
    "collections": rare(COLLECTIONS, 8),
    "local": rare([True], 10),
    **options(8),
}
_ON = rare(NUMBERS, 2)
SET = st.one_of(
    node("set", on=_ON, what=["reuse"]),
    node("set", on=_ON, what=["reg"], value=REGULARIZERS),
    node("set", on=_ON, what=["dtype"], value=DTYPES),
    node("set", on=_ON, what=["init"], value=INITS),
    node("set", on=_ON, what=["getter"], value=GETTERS),
    node("set", on=_ON, what=["part"], value=PART),
)
LEAVES = [
    get(),
    get(),
    get(shape=[ABSENT, [2]]),
    get(shape=[ABSENT, [2]]),
    get(dtype=rare(DTYPES, 3)),
    get(**_GETTING),
    get(**_GETTING),
    get(shape=[ABSENT], init=INITS * 2 + RARE_INITS, dtype=rare(DTYPES, 4)),
    node("var", value=[1.0, 1.0, 2, [1.0, 2.0]], name=rare(VARIABLES, 2)),
    node(
        "var",
        value=[1.0],
        name=VARIABLES,
        trainable=rare([False, True], 2),
        collections=rare(COLLECTIONS, 2),
    ),
    node("call", fn=NUMBERS),
    node("call", fn=NUMBERS),
    node("call", fn=NUMBERS),
    SET,
    node("query", on=_ON),
    node("capture", **{"as": [0]}),
    node("template_vars", fn=NUMBERS),
    node("collection", scope=_ON, key=KEYS),
]
# What cannot succeed, or hardly: always inside an `expect_error` of its own.
FAILING = [
    node("raise"),
    get(name=BAD_NAMES),
    get(getter=BAD_GETTERS),
    get(reg=["raises"]),
    node("set", on=_ON, what=["getter"], value=BAD_GETTERS),
    node("set", on=_ON, what=["init"], value=[{"str": "zeros"}]),
    node("var", value=[1.0], name=BAD_VARIABLES),
    node("scope", name=BAD_SCOPES, default_name=rare(BAD_DEFAULTS, 2), body=[[]]),
    node("scope", default_name=DEFAULTS, reuse=[True, "AUTO"], body=[[]]),
    node("scope", name=SCOPES, reuse=["yes", 1, 0], body=[[]]),
    node("scope", name=SCOPES, init=[{"str": "zeros"}], body=[[]]),
    node("scope", name=SCOPES, getter=BAD_GETTERS, body=[[]]),
    node("scope", ref=NUMBERS, getter=BAD_GETTERS, reuse=rare(["yes", 0], 2), body=[[]]),
    node("name_scope", name=BAD_SCOPES[:-1], body=[[]]),
    node("template", name=[None, "t"], getter=rare(BAD_GETTERS, 2), bodies=[[[]]], **{"as": [0]}),
]


def expected(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return nodes.map(lambda one: {"op": "expect_error", "body": [one]})


def resolved(nodes: list[Node]) -> list[Node]:
    """The program with names for numbers: each binding gets its own, references choose among those before.

    A function is bound after its body, so none calls itself. What has nothing to refer to is left out.
    """
    bound: dict[str, list[str]] = {"s": [], "f": [], "t": [], "c": []}

    def bind(kind: str) -> str:
        bound[kind].append(f"{kind}{len(bound[kind])}")
        return bound[kind][-1]

    def chosen(kinds: str, number: int) -> str | None:
        names = [name for kind in kinds for name in bound[kind]]
        return names[number % len(names)] if names else None

    def one(old: Node) -> list[Node]:
        new = dict(old)
        calls, fails = new.pop("calls", 0), new.pop("fails", False)
        if fails:  # at the first call
            new["bodies"] = [[*new["bodies"][0], {"op": "raise"}], *new["bodies"]]
        for field, kinds in (("ref", "s"), ("on", "s"), ("cm", "c"), ("scope", "s"), ("fn", "ft")):
            if field in new:
                new[field] = chosen("t" if new["op"] == "template_vars" else kinds, new[field])
                if new[field] is None and field not in {"on", "scope"}:
                    return []
        kind = {"template": "t", "func": "f", "cm": "c"}.get(new["op"], "s")
        if "as" in new and kind == "s":
            new["as"] = bind(kind)
        if "bodies" in new:
            new["bodies"] = [several(body) for body in new["bodies"]]
        if "body" in new:
            new["body"] = several(new["body"])
        if "as" in new and kind != "s":
            new["as"] = bind(kind)
        call = {"op": "expect_error", "body": [{"op": "call", "fn": new.get("as")}]}
        return [new, *[call] * calls]

    def several(nodes: list[Node]) -> list[Node]:
        return [new for old in nodes for new in one(old)]

    return several(nodes)
