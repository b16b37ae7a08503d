"""What TF1 keeps beside variables: slots of optimizers, powers, moving averages, the step, told apart."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from jaxscope.checkpoint.contents import TF1_STEP
from jaxscope.checkpoint.stored import Entry

SLOT, POWER, AVERAGE, STEP, GRAPH = "slot", "power", "average", "step", "graph"
#: What TF1's moving averages are called.
AVERAGES = "ExponentialMovingAverage"
# The optimizers of `tf.train`, and those of well-known projects.
_NAMES = (
    *("Adam", "Momentum", "RMSProp", "Adagrad", "Adadelta", "Ftrl", "AdagradDA", "ProximalAdagrad"),
    *("AdamW", "AdaMax", "Nadam", "LARSOptimizer", "adam_m", "adam_v", "lamb_m", "lamb_v"),
)
_BESIDE = re.compile(rf"(.+)(/({'|'.join(_NAMES)}|{AVERAGES})(?:_[0-9]+)?)", re.DOTALL)
_POWER = re.compile(r"(?:.*/)?beta[12]_power(?:_[0-9]+)?", re.DOTALL)
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"  # of TF2: strings about Python's objects


class Beside(NamedTuple):
    """What an array of a file is.

    Attributes:
        kind: `SLOT`, `POWER`, `AVERAGE`, `STEP` or `GRAPH`.
        variable: The variable that it is of, by its name in the file; "" for none.
        suffix: What is behind that.
    """

    kind: str
    variable: str
    suffix: str


def told_apart(entries: Mapping[str, Entry]) -> dict[str, Beside]:
    """Return those arrays of a file that are beside variables, by name, and what they are.

    A slot or an average has a name of TF1's behind that of a variable that the file has, of the same shape.
    Scopes may be in front, in which the optimizer was made.

    Example:
        >>> import numpy as np
        >>> entry = Entry((2,), np.dtype("float32"))
        >>> told_apart({"a/w": entry, "a/w/Adam": entry, "s/a/w/Momentum": entry, "b/Adam": entry})
        {'a/w/Adam': Beside(kind='slot', variable='a/w', suffix='/Adam'), 's/a/w/Momentum': ...}
    """
    found: dict[str, Beside] = {}
    for name, entry in entries.items():
        if name == _OBJECTS:
            found[name] = Beside(GRAPH, "", "")
        elif name == TF1_STEP:
            found[name] = Beside(STEP, "", "")
        elif _POWER.fullmatch(name) and entry.shape == ():
            found[name] = Beside(POWER, "", name.rpartition("/")[2])
        elif match := _BESIDE.fullmatch(name):
            variable = _variable(match[1], entry, entries)
            if variable is not None:
                found[name] = Beside(AVERAGE if match[3] == AVERAGES else SLOT, variable, match[2])
    return found


def _variable(name: str, entry: Entry, entries: Mapping[str, Entry]) -> str | None:
    while name:
        other = entries.get(name)
        if other is not None and other.shape == entry.shape:
            return name
        name = name.partition("/")[2]
    return None


def slots(entries: Mapping[str, Entry], given: Mapping[str, str]) -> dict[str, str]:
    """Return what `js.optim.from_tf1_slots` asks for -> its name in the file.

    Args:
        entries: What the file has.
        given: Full name here -> name in the file, of variables, whose slots follow. Scopes in front of slots
            are left out, unless two would have one name.
    """
    here = {name: new for new, name in given.items()}
    names: dict[str, list[str]] = {}
    for name, one in told_apart(entries).items():
        if one.kind == SLOT:
            names.setdefault(here.get(one.variable, one.variable) + one.suffix, []).append(name)
        elif one.kind in (POWER, STEP):
            names.setdefault(one.suffix or name, []).append(name)
    return {new if len(of) == 1 else name: name for new, of in names.items() for name in of}
