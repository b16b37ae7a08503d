"""Arguments come in TF1's order, with its names and defaults, so that a call by position means the same."""

import ast
import inspect

import jax
import pytest

import jaxscope as js
from jaxscope import layers

KERNEL = """kernel_initializer=None bias_initializer=zeros kernel_regularizer=None bias_regularizer=None
    activity_regularizer=None kernel_constraint=None bias_constraint=None trainable=True name=None
    reuse=None"""
CONV = "inputs filters kernel_size strides={} padding='valid' data_format='channels_last' "
CONV_END = f"activation=None use_bias=True {KERNEL}"
SEPARABLE = """depth_multiplier=1 activation=None use_bias=True depthwise_initializer=None
    pointwise_initializer=None bias_initializer=zeros depthwise_regularizer=None pointwise_regularizer=None
    bias_regularizer=None activity_regularizer=None depthwise_constraint=None pointwise_constraint=None
    bias_constraint=None trainable=True name=None reuse=None"""
POOL = "inputs pool_size strides padding='valid' data_format='channels_last' name=None"
CELL = "inputs state num_units "
LAST = "activation=None reuse=None name=None dtype=None"
TF1 = {
    "dense": f"inputs units activation=None use_bias=True {KERNEL}",
    "conv1d": f"{CONV.format(1)} dilation_rate=1 {CONV_END}",
    "conv2d": f"{CONV.format('(1,1)')} dilation_rate=(1,1) {CONV_END}",
    "conv3d": f"{CONV.format('(1,1,1)')} dilation_rate=(1,1,1) {CONV_END}",
    "conv2d_transpose": f"{CONV.format('(1,1)')} {CONV_END}",
    "conv3d_transpose": f"{CONV.format('(1,1,1)')} {CONV_END}",
    "separable_conv1d": f"{CONV.format(1)} dilation_rate=1 {SEPARABLE}",
    "separable_conv2d": f"{CONV.format('(1,1)')} dilation_rate=(1,1) {SEPARABLE}",
    **{f"{kind}_pooling{rank}d": POOL for kind in ("max", "average") for rank in (1, 2, 3)},
    "flatten": "inputs name=None data_format='channels_last'",
    "dropout": "inputs rate=0.5 noise_shape=None seed=None training=False name=None",
    "batch_normalization": """inputs axis=-1 momentum=0.99 epsilon=0.001 center=True scale=True
        beta_initializer=zeros gamma_initializer=ones moving_mean_initializer=zeros
        moving_variance_initializer=ones beta_regularizer=None gamma_regularizer=None beta_constraint=None
        gamma_constraint=None training=False trainable=True name=None reuse=None renorm=False
        renorm_clipping=None renorm_momentum=0.99 fused=None virtual_batch_size=None adjustment=None""",
    "basic_rnn": f"{CELL} {LAST}",
    "basic_lstm": f"{CELL} forget_bias=1.0 state_is_tuple=True {LAST}",
    "lstm": f"""{CELL} use_peepholes=False cell_clip=None initializer=None num_proj=None proj_clip=None
        num_unit_shards=None num_proj_shards=None forget_bias=1.0 state_is_tuple=True {LAST}""",
    "gru": f"""{CELL} activation=None reuse=None kernel_initializer=None bias_initializer=None name=None
        dtype=None""",
    "multi_rnn": "inputs state cells state_is_tuple=True",
    "rnn": "cell inputs sequence_length=None initial_state=None dtype=None",
    "static_rnn": "cell inputs initial_state=None dtype=None sequence_length=None",
    "bidirectional_rnn": """cell_fw cell_bw inputs sequence_length=None initial_state_fw=None
        initial_state_bw=None dtype=None""",
    "ResidualWrapper": "cell residual_fn=None",
    "DropoutWrapper": "cell input_keep_prob=1.0 output_keep_prob=1.0 state_keep_prob=1.0",
}
PARTS = """normalizer_fn=None normalizer_params=None weights_initializer=glorot_uniform {}
    weights_regularizer=None biases_initializer=zeros biases_regularizer=None reuse=None
    variables_collections=None outputs_collections=None trainable=True scope=None"""
PLAIN = PARTS.format("")
SEEN = "reuse=None variables_collections=None outputs_collections=None trainable=True"
CONTRIB = {
    "fully_connected": f"inputs num_outputs activation_fn=relu {PLAIN}",
    "conv2d": f"""inputs num_outputs kernel_size stride=1 padding='SAME' data_format=None rate=1
        activation_fn=relu {PLAIN}""",
    "conv2d_transpose": f"""inputs num_outputs kernel_size stride=1 padding='SAME' data_format='NHWC'
        activation_fn=relu {PLAIN}""",
    "separable_conv2d": f"""inputs num_outputs kernel_size depth_multiplier=1 stride=1 padding='SAME'
        data_format='NHWC' rate=1 activation_fn=relu {PARTS.format("pointwise_initializer=None")}""",
    "batch_norm": f"""inputs decay=0.999 center=True scale=False epsilon=0.001 activation_fn=None
        param_initializers=None param_regularizers=None updates_collections='update_ops' is_training=True
        {SEEN}""",
    "layer_norm": f"""inputs center=True scale=True activation_fn=None {SEEN} begin_norm_axis=1
        begin_params_axis=-1 scope=None""",
    "instance_norm": f"""inputs center=True scale=True epsilon=1e-6 activation_fn=None
        param_initializers=None {SEEN} data_format='NHWC' scope=None""",
    "group_norm": f"""inputs groups=32 channels_axis=-1 reduction_axes=(-3,-2) center=True scale=True
        epsilon=1e-6 activation_fn=None param_initializers=None {SEEN} scope=None""",
    "unit_norm": "inputs dim epsilon=1e-7 scope=None",
    "bias_add": f"""inputs activation_fn=None initializer=zeros regularizer=None {SEEN} data_format='NHWC'
        scope=None""",
    "embed_sequence": """ids vocab_size embed_dim unique=False initializer=None regularizer=None
        trainable=True scope=None reuse=None""",
    **{
        f"{kind}_pool2d": """inputs kernel_size stride=2 padding='VALID' data_format='NHWC'
            outputs_collections=None scope=None"""
        for kind in ("max", "avg")
    },
    "flatten": "inputs outputs_collections=None scope=None",
    "dropout": """inputs keep_prob=0.5 noise_shape=None is_training=True outputs_collections=None scope=None
        seed=None""",
}
VALUES = {
    "zeros": js.initializers.zeros,
    "ones": js.initializers.ones,
    "glorot_uniform": js.initializers.glorot_uniform,
    "relu": jax.nn.relu,
}
CASES = [(layers, name, order) for name, order in TF1.items()]
CASES += [(layers.contrib, name, order) for name, order in CONTRIB.items()]


@pytest.mark.parametrize(
    ("place", "name", "order"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_order(place, name, order):
    """TF1's arguments come first, in its order; further ones come after them."""
    parameters = list(inspect.signature(getattr(place, name)).parameters.values())
    expected = [given.partition("=")[::2] for given in order.split()]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][: len(expected)]
    assert [p.name for p in positional] == [argument for argument, _ in expected]
    for parameter, (argument, default) in zip(positional, expected, strict=True):
        value = parameter.empty if not default else VALUES.get(default, default)
        if value is default and default:
            value = ast.literal_eval(default)
        assert parameter.default == value, argument


def test_all_are_listed():
    """Each public function is one of TF1's, whose order is above, or one that TF1 lacks."""
    lacking = {"depthwise_conv2d", "embedding", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
    lacking |= {"multi_head_attention"}
    functions = {n for n in layers.__all__ if inspect.isfunction(getattr(layers, n))}
    assert functions == TF1.keys() | lacking
    assert {*layers.contrib.__all__} == CONTRIB.keys() | {"repeat", "stack"}
