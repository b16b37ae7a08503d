"""The rules of variable scopes once more, in plain Python: what jaxscope is checked against.

A `Model` is one pass. It has the surface of `jaxscope`, so that `interpreter.Run` can drive either, and
shares no code with it. Comments name the rules of the reference.
"""

from typing import Any

from tests.conformance.initial import Initial, RuleError, fits
from tests.conformance.model_scopes import Made, Scopes, check_getter, join, refuse_string
from tests.conformance.model_template import Template


def check_trainable(trainable: bool, collections: Any) -> None:
    if not trainable and collections is not None and "trainable_variables" in collections:
        raise RuleError("trainable_conflict")  # R45


class Model(Scopes):
    """One pass: a recording, or with `given` (full name -> variable) a replay."""

    no_regularizer = "no_regularizer"

    def __init__(self, given: dict[str, Made] | None = None) -> None:
        super().__init__()
        self.given = given
        self.later_calls = 0
        self.unsettled = False  # whether a program has done what the rules leave open
        self.templates: list[Template] = []

    # What `interpreter.Run` asks of an implementation. ------------------------------------------------

    initializer = staticmethod(Initial)

    @staticmethod
    def describe(error: Exception) -> tuple[str, str]:
        if isinstance(error, RuleError):
            return error.category, error.code
        raise error  # the model itself is wrong

    @staticmethod
    def loss(variable: Any, number: int) -> int:
        return number

    @staticmethod
    def loss_number(loss: int) -> int:
        return loss

    @staticmethod
    def partitioner(spec: Any) -> Any:
        return tuple(spec.items())

    @staticmethod
    def dtype_name(dtype: str) -> str:
        return dtype

    # Requests. ----------------------------------------------------------------------------------------

    def get_local_variable(self, name: Any, *args: Any, **kwargs: Any) -> Made:
        kwargs["trainable"] = False
        kwargs["collections"] = [*(kwargs.get("collections") or ()), "local_variables"]  # R43
        return self.get_variable(name, *args, **kwargs)

    def get_variable(
        self,
        name: Any,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool = True,
        collections: Any = None,
        *,
        partitioner: Any = None,
        constraint: Any = None,
        custom_getter: Any = None,
    ) -> Made:
        scope = self.stack[-1]
        if not isinstance(name, str):
            raise RuleError("not_a_string")
        if not name:
            raise RuleError("invalid_characters")
        full = join(scope.name, name)
        self.check_full_name(full)  # R23 (1)
        refuse_string(initializer)  # (2)
        explicit = dtype is not None
        if initializer is not None and initializer.conflicts(dtype):
            raise RuleError("constant_dtype_conflict")  # (3)
        check_getter(custom_getter)  # (4)
        getters = scope.getters if custom_getter is None else (custom_getter,)
        resolved = {
            "shape": None if shape is None else tuple(shape),
            "dtype": dtype if explicit else scope.dtype,
            "initializer": scope.initializer if initializer is None else initializer,
            "regularizer": scope.regularizer if regularizer is None else regularizer,
            "reuse": scope.reuse,
            "trainable": trainable,
            "collections": collections,
            "constraint": scope.constraint if constraint is None else constraint,
            "partitioner": scope.partitioner if partitioner is None else partitioner,
        }

        def call(chain: tuple[Any, ...], name: Any, **kwargs: Any) -> Made:
            kwargs.setdefault("reuse", scope.reuse)  # R39
            if not chain:
                return self._request(explicit, name, **kwargs)
            return chain[0](lambda name, **kw: call(chain[1:], name, **kw), name, **kwargs)

        path, self.path = self.path, ""  # R56: in getters the path is empty
        try:
            return call(getters, full, **resolved)
        finally:
            self.path = path

    def _request(
        self,
        explicit: bool,
        name: Any,
        reuse: Any,
        shape: Any = None,
        dtype: str = "float32",
        initializer: Initial | None = None,
        regularizer: Any = None,
        trainable: bool = True,
        collections: Any = None,
        constraint: Any = None,
        partitioner: Any = None,
    ) -> Made:
        self.check_full_name(name)  # (5)
        if initializer is not None and initializer.is_constant and shape is not None:
            raise RuleError("constant_with_shape")  # (6)
        if any(size is not None and size < 0 for size in shape or ()):
            raise RuleError("negative_dimension")  # (7)
        if name in self.books.store:  # (8)
            found = self.books.store[name]
            if reuse is False:
                raise RuleError("exists")
            if not fits(shape, found.shape):
                raise RuleError("shape_mismatch")
            if explicit and dtype != found.dtype:
                raise RuleError("dtype_mismatch")
            return found
        if reuse is True:
            raise RuleError("missing")  # (9)
        if name in self.books.plain:
            raise RuleError("exists")  # (10)
        if initializer is None:  # (11)
            if shape is None:
                raise RuleError("no_shape")
            initializer = Initial.by_dtype(dtype)
        full = shape is not None and None not in shape
        if not full and initializer.wants_shape:
            raise RuleError("init_needs_full_shape")  # (12)
        if explicit and initializer.conflicts(dtype):
            raise RuleError("constant_dtype_conflict")  # (13)
        decides = initializer.decides and not full

        def value(name: str, constraint: Any) -> Made:
            if self.given is None:
                made_shape, made_dtype, init = initializer.run(shape if full else None, dtype)
                return Made(name, made_shape, made_dtype, init=init, constraint=constraint)
            leaf = self._leaf(name)  # R4
            if initializer.is_constant:
                self._compare(initializer, leaf)
            if not decides and not fits(shape, leaf.shape):
                raise RuleError("shape_mismatch")
            if not decides and explicit and dtype != leaf.dtype:
                raise RuleError("dtype_mismatch")
            return leaf

        def build(trainable: bool, collections: Any, constraint: Any, **_: Any) -> Made:
            check_trainable(trainable, collections)
            made = value(name, constraint)
            loss = None
            if regularizer is not None and regularizer is not self.no_regularizer:
                loss = regularizer(made)  # (18)
            self.books.asked[name] += 1  # R58
            self._enter_books(made, name, trainable, collections)
            self.books.store[name] = made
            if loss is not None:
                self.books.losses.append(loss)
            return made

        return self._make(
            build, name=name, trainable=trainable, collections=collections, constraint=constraint
        )

    def Variable(
        self,
        initial_value: Any,
        trainable: bool = True,
        collections: Any = None,
        *,
        name: Any = None,
        dtype: Any = None,
    ) -> Made:
        if name is not None:
            self.check_own_name(name)  # R54

        def build(name: Any, trainable: bool, collections: Any, **_: Any) -> Made:
            if name is not None:
                self.check_own_name(name)
            check_trainable(trainable, collections)
            asked = self.books.asked.copy()
            full = self.unique(join(self.path, name or "Variable"))
            try:
                if self.given is None:
                    shape, of_value, init = Initial({"py": initial_value}).run(None, "")
                    made = Made(full, shape, dtype or of_value, init=init, plain=True)
                else:
                    made = self._leaf(full)
                    self._compare(Initial({"py": initial_value}), made)
            except RuleError:
                self.books.asked = asked  # R24
                raise
            self._enter_books(made, full, trainable, collections)
            self.books.plain[full] = made
            return made

        return self._make(build, name=name, trainable=trainable, collections=collections)

    def _compare(self, constant: Initial, leaf: Made) -> None:
        """R4 does not say whether the shape of an initial value is one that is asked for."""
        shape, *_ = constant.run(None, "")
        self.unsettled = self.unsettled or shape != leaf.shape

    def _leaf(self, name: str) -> Made:
        assert self.given is not None
        if name not in self.given:
            raise RuleError("missing")
        return self.given[name]

    def _make(self, build: Any, **kwargs: Any) -> Made:
        check_trainable(kwargs["trainable"], kwargs["collections"])  # (14)
        if self.later_calls:
            raise RuleError("template_new_variable")  # (15)
        creators = list(self.creators)

        def call(level: int, **kwargs: Any) -> Made:
            if level == 0:
                return build(**kwargs)
            return creators[level - 1](lambda **kw: call(level - 1, **kw), **kwargs)

        return call(len(creators), **kwargs)  # (16)

    def _enter_books(self, made: Made, name: str, trainable: bool, collections: Any) -> None:
        keys = ["variables"] if collections is None else list(collections)
        if trainable:
            keys.append("trainable_variables")
        for key in dict.fromkeys(keys):  # R42
            self.books.collections.setdefault(key, []).append(made)
        made.trainable = trainable
        self.books.names[id(made)] = name

    # Templates. ---------------------------------------------------------------------------------------

    def make_template(self, name_: Any, func_: Any, **options: Any) -> "Template":
        return Template(self, name_, func_, **options)
