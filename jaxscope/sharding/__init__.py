"""Variables on many devices: what lives beside them, and ready-made ways to split them.

How variables are laid out is said by their specs: `specs.with_shardings(rules)`, `specs.with_axes(rules)`,
`specs.shardings(mesh)`, `specs.init(key, mesh=mesh)` and `specs.plan(mesh)`. Here is what goes with these.
"""

from jaxscope.sharding.fsdp import fsdp
from jaxscope.sharding.like import like

__all__ = ["fsdp", "like"]
