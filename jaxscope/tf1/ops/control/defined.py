"""`Defun`, from TensorFlow's inside: a function with a gradient of its own."""

from collections.abc import Callable
from typing import Any

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Operation
from jaxscope.tf1.ops.control.functions import custom_gradient

__all__ = ["Defun"]


class _Call(Operation):
    """A call, as a gradient function is told of it."""

    def __init__(self, name: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        super().__init__(name, name, outputs)
        self.inputs = list(inputs)


@export("python.framework.function.Defun")
class Defun:
    """A decorator of functions of tensors: it casts nothing, compiles nothing, and knows gradients.

    Args:
        *input_types: The dtypes of the arguments.
        grad_func: A function of the arguments and of the gradients of the results.
        python_grad_func: A function of an operation, with `inputs` and `outputs`, and of these gradients.
        **kwargs: Without meaning here.

    Example:
        >>> @Defun(python_grad_func=lambda op, dy: dy * 0.5)
        ... def halved(x):
        ...     return x * 1.0
        >>> import jax
        >>> jax.grad(lambda x: halved(x).__jax_array__())(2.0).item()
        0.5
    """

    def __init__(
        self, *input_types: Any, grad_func: Any = None, python_grad_func: Any = None, **kwargs: Any
    ) -> None:
        self._types, self._grad, self._of_operation = input_types, grad_func, python_grad_func

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function.

        Args:
            func: A function of tensors that returns a tensor, or a list of tensors.
        """

        def call(*args: Any, **kwargs: Any) -> Any:
            types = self._types or (None,) * len(args)
            tensors = [convert_to_tensor(one, dtype) for one, dtype in zip(args, types, strict=True)]
            if self._grad is None and self._of_operation is None:
                return func(*tensors, **kwargs)

            def with_gradient(*inputs: Any) -> Any:
                results = func(*inputs, **kwargs)
                many = isinstance(results, list | tuple)

                def grad(*dys: Any) -> Any:
                    if self._of_operation is None:
                        return self._grad(*inputs, *dys)
                    made = tuple(results) if many else (results,)
                    operation = _Call(func.__name__, inputs, made)
                    return self._of_operation(operation, *dys)

                return results, grad

            return custom_gradient(with_gradient)(*tensors)

        call.__name__ = call.__qualname__ = func.__name__
        call.__doc__ = func.__doc__
        return call
