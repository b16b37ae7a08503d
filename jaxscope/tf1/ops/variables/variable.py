"""`tf.Variable`: a variable of a pass as an object, with TensorFlow's manners."""

import contextvars
import warnings
import weakref
from typing import Any, ClassVar, NoReturn

import jax

import jaxscope as js
from jaxscope.sites import users_line
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, as_dtype
from jaxscope.tf1.base.errors import GraphLifeError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.pending import is_pending
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Operation, Tensor, wrap
from jaxscope.tf1.ops.variables.adapting import on_arrays, value_of
from jaxscope.tf1.ops.variables.finding import ELSEWHERE, NAMED, found_name, kept_in, read
from jaxscope.tf1.ops.variables.remaking import starting_value
from jaxscope.tf1.ops.variables.traces import trace_state

__all__ = ["Variable", "object_of", "trained", "written"]

#: Inside of `tf1.train_step`: full name -> the value that a trainable variable got. Else None.
trained: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("trained", default=None)

#: The objects, by the identity of the array that they were got with last.
_objects: "weakref.WeakValueDictionary[int, Variable]" = weakref.WeakValueDictionary()


@export("Variable", "VariableV1")
class Variable:
    """A variable: found by name with `tf.get_variable`, or made anew by this class.

    It is used as a tensor everywhere. It lives in one pass; what lasts are the arrays that `net.init`,
    `net.apply_with_state` and `tf1.train_step` return, under its name.

    Args:
        initial_value: What it begins with: a tensor, numbers, or a function without arguments.
        trainable: Whether gradients are taken of it.
        collections: The collections that it is in, instead of `variables`.
        validate_shape: Without meaning here: shapes are known.
        caching_device: Without meaning here.
        name: Its own name behind the name scopes that are open; a name that is taken is numbered.
        variable_def: Must be None: there is no graph to take it from.
        dtype: The dtype; the value's if left out.
        expected_shape: Without meaning here, as in TensorFlow 1.
        import_scope: Without meaning here.
        constraint: A function that projects a new value, for optimizers to apply.
        use_resource: Without meaning here.
        synchronization: Without meaning here.
        aggregation: Without meaning here.
        shape: A shape that the value must be compatible with.

    Raises:
        TensorValueError: If there is no initial value, or it has another shape (`tensor_value`).
        GraphLifeError: With `variable_def` (`graph_life`).
        JaxscopeError: What `js.Variable` raises.

    Example:
        >>> net = js.transform(lambda: Variable(initial_value=3.0, name="my_variable").name)
        >>> net.apply({"my_variable": jnp.float32(3)})
        'my_variable:0'
    """

    __array_priority__ = 101  # NumPy arrays on the left of an operator leave it to the variable
    #: Names of operators that tensors have, and variables hand on.
    OPERATORS: ClassVar[list[str]] = [
        f"__{side}{name}__"
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
        for side in ("", "r")
    ] + [f"__{name}__" for name in ("neg", "abs", "invert", "lt", "le", "gt", "ge", "getitem")]

    _array: Any
    _state: Any
    _named: str | None
    _scope: Any
    _own: str
    _trainable: bool

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: Any = None,
        constraint: Any = None,
        use_resource: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        del validate_shape, caching_device, expected_shape, import_scope
        del use_resource, synchronization, aggregation
        if variable_def is not None:
            raise GraphLifeError(
                "variable_def is of TensorFlow's graph, which is not here", fix="leave it out"
            )
        if initial_value is None:
            raise TensorValueError("tf.Variable needs an initial_value", code="no_initial_value")
        trainable = trainable is not False
        start, sizes = start_of(initial_value, dtype)
        array = js.Variable(
            start,
            trainable,
            kept_in(collections, trainable),
            name="Variable" if name is None else name,
            dtype=None if sizes is None else start.dtype,
            shape=sizes,
            constraint=on_arrays(constraint),
        )
        if shape is not None and not TensorShape(shape).is_compatible_with(array.shape):
            raise TensorValueError(f"the initial value has shape {array.shape}, not {TensorShape(shape)}")
        self._begin(array, found_name(array, name), trainable)

    def _begin(self, array: Any, name: str | None, trainable: bool, scope: Any = None, own: str = "") -> None:
        self._named, self._scope, self._own = name, scope, own
        self._trainable = trainable
        self._note(array)

    def _note(self, array: Any) -> None:
        """Note the array that the variable is in the present trace."""
        self._array, self._state = array, trace_state()
        _objects[id(array)] = self

    # --- what it is ------------------------------------------------------------------------------

    @property
    def _full(self) -> str:
        """The full name, as jaxscope has it."""
        if self._named is None:
            scope = self._scope.name
            self._named = f"{scope}/{self._own}" if scope else self._own
        return self._named

    def _is_called(self, name: str | None, scope: Any, own: str) -> bool:
        """Tell whether it has a name: one array may be the value of several variables."""
        if name is None:
            if scope is self._scope and own == self._own:
                return True
            if not self._full.endswith(own):
                return False
            name = f"{scope.name}/{own}" if scope.name else own
        return name == self._full

    @property
    def name(self) -> str:
        """The full name, and `:0`."""
        return f"{self._full}:0"

    @property
    def _shared_name(self) -> str:
        return self._full

    @property
    def op(self) -> Operation:
        """The operation that stands for it, whose name is the full name."""
        return Operation(self._full, "VariableV2", (self,))

    @property
    def shape(self) -> TensorShape:
        """The shape."""
        return TensorShape(self._array.shape)

    def get_shape(self) -> TensorShape:
        """Return the shape."""
        return TensorShape(self._array.shape)

    def set_shape(self, shape: Any) -> None:
        """Check that the shape is one that `shape` allows; raise `ValueError` if not."""
        self.get_shape().merge_with(shape)

    @property
    def dtype(self) -> DType:
        """The dtype."""
        return as_dtype(self._array.dtype)

    @property
    def trainable(self) -> bool:
        """Whether gradients are taken of it."""
        return self._trainable

    @property
    def device(self) -> str:
        """Always `""`: JAX places programs as wholes."""
        return ""

    @property
    def initializer(self) -> Operation:
        """An operation that does nothing: `net.init` gives variables their values."""
        return Operation(f"{self._full}/Assign", "Assign")

    @property
    def initial_value(self) -> Tensor:
        """The value before any training: in `net.init` the initial one."""
        return self.initialized_value()

    @property
    def constraint(self) -> None:
        """Always None: constraints are in the specs, where `js.optim.constrain` finds them."""
        return

    # --- its value -------------------------------------------------------------------------------

    def __tf_tensor__(self) -> Tensor:
        return wrap(self._read(), "Identity")

    def _read(self) -> Any:
        """Return the value that it has now, in the present trace."""
        over = changed_values()
        if over and self._full in over:
            return over[self._full]
        return self._untrained()

    def _untrained(self) -> Any:
        """Return the value that it has in the pass, without what `tf1.train_step` has changed."""
        if self._trainable and self._state == trace_state():
            return self._array
        found = read(self._full)
        if found is not None:
            self._note(found)
        return self._array

    def value(self) -> Tensor:
        """Return its value as a tensor."""
        return self.__tf_tensor__()

    def read_value(self) -> Tensor:
        """Return its value as a tensor."""
        return self.__tf_tensor__()

    def initialized_value(self) -> Tensor:
        """Return its value as a tensor, before any training: in `net.init` the initial one."""
        return wrap(self._untrained(), "Identity")

    def _as_graph_element(self) -> Tensor:
        return self.__tf_tensor__()

    def _ref(self) -> "Variable":
        return self

    def ref(self) -> "Variable":
        """Return it."""
        return self

    def __jax_array__(self) -> jax.Array:
        return self.__tf_tensor__().__jax_array__()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.__tf_tensor__().__array__(*args, **kwargs)

    # --- writing ---------------------------------------------------------------------------------

    def assign(
        self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Tensor:
        """Give it a value, at once, and return that.

        Args:
            value: What can be a tensor, of its dtype and shape.
            use_locking: Without meaning here.
            name: A name for the result.
            read_value: Without meaning here.

        Raises:
            TensorValueError: If the value has another shape (`shapes_disagree`) or dtype (`tensor_dtype`).
            StateError: Where `js.set_variable` refuses. The value of a trainable variable ends with the pass,
                which is said by a warning, unless `tf1.train_step` keeps it.
        """
        del use_locking, read_value
        new = value_of(value, self.dtype)
        return wrap(written(self, new), "Assign", name)

    def assign_add(
        self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Tensor:
        """Add a value to it, at once, and return the sum.

        Args:
            delta: What can be a tensor, of its dtype and shape.
            use_locking: Without meaning here.
            name: A name for the result.
            read_value: Without meaning here.
        """
        del use_locking, read_value
        return self._changed("AssignAdd", lambda old, by: old + by, delta, name)

    def assign_sub(
        self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Tensor:
        """Subtract a value from it, at once, and return the difference.

        Args:
            delta: What can be a tensor, of its dtype and shape.
            use_locking: Without meaning here.
            name: A name for the result.
            read_value: Without meaning here.
        """
        del use_locking, read_value
        return self._changed("AssignSub", lambda old, by: old - by, delta, name)

    def _changed(self, kind: str, function: Any, delta: Any, name: Any) -> Tensor:
        by = wrap(value_of(delta, self.dtype))
        new = compute(kind, function, self.__tf_tensor__(), by, known=False)
        return wrap(written(self, new._held), kind, name)

    def load(self, value: Any, session: Any = None) -> NoReturn:
        """Refuse: there are no sessions."""
        raise GraphLifeError("Variable.load needs a session", fix="variables.replace({name: value})")

    def eval(self, session: Any = None) -> NoReturn:
        """Refuse: there are no sessions."""
        raise GraphLifeError(
            "Variable.eval needs a session, and there is none", fix="the value is in what net.init returned"
        )

    def count_up_to(self, limit: Any) -> NoReturn:
        """Refuse: a program has no end by an error."""
        raise GraphLifeError(
            "count_up_to ends a queue", fix="tf.assign_add, and a Python loop around the step"
        )

    # --- Python ----------------------------------------------------------------------------------

    def __iter__(self) -> NoReturn:
        raise TensorTypeError("a Variable was iterated over", code="tensor_iter", fix="tf.unstack(v)")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={self.get_shape()} dtype={self.dtype.name}>"

    class SaveSliceInfo:
        """Where a piece lies in a variable that is cut; here none is."""


def _handed_on(name: str) -> Any:
    def operator(self: Variable, *args: Any) -> Any:
        return getattr(self.__tf_tensor__(), name)(*args)

    operator.__name__ = name
    return operator


for _name in Variable.OPERATORS:
    setattr(Variable, _name, _handed_on(_name))


js.register_returned(Variable, lambda variable: jax.numpy.asarray(variable._read()))


def start_of(value: Any, dtype: Any) -> tuple[Any, Any]:
    """Return what `js.Variable` starts from, and a shape where that is an initializer."""
    if callable(value) and not hasattr(type(value), "__tf_tensor__"):
        value = value()
    start = apart(starting_value(convert_to_tensor(value, dtype)))
    return (start, start.shape) if is_pending(start) else (start, None)


def apart(array: Any) -> Any:
    """Return a copy of an array that is a variable's value: two variables are told apart by their arrays."""
    return array if known_object(array) is None else jax.numpy.array(array)


class _Changed:
    """The values that trainable variables were given in a pass, which it does not return."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        _passes.add(self)


#: The passes in which there are such values.
_passes: "weakref.WeakSet[_Changed]" = weakref.WeakSet()


def changed_values() -> dict[str, Any] | None:
    """Return the values that trainable variables were given, by full name; None where there are none."""
    over = trained.get()
    if over is not None:
        return over
    return js.per_pass("jaxscope.tf1 values", _Changed).values if _passes else None


def written(variable: Variable, new: Any) -> Any:
    """Give a variable a new value, in the pass or in the step that trains it, and return what it then is."""
    if tuple(new.shape) != tuple(variable._array.shape):
        raise TensorValueError(
            f"{variable.name} of shape {variable.get_shape()} is given a value of {tuple(new.shape)}",
            code="shapes_disagree",
        )
    if not variable._trainable:
        js.set_variable(full_name=variable._full, value=new)
        return variable._read()
    over = trained.get()
    if over is None:
        over = js.per_pass("jaxscope.tf1 values", _Changed).values
        _warn(variable)
    over[variable._full] = jax.numpy.asarray(new)
    return over[variable._full]


_warned: set[str] = set()


def _warn(variable: Variable) -> None:
    """Say once of a variable that what it is given is gone when the pass ends."""
    if variable._full not in _warned:
        _warned.add(variable._full)
        warnings.warn(
            f"tf.assign to {variable.name}, which is trainable, does nothing in jaxscope.tf1 beyond the pass "
            f"({users_line()}); tf1.train_step keeps the value, and trainable=False makes it state",
            UserWarning,
            stacklevel=4,
        )


def object_of(
    array: Any, name: str | None = None, *, trainable: bool = True, scope: Any = None, own: str = ""
) -> Variable:
    """Return the one object of a variable, by the array that it is in the present trace.

    Args:
        array: The array.
        name: Its full name; None where it is `own` in `scope`.
        trainable: Whether it is trained.
        scope: The scope in which it was asked for.
        own: Its own name in that scope.
    """
    known = _objects.get(id(array))
    if known is not None and known._array is array and known._is_called(name, scope, own):
        return known
    made: Variable = object.__new__(Variable)
    made._begin(array, name, trainable, scope, own)
    return made


def known_object(array: Any) -> Variable | None:
    """Return the object of an array that a variable is known to be, or None."""
    known = _objects.get(id(array))
    return known if known is not None and known._array is array else None


def objects_of(named: dict[str, Any]) -> list[Variable]:
    """Return the objects of variables by name, in their order."""
    trained_names = js.trainable_variables() if named else {}
    return [object_of(array, name, trainable=name in trained_names) for name, array in named.items()]


def all_variables() -> dict[str, Any]:
    """Return what all variables of this pass are now, by full name."""
    objects = [known_object(array) for array in js.get_collection(ELSEWHERE)]
    found = {one._full: one._array for one in objects if one is not None}
    for find in NAMED.values():
        found |= find()
    return found
