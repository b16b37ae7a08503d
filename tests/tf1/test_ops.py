"""Each recorded call of TF1's operations, on `jaxscope.tf1`: values, dtypes, shapes, gradients, errors."""

import jax
import pytest

from tests.tf1 import recorded_ops as recorded

ALL = recorded.cases()
#: Numbers that 32 bits cannot hold.
WIDE = {"constant.14", "pow.6"}
#: Where the size of the result, or the number of steps, depends on floats: these are known as they are alone.
BY_VALUE = {"unique.1", "while_loop.5"}


def play(case, narrow):
    """Play a case, and compare all that it says."""
    with jax.enable_x64(not narrow):
        out = case["out"]
        if isinstance(out, dict) and "error" in out:
            with pytest.raises(recorded.error_of(out["error"])):
                recorded.refused(case)
            return
        found, grads = recorded.played(case, compiled=case["id"] not in BY_VALUE)
        recorded.check(found, out, narrow=narrow)
        for grad, wanted in zip(grads, case.get("grad", ()), strict=False):
            if wanted is None:
                assert not jax.numpy.any(grad)
            else:
                recorded.close(jax.device_get(grad), wanted)


@pytest.mark.filterwarnings("ignore:.*does nothing in jaxscope.tf1:UserWarning")
@pytest.mark.filterwarnings("ignore:jaxscope runs this call operation by operation:UserWarning")  # exec()
@pytest.mark.parametrize("case", ALL, ids=lambda case: case["id"])
def test_recorded(case):
    """A call gives what it gave in TensorFlow 1."""
    play(case, narrow=not recorded.uses_64_bits(case))


NARROW = [
    case
    for case in ALL
    if recorded.uses_64_bits(case) and not (isinstance(case["out"], dict) and "error" in case["out"])
]


@pytest.mark.filterwarnings("ignore:.*does nothing in jaxscope.tf1:UserWarning")
@pytest.mark.filterwarnings("ignore:jaxscope runs this call operation by operation:UserWarning")  # exec()
@pytest.mark.parametrize(
    "case", [case for case in NARROW if case["id"] not in WIDE], ids=lambda case: case["id"]
)
def test_recorded_in_32_bits(case):
    """Where 64-bit types are off, those of 32 bits stand for them."""
    play(case, narrow=True)
