"""What programs write as JSON, as the objects that are passed: initializers, getters, creators, tags."""

from typing import Any


class UserError(Exception):
    """What a program raises by itself."""


class UnboundIdError(Exception):
    """A program names a scope or function that it has not reached: the program's fault."""


class Identity:
    """Numbers variables by the objects that stand for them, in the order in which they turn up."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __len__(self) -> int:
        return len(self.seen)

    def index(self, variable: Any) -> int | str:
        for i, other in enumerate(self.seen):
            if other is variable:
                return i
        self.seen.append(variable)
        return len(self.seen) - 1


class Given:
    """Numbers variables by the given objects: replaying returns what it was given."""

    def __init__(self, numbered: list[tuple[Any, int]]) -> None:
        self.numbered = numbered

    def __len__(self) -> int:
        return 0

    def index(self, variable: Any) -> int | str:
        for leaf, i in self.numbered:
            if leaf is variable:
                return i
        return f"not given: {variable!r}"


class Objects:
    """Makes the objects of one run; equal specifications give the same object."""

    def __init__(self, api: Any, identity: Identity | Given) -> None:
        self.api = api
        self.identity = identity
        self.objects: dict[str, tuple[Any, Any]] = {}
        self.log: list[list[Any]] = []  # getter and creator calls of the running step
        self.losses: list[list[Any]] = []  # for each call of a regularizer: the variable's index, the tag
        self.pending: list[Any] | None = None  # the call whose variable is about to be returned

    def index(self, variable: Any) -> int | str:
        """The number of a variable that a request has just returned."""
        i = self.identity.index(variable)
        if self.pending is not None:
            self.pending[0] = i
            self.pending = None
        return i

    def option(self, kind: str, spec: Any) -> Any:
        """The initializer, regularizer, getter, ... that `spec` describes."""
        if kind == "reuse":
            return self.api.AUTO_REUSE if spec == "AUTO" else spec
        if spec is None or kind == "dtype":
            return spec
        key = f"{kind} {spec!r}"
        if key not in self.objects:
            self.objects[key] = spec, getattr(self, f"make_{kind}")(spec)
        return self.objects[key][1]

    def tag(self, kind: str, value: Any) -> Any:
        """What an object was made from, or None."""
        if value is None:
            return None
        for key, (spec, other) in self.objects.items():
            if other is value and key.startswith(f"{kind} "):
                return spec
        return f"unknown {kind}: {value!r}"

    def make_init(self, spec: Any) -> Any:
        return self.api.initializer(spec)

    def make_reg(self, tag: str) -> Any:
        if tag == "none":
            return self.api.no_regularizer

        def regularizer(variable: Any) -> Any:
            if tag == "raises":
                raise UserError
            self.pending = [None, tag]
            self.losses.append(self.pending)
            return self.api.loss(variable, len(self.losses))

        return regularizer

    def make_constraint(self, tag: str) -> Any:
        def constraint(value: Any) -> Any:
            return value

        constraint.tag = tag  # type: ignore[attr-defined]
        return constraint

    def make_part(self, spec: Any) -> Any:
        return self.api.partitioner(spec)

    def make_getter(self, spec: Any) -> Any:
        kind = spec["kind"]
        if kind == "notcallable":
            return 3
        if kind == "drop_constraint":

            def short(
                getter: Any, name: Any, shape: Any, dtype: Any, initializer: Any, reuse: Any, trainable: Any
            ) -> Any:
                return getter(name, shape=shape, dtype=dtype, initializer=initializer, reuse=reuse)

            return short

        def custom_getter(getter: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
            def passed(name: Any, **changed: Any) -> Any:
                variable = getter(name, *args, **{**kwargs, **changed})
                self.index(variable)  # `two` makes one that it does not return
                return variable

            match kind:
                case "log":
                    self.log.append([spec["tag"], name, self.shown_reuse(kwargs["reuse"])])
                    return passed(name)
                case "suffix":
                    return passed(name + spec["s"])
                case "strip":
                    return passed(name.rpartition("/")[2])
                case "nontrain":
                    return passed(name, trainable=False)
                case "auto":
                    return passed(name, reuse=self.api.AUTO_REUSE)
                case "anyreuse":
                    return passed(name, reuse=None)
                case "forget_reuse":
                    del kwargs["reuse"]
                    return passed(name)
                case "dtype":
                    return passed(name, dtype=spec["dtype"])
                case "variable":  # in getters the path of name scopes is empty (R56)
                    self.index(self.api.Variable(1.0, name="g"))
                    return passed(name)
                case "two":
                    first = passed(name + "/0")
                    passed(name + "/1")
                    return first
            raise ValueError(kind)

        return custom_getter

    def make_creator(self, spec: Any) -> Any:
        def creator(next_creator: Any, **kwargs: Any) -> Any:
            match spec["kind"]:
                case "log":
                    self.log.append([spec["tag"], kwargs["name"], "creator"])
                case "suffix":
                    kwargs["name"] = None if kwargs["name"] is None else kwargs["name"] + spec["s"]
                case "nontrain":
                    kwargs["trainable"] = False
            return next_creator(**kwargs)

        return creator

    def shown_reuse(self, reuse: Any) -> Any:
        return "AUTO" if reuse is self.api.AUTO_REUSE else reuse
