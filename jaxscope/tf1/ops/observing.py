"""What only observes a program: accepted, and does nothing, once with a warning."""

import contextlib
import warnings
from collections.abc import Generator
from typing import Any

from jaxscope.sites import users_line
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.exporting import export, export_constant, export_later
from jaxscope.tf1.base.tensor import Operation, Tensor

__all__ = ["Print", "add_check_numerics_ops", "colocate_with", "device", "set_random_seed", "warn_once"]

_warned: set[str] = set()


def warn_once(name: str, way: str) -> None:
    """Say once in a process that a name does nothing here, and what to use instead."""
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"tf.{name} does nothing in jaxscope.tf1 ({users_line()}); {way}", UserWarning, stacklevel=4
        )


def _observer(name: str, way: str) -> Any:
    def observe(*_: Any, **__: Any) -> Any:
        warn_once(name.partition(".")[0], way)
        return Operation(name, name)

    observe.__name__ = observe.__qualname__ = name.rpartition(".")[2]
    return observe


def _summary(name: str) -> Any:
    return _observer(f"summary.{name}", "return what you want to see from the model")


export_later("summary", _summary)
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}
for _level, _number in _LEVELS.items():
    export_constant(_number, f"logging.{_level}")
for _name in [
    "debug",
    "error",
    "fatal",
    "info",
    "log",
    "log_every_n",
    "log_first_n",
    "log_if",
    "vlog",
    "warn",
    "warning",
    "set_verbosity",
    "get_verbosity",
    "flush",
    "TaskLevelStatusMessage",
]:
    export_constant(
        _observer(f"logging.{_name}", "Python's logging speaks while a model is traced"), f"logging.{_name}"
    )


@export("device")
@contextlib.contextmanager
def device(device_name_or_function: Any = None) -> Generator[None]:
    """Accept a device, and let JAX place the program.

    Args:
        device_name_or_function: What TensorFlow would place operations by; without meaning here.
    """
    if device_name_or_function is not None:
        warn_once("device", "JAX places whole programs: jax.device_put, jax.sharding")
    yield


@export("colocate_with")
@contextlib.contextmanager
def colocate_with(op: Any = None, ignore_existing: bool = False) -> Generator[None]:
    """Accept a place, and let JAX place the program.

    Args:
        op: Beside what TensorFlow would place operations; without meaning here.
        ignore_existing: Without meaning here.
    """
    yield


@export("Print")
def Print(
    input_: Any,
    data: Any = None,
    message: Any = None,
    first_n: Any = None,
    summarize: Any = None,
    name: Any = None,
) -> Tensor:
    """Return `input_`, and print nothing.

    Args:
        input_: A tensor.
        data: What TensorFlow would print.
        message: What it would print before.
        first_n: How often.
        summarize: How much.
        name: A name.
    """
    warn_once("Print", "jax.debug.print(...) prints while the program runs")
    return convert_to_tensor(input_)


@export("print")
def print_(*inputs: Any, **kwargs: Any) -> Operation:
    """Return an operation that prints nothing.

    Args:
        *inputs: What TensorFlow would print.
        **kwargs: How it would.
    """
    warn_once("print", "jax.debug.print(...) prints while the program runs")
    return Operation("PrintV2", "PrintV2")


@export("add_check_numerics_ops")
def add_check_numerics_ops() -> Operation:
    """Return an operation that checks nothing."""
    warn_once("add_check_numerics_ops", "jax.config.update('jax_debug_nans', True)")
    return Operation("check_numerics", "NoOp")


@export("set_random_seed", "random.set_random_seed")
def set_random_seed(seed: Any) -> None:
    """Accept a seed, which has no meaning: keys are given to `net.init` and `net.apply`.

    Args:
        seed: The seed.
    """
    warn_once("set_random_seed", "the key of net.init and net.apply decides all that is random")


class _Written:
    """A message that nobody reads: it has whatever is asked for, and takes whatever is given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Written()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Written()


@export("contrib.tensorboard.plugins.projector.ProjectorConfig")
def ProjectorConfig() -> Any:
    """Return what a program fills in for TensorBoard, and nobody reads."""
    return _Written()


@export("contrib.tensorboard.plugins.projector.visualize_embeddings")
def visualize_embeddings(summary_writer: Any, config: Any) -> None:
    """Accept what TensorBoard would show.

    Args:
        summary_writer: Where TensorFlow would write it.
        config: What it would show.
    """
    warn_once("contrib.tensorboard", "tables are in the variables: variables['embedding']")
