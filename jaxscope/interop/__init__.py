"""Other libraries: their modules as layers here, and a net as a module there."""

from jaxscope.interop.adapter import Adapter
from jaxscope.interop.from_equinox import equinox
from jaxscope.interop.from_haiku import haiku
from jaxscope.interop.from_linen import linen
from jaxscope.interop.from_nnx import nnx
from jaxscope.interop.names import names
from jaxscope.interop.to_equinox import as_equinox
from jaxscope.interop.to_haiku import as_haiku
from jaxscope.interop.to_linen import as_linen
from jaxscope.interop.to_nnx import as_nnx

__all__ = [
    "Adapter",
    "as_equinox",
    "as_haiku",
    "as_linen",
    "as_nnx",
    "equinox",
    "haiku",
    "linen",
    "names",
    "nnx",
]
