"""A program for four devices: arrays that are spread over them are looked at where they are."""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.inspect import histograms


@js.transform
def net(x):
    with js.variable_scope("first"):
        x = x + js.get_variable("b", [8])
    with js.variable_scope("second"):
        return jax.numpy.log(x)


def main():
    mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    place = NamedSharding(mesh, P("d"))
    values = np.random.default_rng(0).normal(size=(4096, 8)).astype("float32")
    values[1000, 3], values[3000, 2] = np.nan, np.inf
    whole = {"large": values, "small": np.ones(8, "float32")}
    spread = {name: jax.device_put(value, place) for name, value in whole.items()}
    there, here = js.inspect.summary(spread, None), js.inspect.summary(whole, None)
    for one, other in zip(there.rows, here.rows, strict=True):
        assert (one.nan, one.inf) == (other.nan, other.inf)
        np.testing.assert_allclose(one[6:10], other[6:10], rtol=1e-5)
    assert there.total.nan == 1
    assert not js.inspect.diff(spread, whole)
    bars = {name: text for name, _, text in histograms.of_all(whole.items())}
    assert {name: text for name, _, text in histograms.of_all(spread.items())} == bars
    assert "d: 4" in js.inspect.page(spread).html

    x = jax.device_put(np.ones((8, 8), "float32"), place).at[5, 5].set(-1)
    variables = {"first/b": np.zeros(8, "float32")}
    for capture in (js.inspect.capture(net), jax.jit(js.inspect.capture(net))):
        assert capture(variables, x)[1].first_nan().scope == "second"
    print("done")


if __name__ == "__main__":
    main()
