"""What reads checkpoints into a graph: one error each, which names JAX's way."""

from typing import Any, NoReturn

from jaxscope.tf1.base.errors import GraphLifeError
from jaxscope.tf1.base.exporting import export

__all__ = ["init_from_checkpoint"]


@export("train.init_from_checkpoint", "contrib.framework.init_from_checkpoint")
def init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: Any) -> NoReturn:
    """Refuse: variables get their values outside of the model.

    Args:
        ckpt_dir_or_file: A checkpoint.
        assignment_map: Names of the checkpoint to those of the model.

    Raises:
        GraphLifeError: Always (`graph_life`).
    """
    raise GraphLifeError(
        "tf.train.init_from_checkpoint gives the graph's variables their values, outside of the model here",
        fix="js.checkpoint.load(path, net.spec(...), assignment_map=..., missing='init', key=key)",
    )


def _refused(name: str, way: str) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise GraphLifeError(f"tf.{name} gives the graph's variables their values", fix=way)

    refuse.__name__ = refuse.__qualname__ = name.rpartition(".")[2]
    refuse.__doc__ = "Refuse: variables get their values outside of the model."
    export(name)(refuse)


for _place in ("contrib.framework", "contrib.slim"):
    for _name in ("assign_from_checkpoint", "assign_from_checkpoint_fn"):
        _refused(f"{_place}.{_name}", "js.checkpoint.load(path, net.spec(...), missing='init', key=key)")
    for _name in ("assign_from_values", "assign_from_values_fn"):
        _refused(f"{_place}.{_name}", "variables.replace({name: value})")
