"""Options: what requests inherit from their scope."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxscope._core.requests.arguments import Reuse
from jaxscope._core.requests.starts import default_for


class Options(NamedTuple):
    """What requests inherit from their scope; immutable, so that scopes can share one."""

    reuse: Reuse = False
    dtype: Any = np.dtype("float32")
    initializer: Any = None
    regularizer: Any = None
    custom_getter: Callable[..., Any] | None = None
    partitioner: Any = None
    constraint: Any = None
    named: bool = True  # whether the scope's full name is one that a variable's may begin with
    plain: bool = True  # whether no rule has a say in a request that names but a shape and an initializer

    def changed(self, **options: Any) -> "Options":
        """Return these options with others in the place of some."""
        new = self._replace(**options)
        start = new.initializer
        plain = (
            new.named
            and new.reuse is not True
            and new.regularizer is new.custom_getter is None
            and (callable(start) or (start is None and default_for(new.dtype) is not None))
        )
        return new._replace(plain=plain)
