"""Loading by TF1's habits: assignment maps, moving averages, slots of optimizers, the step."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js
from jaxscope.errors import VariablesMismatchError
from tests.checkpoint.nets import same
from tests.checkpoint.tf1.tables import RECORDED, expected

optax = pytest.importorskip("optax", reason="optimizer states are optax's")

ADAM = RECORDED / "adam"
VALUES = expected("adam")


def specs(*given: tuple[str, list[int]]) -> js.VariableSpecs:
    """Return specs of names and shapes."""

    @js.transform
    def net() -> None:
        for name, shape in given:
            js.get_variable(name, shape, trainable=not name.endswith("moving_mean"))

    return net.spec()


def under(prefix: str) -> js.VariableSpecs:
    return specs((f"{prefix}w", [3, 4]), (f"{prefix}b", [4]), (f"{prefix}moving_mean", [4]))


NET = under("net/")


def test_what_is_beside_variables_is_no_surprise():
    """A training's checkpoint fits the net's specs as it is; what is of nobody does not."""
    loaded = js.checkpoint.load(ADAM, NET)
    assert sorted(loaded) == sorted(NET)
    assert loaded.step == 5
    assert loaded.report.left == []
    assert sorted(loaded.report.beside) == sorted(set(VALUES) - set(NET))
    assert str(loaded.report).startswith(f"{ADAM}: 3 used, 0 renamed, 0 cast, 0 missing, 0 left, 9 beside")
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(ADAM, NET.select("net/[wm]"))
    # The slots of what is not asked for are beside it all the same.
    assert caught.value.facts["extra"] == "net/b float32[4]"


def test_all_of_it():
    """Without specs everything is a variable; what optimizers keep is none to be trained."""
    loaded = js.checkpoint.load(ADAM)
    assert sorted(loaded) == sorted(VALUES)
    assert sorted(loaded.variables.trainable) == ["net/b", "net/moving_mean", "net/w"]


def test_the_optimizer_goes_on():
    """Adam's moments and count come out of the slots, under the names that variables have here."""
    tx = optax.adam(0.1)
    renamed = under("mine/")
    for how in ({"rename": {r"net/(.*)": r"mine/\1"}}, {"assignment_map": {"net/": "mine/"}}):
        loaded = js.checkpoint.load(ADAM, renamed, **how)
        params = loaded.variables.trainable
        assert "mine/w/Adam" in loaded.slots
        state = js.optim.from_tf1_slots(tx.init(params), params, loaded.slots)
        assert state[0].count == 5
        np.testing.assert_array_equal(state[0].mu["mine/w"], VALUES["net/w/Adam"])
        np.testing.assert_array_equal(state[0].nu["mine/b"], VALUES["net/b/Adam_1"])


def test_slots_that_were_made_in_a_scope():
    """The scope in front of them, which TF1 put there, is left out."""
    loaded = js.checkpoint.load(RECORDED / "scoped")
    params = loaded.variables.select("deepq/q/")
    state = js.optim.from_tf1_slots(optax.adam(0.1).init(params), params, loaded.slots)
    assert state[0].count == 3
    for name in ("scoped", "dqn_mlp_tiny.ckpt"):
        loaded = js.checkpoint.load(RECORDED / name)
        params = loaded.variables.select("deepq/q")
        for full in params:
            np.testing.assert_array_equal(loaded.slots[f"{full}/Adam"], loaded[f"deepq/{full}/Adam"])
            np.testing.assert_array_equal(loaded.slots[f"{full}/Adam_1"], loaded[f"deepq/{full}/Adam_1"])
        assert len(loaded.slots) == 2 * len(params) + 2


def test_two_slots_of_one_name_keep_theirs(tmp_path: Any):
    given = {"w": np.ones(2), "a/w/Adam": np.ones(2), "b/w/Adam": np.zeros(2), "beta1_power": np.float32(0.9)}
    js.checkpoint.save(
        tmp_path / "m.ckpt", {name: np.asarray(value, "float32") for name, value in given.items()}
    )
    slots = js.checkpoint.load(tmp_path / "m.ckpt").slots
    assert sorted(slots) == ["a/w/Adam", "b/w/Adam", "beta1_power"]


def test_slots_go_back(tmp_path: Any):
    """What was trained here is TF1's checkpoint of a training."""
    variables = js.Variables({"a/w": jnp.ones(3)})
    state = optax.adam(0.1).init(variables)
    js.checkpoint.save(tmp_path / "m.ckpt-7", variables | js.optim.tf1_slots(state, variables), step=7)
    assert [name for name, _ in js.checkpoint.list_variables(tmp_path)] == [
        *("a/w", "a/w/Adam", "a/w/Adam_1", "beta1_power", "beta2_power", "global_step")
    ]
    loaded = js.checkpoint.load(tmp_path)
    same(js.optim.from_tf1_slots(state, variables, loaded.slots), state)
    assert loaded.step == 7


def test_a_state_of_ours_is_none_of_tf1s():
    with pytest.raises(VariablesMismatchError, match="from_tf1_slots"):
        js.checkpoint.load(ADAM, NET, opt_state=optax.adam(0.1).init({"w": jnp.ones(2)}))
    assert js.checkpoint.load(ADAM, NET).opt_state is None


def test_formats_of_others_have_no_slots(tmp_path: Any):
    np.savez(tmp_path / "m.npz", **{"w": np.ones(2), "w/Adam": np.ones(2)})
    assert js.checkpoint.load(tmp_path / "m.npz").slots == {}
    with pytest.raises(VariablesMismatchError, match="w/Adam"):
        js.checkpoint.load(tmp_path / "m.npz", specs(("w", [2])))


# --- moving averages -------------------------------------------------------------------------------


def test_averages():
    """Those of what is trained; the others under their own names, as TF1's evaluations took them."""
    loaded = js.checkpoint.load(ADAM, NET, assignment_map=js.checkpoint.variables_to_restore(NET))
    for full in ("net/w", "net/b"):
        np.testing.assert_array_equal(loaded[full], VALUES[f"{full}/ExponentialMovingAverage"])
    np.testing.assert_array_equal(loaded["net/moving_mean"], VALUES["net/moving_mean"])


def test_averages_as_recorded():
    """The map that TF1 made for a graph with second averages."""
    recorded = json.loads((RECORDED / "cifar10_to_restore.json").read_text())
    shapes = dict(js.checkpoint.list_variables(RECORDED / "cifar10_towers_tiny.ckpt"))
    asked = js.VariableSpecs(
        js.VariableSpec(
            name, tuple(shape), np.dtype("float32"), trainable=name.endswith(("weights", "biases"))
        )
        for name, shape in shapes.items()
    )
    assert js.checkpoint.variables_to_restore(asked, name="ExponentialMovingAverage_1") == recorded
    assert set(js.checkpoint.variables_to_restore(asked).values()) == set(shapes)


# --- assignment maps -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment_map", "prefix"),
    [
        ({"net/": "other/"}, "other/"),
        ({"net/": "/"}, ""),
        ({"/": "here/"}, "here/net/"),
        ({"/": "/"}, "net/"),
        ({"net/w": "a/v/w", "net/b": "a/v/b", "net/moving_mean": "a/v/moving_mean"}, "a/v/"),
    ],
    ids=str,
)
def test_maps_of_names(assignment_map: Any, prefix: str):
    loaded = js.checkpoint.load(ADAM, under(prefix), assignment_map=assignment_map)
    for name in NET:
        np.testing.assert_array_equal(loaded[name.replace("net/", prefix)], VALUES[name])


def test_maps_of_specs_and_what_is_left_to_the_initializers():
    asked = specs(("x", [3, 4]), ("new", [2]))
    with pytest.raises(VariablesMismatchError, match="missing  new"):
        js.checkpoint.load(ADAM, asked, assignment_map={"net/w": asked["x"]})
    loaded = js.checkpoint.load(
        ADAM, asked, assignment_map={"net/w": asked["x"]}, missing="init", key=jax.random.key(0)
    )
    np.testing.assert_array_equal(loaded["x"], VALUES["net/w"])
    same(loaded["new"], asked.init(jax.random.key(0))["new"])


@pytest.mark.parametrize("name", ["v2_sharded.ckpt", "v1_sharded.ckpt"])
def test_maps_into_parts(name: str):
    """A variable that was split by a partitioner goes to variables split otherwise, along its one axis."""
    rows = specs(("p/part_0", [1, 3]), ("p/part_1", [4, 3]), ("p/part_2", [2, 3]), ("whole", [7, 3]))
    given = {"p/rows": list(rows.select("p/"))}
    asked = js.VariableSpecs(rows.select("p/").values())
    loaded = js.checkpoint.load(RECORDED / name, asked, assignment_map=given)
    whole = expected(name)["p/rows"]
    np.testing.assert_array_equal(np.concatenate([np.asarray(loaded[one]) for one in asked]), whole)
    assert loaded.report.used["p/part_1"] == "p/rows[1:5, 0:3]"
    assert "p/rows" not in loaded.report.left
    one = js.checkpoint.load(
        RECORDED / name, rows.select("whole"), assignment_map={"p/rows": [rows["whole"]]}
    )
    np.testing.assert_array_equal(one["whole"], whole)


def test_parts_as_tf1_calls_them():
    """A port that kept `part_0`, `part_1` as variables: they are the one that the file has."""
    asked = specs(("x/p/rows/part_0", [4, 3]), ("x/p/rows/part_1", [3, 3]), ("x/p/cols/part_0", [2, 130]))
    there = expected("v2_sharded.ckpt")
    maps = ({"/": "x/"}, {"p/": "x/p/"}, {"p/rows": "x/p/rows", "p/cols": "x/p/cols"})
    for one in maps:
        with jax.enable_x64(True):
            loaded = js.checkpoint.load(RECORDED / "v2_sharded.ckpt", asked, assignment_map=one, cast=True)
            rows = np.concatenate([np.asarray(loaded[f"x/p/rows/part_{at}"]) for at in range(2)])
        np.testing.assert_array_equal(rows, there["p/rows"])
        np.testing.assert_array_equal(loaded["x/p/cols/part_0"], there["p/cols"].astype("float32"))
    with pytest.raises(VariablesMismatchError, match=r"p/rows \[7, 3\] is not split along one axis"):
        js.checkpoint.load(
            RECORDED / "v2_sharded.ckpt", specs(("p/rows/part_0", [4, 3])), assignment_map={"/": "/"}
        )


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(0, 1))
def test_any_parts(tmp_path_factory: Any, sizes: list[int], axis: int):
    shape = [5, 5]
    shape[axis] = sum(sizes)
    value = np.arange(5 * sum(sizes), dtype="float32").reshape(shape)
    path = tmp_path_factory.mktemp("parts") / "m.npz"  # maps are not of TF1's files alone
    np.savez(path, w=value)
    parts = np.split(value, np.cumsum(sizes)[:-1], axis)
    asked = specs(*[(f"w{at}", part.shape) for at, part in enumerate(parts)])
    loaded = js.checkpoint.load(path, asked, assignment_map={"w": list(asked)})
    for at, part in enumerate(parts):
        np.testing.assert_array_equal(loaded[f"w{at}"], part)


def test_maps_of_stacks(tmp_path: Any):
    """Layers one by one in the file serve specs of a stack, and the other way round."""
    given = np.arange(12, dtype="float32").reshape(4, 3)
    np.savez(tmp_path / "apart.npz", **{f"bert/layer_{at}/w": given[at] for at in range(4)})
    np.savez(tmp_path / "stacked.npz", **{"bert/layer_{}/w": given})
    apart = specs(*[(f"enc/layer_{at}/w", [3]) for at in range(4)])
    stacked = apart.stack("layer_{}")
    for file in ("apart.npz", "stacked.npz"):
        for asked in (apart, stacked):
            loaded = js.checkpoint.load(tmp_path / file, asked, assignment_map={"bert/": "enc/"})
            bound = dict(loaded.variables.unstack())
            assert [np.asarray(bound[f"enc/layer_{at}/w"]).tolist() for at in range(4)] == given.tolist()


def test_what_is_wrong_with_a_map_is_one_error():
    asked = specs(("x/w", [3, 4]), ("x/c", [4]), ("y", [4]), ("y1", [3]), ("y2", [2]))
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(
            ADAM,
            asked,
            assignment_map={
                "net/": "x/",
                "ned/": "y",
                "/": "z/",
                "net/v": "y",
                "net/b": "gone",
                "net/w": "x/c",
                "net/moving_mean": ["y1", "y2"],
                "net/b/Adam": ["y1", "y3"],
                "net/b/Adam_1": [],
                "beta1_power": "x/w",
            },
            missing="init",
            key=jax.random.key(0),
        )
    assert caught.value.facts["assignment_map"].splitlines() == [
        "x/c would be net/c, which is not in the file",
        "'ned/' is a scope, and 'y' none: it has to end with '/'",
        "no variable of the specs is under 'z/'",
        "'net/v' is not in the file; near names: net/w, net/b",
        "'gone' is no variable of the specs",
        "net/moving_mean [4] is not split along one axis into [[3], [2]]",
        "'y3' is no variable of the specs",
        "'net/b/Adam_1' is for no variable",
        "x/w would be both net/w and beta1_power",
    ]


def test_maps_go_alone():
    for wrong in ({"specs": None}, {"specs": NET, "rename": {"a": "b"}}):
        with pytest.raises(TypeError, match="goes with specs, and instead of rename"):
            js.checkpoint.load(ADAM, assignment_map={"/": "/"}, **wrong)
    with pytest.raises(TypeError, match="names, specs of variables, or lists of them, not int"):
        js.checkpoint.load(ADAM, NET, assignment_map={"net/w": [1]})
    with pytest.raises(TypeError, match=r"must be those of net\.spec"):
        js.checkpoint.variables_to_restore({})  # type: ignore[arg-type]
