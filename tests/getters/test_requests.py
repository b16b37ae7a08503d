"""What getters ask for: names, dtypes, flags, collections, layouts, losses; and what they leave alone."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.errors import (
    DtypeMismatchError,
    GetterError,
    InitializerError,
    InvalidDtypeError,
    NoPassError,
    VariableExistsError,
    VariableNotFoundError,
)
from tests.getters.small import KEY, L2, around, noise, weight

G = js.getters
ALL = {
    "cast": G.cast("bfloat16"),
    "lora": G.lora(2),
    "weight_norm": G.weight_norm(),
    "spectral_norm": G.spectral_norm(),
    "ema": G.ema(0.5),
    "int8": G.int8(),
    "freeze": G.freeze(),
    "scale": G.scale(2.0),
}
EACH = pytest.mark.parametrize("name", ALL)
#: The names below `w`, with the axes of a 4 x 3 weight that they have.
BELOW = {
    "lora": {"lora_a": (0, None), "lora_b": (None, 1)},
    "weight_norm": {"g": (1,)},
    "spectral_norm": {"u": (1,)},
    "ema": {"ExponentialMovingAverage": (0, 1)},
    "int8": {"int8": (0, 1), "scale": (1,)},
}
STATE = ("u", "ExponentialMovingAverage", "int8", "scale")


@EACH
def test_names_and_flags(name):
    """Below the weight's own name, in order, and trained where that makes sense."""
    specs = around(ALL[name], weight()).spec()
    own = [] if name == "int8" else ["m/w"]
    assert list(specs) == own + [f"m/w/{below}" for below in BELOW.get(name, {})]
    frozen = {"m/w"} if name in ("lora", "freeze") else set()
    frozen |= {f"m/w/{below}" for below in STATE}
    assert {each for each, spec in specs.items() if not spec.trainable} == frozen & set(specs)


@EACH
@pytest.mark.parametrize("asked", ["float32", "bfloat16", "float16"])
def test_dtypes(name, asked):
    """The model gets what it asks for, but of `cast`; what is summed up is stored in float32 at least."""
    net = around(ALL[name], weight(dtype=asked))
    v = net.init(KEY)
    assert net.apply(v).dtype == ("bfloat16" if name == "cast" else asked)
    stored = {"int8": "int8", "scale": "float32", "u": "float32", "ExponentialMovingAverage": "float32"}
    for each, value in v.items():
        wanted = "float32" if name == "cast" else asked
        assert value.dtype == stored.get(each.rpartition("/")[2], wanted), each


@pytest.mark.parametrize(
    "partitioner",
    [P("x", "y"), ("x", "y"), lambda shape, dtype: P("x", "y"), lambda request: P(*"xy")],
    ids=["spec", "tuple", "shape", "request"],
)
@pytest.mark.parametrize("name", BELOW)
def test_layouts_follow(name, partitioner):
    """Each axis of a getter's own variable is split as that of the weight which it belongs to."""
    specs = around(ALL[name], weight(partitioner=partitioner)).spec()
    for below, axes in BELOW[name].items():
        assert specs[f"m/w/{below}"].partition_spec() == P(
            *(axis if axis is None else "xy"[axis] for axis in axes)
        )


def test_layouts_without_a_partitioner():
    """Where the weight has none, or it says nothing, the others have none."""
    for partitioner in (None, lambda shape, dtype: None):
        specs = around(G.lora(2), weight(partitioner=partitioner)).spec()
        assert all(spec.partition_spec() in (None, P()) for spec in specs.values())


@EACH
def test_collections(name):
    """A getter's own variables are listed where the weight is, and never as trainable where they are not."""
    listed = ["mine", js.GraphKeys.TRAINABLE_VARIABLES]
    for collections in (None, ["mine"], listed):
        specs = around(ALL[name], weight(collections=collections)).spec()
        for spec in specs.values():
            assert (js.GraphKeys.TRAINABLE_VARIABLES in spec.collections) == spec.trainable
            assert ("variables" if collections is None else "mine") in spec.collections
    with pytest.raises(VariableNotFoundError):  # a local variable is not trained, and no weight
        around(G.lora(2, where=".*"), lambda: js.get_local_variable("w", [4, 3])).spec()


@EACH
def test_losses(name):
    """One loss for each weight, on what the model gets; on the variable itself for `cast` and `ema`."""
    net = around(ALL[name], lambda: (weight(regularizer=L2)(), js.get_collection("regularization_losses")))
    v = noise(net.init(KEY))
    value, losses = net.apply(v)
    regularized = v["m/w"] if name in ("cast", "ema") else value
    assert len(losses) == 1
    np.testing.assert_allclose(losses[0], L2(regularized), rtol=1e-5)
    specs = net.spec()
    assert sum(spec.regularizer is not None for spec in specs.values()) == 1
    # Whoever switches losses off has none to ask for outside.
    plain = around(ALL[name], weight(regularizer=js.no_regularizer)).spec()
    assert {spec.regularizer for spec in plain.values()} <= {None, js.no_regularizer}


def test_losses_in_scopes_and_traces():
    """The scope's regularizer counts once, through `jax.jit`, where the loss is asked for after the trace."""

    def model(x):
        inner = jax.jit(lambda x: x @ js.get_variable("w", [3, 3]))
        with js.variable_scope("s", regularizer=L2):
            y = inner(x)
        return y, js.get_collection("regularization_losses", "m/s")

    net = around(G.chain(G.weight_norm(), G.lora(1)), model)
    v = noise(net.init(KEY, jnp.ones(3)))
    folded = G.fold(net, v, jnp.ones(3))
    for apply in (net.apply, jax.jit(net.apply)):
        _, (loss,) = apply(v, jnp.ones(3))
        np.testing.assert_allclose(loss, L2(folded["m/s/w"]), rtol=1e-5)
    grads = jax.grad(lambda trained: net.apply(trained | v.non_trainable, jnp.ones(3))[1][0])(v.trainable)
    assert all(np.any(grads[name]) for name in ("m/s/w/g", "m/s/w/lora_a", "m/s/w/lora_b"))


def test_losses_outside_of_the_pass():
    """The loss of a weight that is made of several is none of one variable's: an error, not a number."""
    specs = around(G.lora(2), weight(regularizer=L2)).spec()
    loss = specs["m/w/lora_b"].regularizer
    for call in (lambda: loss(jnp.ones([2, 3])), lambda: js.transform(lambda: loss(jnp.ones([2, 3]))).spec()):
        with pytest.raises(NoPassError) as caught:
            call()
        assert caught.value.code == "loss_of_getter"
    scaled = around(G.scale(2.0), weight(regularizer=L2)).spec()["m/w"].regularizer
    assert scaled(jnp.ones(2)) == L2(2 * jnp.ones(2))


@pytest.mark.parametrize("name", ["lora", "weight_norm", "spectral_norm", "scale"])
def test_constraints(name):
    """One on the weight cannot be kept by projecting something else."""
    with pytest.raises(GetterError) as caught:
        around(ALL[name], weight(constraint=jnp.abs)).spec()
    assert caught.value.code == "getter_constraint"


@pytest.mark.parametrize("name", ["cast", "ema", "freeze"])
def test_kept_constraints(name):
    """They stay with the variable, which is the weight."""
    assert around(ALL[name], weight(constraint=jnp.abs)).spec()["m/w"].constraint is jnp.abs


@EACH
def test_what_is_no_weight(name):
    """Whole numbers, flags, keys and vectors, and what is not trained, are as without a getter."""

    def others():
        start = js.initializers.ones
        return (
            js.get_variable("i", [2, 2], "int32"),
            js.get_variable("b", [2, 2], "bool"),
            js.get_variable("k", initializer=jax.random.key(3)),
            js.get_variable("state", [2, 2], initializer=start, trainable=False),
            js.get_variable("half", [2, 2], "float16", initializer=start, trainable=False),
        )

    net, bare = around(ALL[name], others), around(None, others)
    assert [s.replace(trainable=True) for s in net.spec().values() if name != "freeze"] == [
        s.replace(trainable=True) for s in bare.spec().values() if name != "freeze"
    ]
    v = bare.init(KEY)
    for one, other in zip(net.apply(v), bare.apply(v), strict=True):
        assert one.dtype == other.dtype
        assert jnp.all(one == other)


@EACH
def test_constants(name):
    """Arrays, numbers and lists as initializers; also in an inner trace, and computed from the inputs."""
    ones = np.arange(6, dtype=np.float32).reshape(3, 2)
    closed = jnp.asarray(ones)

    def model(x):
        inner = jax.jit(lambda: js.get_variable("inner", initializer=ones))
        return (
            js.get_variable("array", initializer=ones),
            js.get_variable("closed", initializer=closed),
            js.get_variable("list", initializer=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
            js.get_variable("half", initializer=ones.astype("float16")),
            js.get_variable("inputs", initializer=x),
            js.get_variable("function", initializer=lambda: x + 0),
            inner(),
            js.get_variable("number", initializer=0.5),
            js.get_variable("whole", initializer=3),
        )

    net = around(ALL[name], model)
    v = net.init(KEY, closed)
    *values, number, whole = net.apply(v, closed)
    dtypes = ["bfloat16" if name == "cast" else str(value.dtype) for value in values]
    assert dtypes == [str(value.dtype) for value in values]
    assert (number.dtype, whole.dtype) == ("bfloat16" if name == "cast" else "float32", "int32")
    if name == "cast":
        assert v["m/half"].dtype == "float32"
    factor = {"scale": 2.0, "spectral_norm": 1 / np.linalg.svd(ones, compute_uv=False)[0]}.get(name, 1.0)
    for at, value in enumerate(values):
        one = (
            1.0 if at == 5 and name in ("scale", "spectral_norm") else factor
        )  # no shape beforehand: no weight
        np.testing.assert_allclose(value.astype("float32"), one * ones, atol=0.03)


@EACH
def test_sharing(name):
    """Under reuse, with or without shape and dtype, the same value; so in templates and under AUTO_REUSE."""

    def model():
        first = weight(dtype="float32")()
        with js.variable_scope("", reuse=True):
            again = [
                js.get_variable("w"),
                weight()(),
                weight(dtype="float32")(),
                js.get_variable("w", [4, None]),
            ]
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            again += [weight()(), js.get_variable("w")]
        template = js.make_template("t", weight())
        return [first, *again], [template(), template()]

    net = around(ALL[name], model)
    v = noise(net.init(KEY))
    for first, *others in net.apply(v):
        for other in others:
            np.testing.assert_array_equal(other, first)


def test_in_a_request_itself():
    """A getter may be given to `get_variable`, and called by hand with TF1's arguments in their places."""
    assert list(js.transform(weight(custom_getter=G.lora(1))).spec()) == ["w", "w/lora_a", "w/lora_b"]

    def by_hand(getter, name, shape, dtype, initializer, *args, **kwargs):
        return G.lora(1)(getter, name, shape, dtype, initializer, **kwargs)

    specs = around(by_hand, weight()).spec()
    assert list(specs) == ["m/w", "m/w/lora_a", "m/w/lora_b"]

    def by_place(getter, name, shape, dtype, initializer, **others):
        return getter(name, shape, dtype, initializer)

    specs = around(G.chain(by_place, G.lora(1)), weight()).spec()
    assert list(specs) == ["m/w", "m/w/lora_a", "m/w/lora_b"]

    def all_of_them(
        getter,
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        reuse,
        trainable,
        collections,
        partitioner,
        constraint,
    ):
        return getter(name, shape=shape, reuse=reuse)

    def shared():
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            return weight()() is weight()()

    assert around(G.chain(by_place, all_of_them), shared).apply({"m/w": jnp.ones([4, 3])})


def test_two_adapters_need_two_names():
    """Else the second asks for a name that is taken; with one, that in front trains the rest stays."""
    with pytest.raises(VariableExistsError):
        around(G.chain(G.lora(1), G.lora(2)), weight()).spec()
    net = around(G.chain(G.lora(1, name="mine"), G.lora(2)), weight())
    assert list(net.init(KEY).trainable) == ["m/w/mine_a", "m/w/mine_b"]


def test_small_numbers_of_another_kind():
    """What is given for them has to be small numbers, and no getter behind may change half of a weight."""
    with pytest.raises(DtypeMismatchError):
        around(G.int8(), weight()).apply({"m/w/int8": jnp.ones([4, 3]), "m/w/scale": jnp.ones(3)})

    def negative(getter, name, **kwargs):
        return -getter(name, **kwargs)

    with pytest.raises(GetterError) as caught:
        around(G.chain(G.int8(), negative), weight()).spec()
    assert caught.value.code == "getter_behind"


def test_weights_without_elements():
    """They are weights like others."""
    for shape in ([0, 3], [3, 0], [1, 1]):
        for getter in (*ALL.values(), G.spectral_norm(training=True)):
            net = around(getter, weight(shape=shape))
            y, _ = net.apply_with_state(net.init(KEY))
            assert y.shape == tuple(shape)


def test_strict_ranks_and_dtypes():
    """Getters add and multiply what JAX calls alike, where users have it refuse the rest."""
    with jax.numpy_rank_promotion("raise"):
        for getter in (*ALL.values(), G.scale(np.ones(3, np.float32)), G.ema(0.5, training=True)):
            net = around(getter, weight(shape=[2, 2, 3]))
            net.apply_with_state(net.init(KEY))


def test_a_dtype_that_is_none():
    """What another getter passes on is refused as ever."""

    def odd(getter, name, **kwargs):
        return getter(name, **{**kwargs, "dtype": "odd"})

    for getter in ALL.values():
        with pytest.raises(InvalidDtypeError):
            around(getter, around(odd, weight(), "")).spec()


def test_shapes_that_are_none():
    """What `get_variable` refuses, it refuses through a getter."""
    for getter in ALL.values():
        with pytest.raises(js.errors.InvalidShapeError):
            around(getter, weight(shape=[2.5, 2])).spec()
        with pytest.raises(InitializerError):
            around(getter, weight(shape=[None, 2])).spec()


@EACH
def test_values(name):
    """Getters are values: equal where made alike, hashed, shown, copied and pickled as such."""
    getter, other = ALL[name], G.chain(ALL[name], G.freeze())
    for one in (getter, other):
        assert pickle.loads(pickle.dumps(one)) == one
        assert hash(pickle.loads(pickle.dumps(one))) == hash(one)
        assert eval(repr(one), {**vars(G), "None": None}) == one
    assert getter != other
    assert ALL[name] != G.freeze("a/")
    array = jnp.ones(3)
    assert len({G.scale(array), G.scale(array), G.scale(jnp.ones(3))}) == 2


def test_specs_are_values_too():
    """Specs of getters pickle, and draw the same bits; those of layers stack, and draw the same stacks."""
    net = around(
        G.chain(G.weight_norm(), G.int8(where="m/b/")), lambda: [around(None, weight(), s)() for s in "ab"]
    )
    specs = net.spec()
    again = pickle.loads(pickle.dumps(specs))
    for name, value in specs.init(KEY).items():
        np.testing.assert_array_equal(again.init(KEY)[name], value)
    layers = around(G.weight_norm(), js.scan_layers(lambda x: x @ weight(shape=(2, 2))(), 2)).spec(
        jnp.ones(2)
    )
    stacked = layers.stack("layer_{}").init(KEY)
    for name, value in layers.init(KEY).stack("layer_{}").items():
        np.testing.assert_array_equal(stacked[name], value)
