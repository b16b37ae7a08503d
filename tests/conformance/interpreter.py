"""Runs a program, given as JSON nodes, against an implementation of the scope functions.

There are two implementations, jaxscope itself (`runner.Library`) and the model of the rules (`model.Model`);
they have the same surface, so that one reading of the nodes serves both.
"""

from collections.abc import Callable
from typing import Any

from tests.conformance.corpus import STANDARD, Node, own_collections
from tests.conformance.objects import Given, Identity, Objects, UnboundIdError, UserError


class Run(Objects):
    """One run of a program against `api`; `steps`, `error` and `final` say what happened."""

    def __init__(self, api: Any, program: list[Node], identity: Identity | Given) -> None:
        super().__init__(api, identity)
        self.program = program
        self.steps: list[dict[str, Any]] = []
        self.error: dict[str, str] | None = None
        self.final: dict[str, Any] = {}
        self.ids: dict[str, Any] = {}

    def __call__(self) -> None:
        """Run the whole program; its error comes out after what there is to see has been noted."""
        try:
            self.body(self.program)
        except Exception as error:
            self.error = dict(zip(("category", "code"), self.describe(error), strict=True))
            raise
        finally:
            self.final = self.look()

    def attempt(self) -> None:
        """Run the whole program and let its error pass."""
        try:
            self()
        except Exception:
            if self.error is None:
                raise  # not the program's: the implementation has failed to describe it

    def describe(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, UserError):
            return "other", "user_exception"
        if isinstance(error, UnboundIdError):
            return "other", "unbound_id"
        return self.api.describe(error)

    def look(self) -> dict[str, Any]:
        """The collections and losses at the end of the program."""
        index = self.identity.index
        collected = {
            key: [index(v) for v in self.api.get_collection(key)]
            for key in (*STANDARD, *own_collections(self.program))
        }
        names = ("global", "trainable", "local")
        final: dict[str, Any] = {name: collected.pop(key) for name, key in zip(names, STANDARD, strict=True)}
        if others := {key: members for key, members in collected.items() if members}:
            final["collections"] = others
        final["reg_losses"] = [
            self.losses[number - 1] if (number := self.api.loss_number(loss)) else "abstract"
            for loss in self.api.get_collection("regularization_losses")
        ]
        return final

    # The nodes. ---------------------------------------------------------------------------------------

    def body(self, nodes: list[Node]) -> None:
        for node in nodes:
            getattr(self, f"do_{node['op']}")(node)

    def bound(self, name: str | None) -> Any:
        if name is None:
            return self.api.get_variable_scope()
        if name not in self.ids:
            raise UnboundIdError(name)
        return self.ids[name]

    def made(self, kind: str, make: Callable[[], Any]) -> None:
        """Run the request of a step that makes or gets a variable, and record the step."""
        self.log, self.pending = [], None
        before = len(self.identity)
        index = self.index(make())
        record: dict[str, Any] = {kind: index}
        if isinstance(self.identity, Identity) and isinstance(index, int) and index >= before:
            record["new"] = True
        if self.log:
            record["log"] = self.log
        self.steps.append(record)

    def do_get(self, node: Node) -> None:
        kwargs: dict[str, Any] = {
            word: self.option(key, node[key])
            for key, word in (
                ("init", "initializer"),
                ("reg", "regularizer"),
                ("getter", "custom_getter"),
                ("constraint", "constraint"),
                ("part", "partitioner"),
            )
            if key in node
        }
        kwargs |= {key: node[key] for key in ("dtype", "trainable") if key in node}
        if node.get("shape") is not None:
            kwargs["shape"] = list(node["shape"])
        if node.get("collections") is not None:
            kwargs["collections"] = list(node["collections"])
        get = self.api.get_local_variable if node.get("local") else self.api.get_variable
        self.made("get", lambda: get(node["name"], **kwargs))

    def do_var(self, node: Node) -> None:
        kwargs = {key: node[key] for key in ("name", "dtype", "trainable", "collections") if key in node}
        self.made("var", lambda: self.api.Variable(node["value"], **kwargs))

    def manager(self, node: Node) -> Any:
        kwargs = {
            word: self.option(key, node[key])
            for key, word in (
                ("reuse", "reuse"),
                ("init", "initializer"),
                ("reg", "regularizer"),
                ("dtype", "dtype"),
                ("getter", "custom_getter"),
                ("constraint", "constraint"),
                ("part", "partitioner"),
            )
            if key in node
        }
        if "cm" in node:
            return self.bound(node["cm"])
        if "default_name" in node:
            kwargs["default_name"] = node["default_name"]
        first = self.bound(node["ref"]) if "ref" in node else node.get("name")
        return self.api.variable_scope(first, **kwargs)

    def do_cm(self, node: Node) -> None:
        self.ids[node["as"]] = self.manager(node)

    def do_scope(self, node: Node) -> None:
        with self.manager(node) as scope:
            if "as" in node:
                self.ids[node["as"]] = scope
            record = {"scope": scope.name}
            if scope.reuse is not False:
                record["reuse"] = self.shown_reuse(scope.reuse)
            self.steps.append(record)
            self.body(node["body"])

    def do_capture(self, node: Node) -> None:
        self.ids[node["as"]] = self.api.get_variable_scope()

    def do_set(self, node: Node) -> None:
        scope, what = self.bound(node.get("on")), node["what"]
        if what == "reuse":
            scope.reuse_variables()
            return
        methods = {
            "init": "set_initializer",
            "reg": "set_regularizer",
            "dtype": "set_dtype",
            "getter": "set_custom_getter",
            "part": "set_partitioner",
        }
        getattr(scope, methods[what])(self.option(what, node["value"]))

    def do_query(self, node: Node) -> None:
        scope = self.bound(node.get("on"))
        specified = {kind: self.tag(kind, getattr(scope, word)) for kind, word in _QUERIED}
        self.steps.append(
            {
                "query": {
                    "name": scope.name,
                    "reuse": self.shown_reuse(scope.reuse),
                    "dtype": self.api.dtype_name(scope.dtype),
                    **specified,
                    "getter": scope.custom_getter is not None,
                    "part": scope.partitioner is not None,
                }
            }
        )

    def do_template(self, node: Node) -> None:
        bodies, calls = node["bodies"], 0

        def template() -> None:
            nonlocal calls
            nodes = bodies[min(calls, len(bodies) - 1)]
            calls += 1
            self.body(nodes)

        kwargs: dict[str, Any] = {}
        if "unique_name" in node:
            kwargs["unique_name_"] = node["unique_name"]
        if "create_scope_now" in node:
            kwargs["create_scope_now_"] = node["create_scope_now"]
        if "getter" in node:
            kwargs["custom_getter_"] = self.option("getter", node["getter"])
        made = self.api.make_template(node.get("name"), template, **kwargs)
        self.ids[node["as"]] = made
        self.steps.append({"template": made.variable_scope.name if made.variable_scope else None})

    def do_func(self, node: Node) -> None:
        self.ids[node["as"]] = lambda: self.body(node["body"])

    def do_call(self, node: Node) -> None:
        function = self.bound(node["fn"])
        function()
        if hasattr(function, "variable_scope"):
            self.steps.append({"call": function.variable_scope.name})

    def do_template_vars(self, node: Node) -> None:
        template = self.bound(node["fn"])
        kinds = ("global", "trainable", "local")
        found = {
            kind: [self.identity.index(v) for v in getattr(template, f"{kind}_variables")] for kind in kinds
        }
        self.steps.append({"template_vars": found})

    def do_expect_error(self, node: Node) -> None:
        try:
            self.body(node["body"])
        except Exception as error:  # noqa: BLE001 an error that is not expected is recorded as a crash
            category, code = self.describe(error)
            self.steps.append({"expect": category, "code": code})
        else:
            self.steps.append({"expect": "none"})

    def do_raise(self, node: Node) -> None:
        raise UserError

    def do_name_scope(self, node: Node) -> None:
        with self.api.name_scope(node["name"]):
            self.body(node["body"])

    def do_creator_scope(self, node: Node) -> None:
        spec = {key: node[key] for key in ("kind", "tag", "s") if key in node}
        with self.api.variable_creator_scope(self.make_creator(spec)):
            self.body(node["body"])

    def do_collection(self, node: Node) -> None:
        name = node.get("scope")
        get = self.bound(name).get_collection if name else self.api.get_collection
        self.steps.append({"collection": [self.identity.index(v) for v in get(node["key"])]})


_QUERIED = (("init", "initializer"), ("reg", "regularizer"), ("constraint", "constraint"))
