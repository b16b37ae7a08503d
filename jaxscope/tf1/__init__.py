"""TensorFlow 1's names, so that a model function written for it runs unchanged inside `js.transform`.

`import jaxscope.tf1 as tf`. What a name is made of is imported when one is asked for first.
"""

from typing import Any

from jaxscope.tf1.base.faces import look_up, names_here, register
from jaxscope.tf1.installing import as_tensorflow

__all__ = ["as_tensorflow"]

#: The TensorFlow whose names these are, for code that asks.
__version__ = "1.15.0"

#: They run the user's functions in loops, branches and maps: eager calls ask for this.
RUNS_FUNCTIONS = True

register(__name__)


def __getattr__(name: str) -> Any:
    thing = look_up("", name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return [*__all__, *names_here("")]
