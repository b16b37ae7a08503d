"""Residual networks in slim's idiom: argument scopes, blocks as tuples, end points by name."""

import collections

import tensorflow as tf

slim = tf.contrib.slim


class Block(collections.namedtuple("Block", ["scope", "unit_fn", "args"])):
    """A part of a network: its scope, the function of its units, and what each unit is called with."""


def subsample(inputs, factor, scope=None):
    if factor == 1:
        return inputs
    return slim.max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs, num_outputs, kernel_size, stride, rate=1, scope=None):
    """A convolution whose padding does not depend on the size of its input."""
    if stride == 1:
        return slim.conv2d(inputs, num_outputs, kernel_size, stride=1, rate=rate, padding="SAME", scope=scope)
    total = kernel_size + (kernel_size - 1) * (rate - 1) - 1
    before = total // 2
    inputs = tf.pad(inputs, [[0, 0], [before, total - before], [before, total - before], [0, 0]])
    return slim.conv2d(
        inputs, num_outputs, kernel_size, stride=stride, rate=rate, padding="VALID", scope=scope
    )


@slim.add_arg_scope
def stack_blocks_dense(net, blocks, outputs_collections=None):
    for block in blocks:
        with tf.variable_scope(block.scope, "block", [net]) as sc:
            for i, unit in enumerate(block.args):
                with tf.variable_scope("unit_%d" % (i + 1), values=[net]):
                    net = block.unit_fn(net, rate=1, **unit)
            net = slim.utils.collect_named_outputs(outputs_collections, sc.name, net)
    return net


def resnet_arg_scope(weight_decay=0.0001, decay=0.997, epsilon=1e-5, scale=True):
    batch_norm_params = {
        "decay": decay,
        "epsilon": epsilon,
        "scale": scale,
        "updates_collections": tf.GraphKeys.UPDATE_OPS,
    }
    with slim.arg_scope(
        [slim.conv2d],
        weights_regularizer=slim.l2_regularizer(weight_decay),
        weights_initializer=slim.variance_scaling_initializer(),
        activation_fn=tf.nn.relu,
        normalizer_fn=slim.batch_norm,
        normalizer_params=batch_norm_params,
    ):
        with slim.arg_scope([slim.batch_norm], **batch_norm_params):
            with slim.arg_scope([slim.max_pool2d], padding="SAME") as arg_sc:
                return arg_sc


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None, scope=None):
    with tf.variable_scope(scope, "bottleneck_v1", [inputs]) as sc:
        depth_in = slim.utils.last_dimension(inputs.get_shape(), min_rank=4)
        if depth == depth_in:
            shortcut = subsample(inputs, stride, "shortcut")
        else:
            shortcut = slim.conv2d(inputs, depth, [1, 1], stride=stride, activation_fn=None, scope="shortcut")
        residual = slim.conv2d(inputs, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = conv2d_same(residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2")
        residual = slim.conv2d(residual, depth, [1, 1], stride=1, activation_fn=None, scope="conv3")
        output = tf.nn.relu(shortcut + residual)
        return slim.utils.collect_named_outputs(outputs_collections, sc.original_name_scope, output)


def resnet_v1(inputs, blocks, num_classes=None, is_training=True, reuse=None, scope=None):
    with tf.variable_scope(scope, "resnet_v1", [inputs], reuse=reuse) as sc:
        end_points_collection = sc.original_name_scope + "_end_points"
        with slim.arg_scope(
            [slim.conv2d, bottleneck, stack_blocks_dense], outputs_collections=end_points_collection
        ):
            with slim.arg_scope([slim.batch_norm], is_training=is_training):
                net = conv2d_same(inputs, 64, 7, stride=2, scope="conv1")
                net = slim.max_pool2d(net, [3, 3], stride=2, scope="pool1")
                net = stack_blocks_dense(net, blocks)
                end_points = slim.utils.convert_collection_to_dict(end_points_collection)
                net = tf.reduce_mean(net, [1, 2], name="pool5", keep_dims=True)
                end_points["global_pool"] = net
                if num_classes is not None:
                    net = slim.conv2d(
                        net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="logits"
                    )
                    end_points[sc.name + "/logits"] = net
                    net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
                    end_points[sc.name + "/spatial_squeeze"] = net
                    end_points["predictions"] = slim.softmax(net, scope="predictions")
                return net, end_points


def block(scope, base_depth, num_units, stride):
    unit = {"depth": base_depth * 4, "depth_bottleneck": base_depth, "stride": 1}
    return Block(scope, bottleneck, [unit] * (num_units - 1) + [dict(unit, stride=stride)])


def resnet_v1_50(inputs, num_classes=1000, is_training=True, reuse=None, scope="resnet_v1_50"):
    blocks = [
        block("block1", base_depth=64, num_units=3, stride=2),
        block("block2", base_depth=128, num_units=4, stride=2),
        block("block3", base_depth=256, num_units=6, stride=2),
        block("block4", base_depth=512, num_units=3, stride=1),
    ]
    return resnet_v1(inputs, blocks, num_classes, is_training, reuse=reuse, scope=scope)


def resnet_tiny(inputs, num_classes=7, is_training=True, reuse=None, weight_decay=0.001):
    blocks = [
        block("block1", base_depth=2, num_units=2, stride=2),
        block("block2", base_depth=4, num_units=2, stride=1),
    ]
    with slim.arg_scope(resnet_arg_scope(weight_decay=weight_decay)):
        return resnet_v1(inputs, blocks, num_classes, is_training, reuse=reuse, scope="resnet_tiny")


def train(images, labels):
    """One step, with averages of all that is saved; and what the network says without training."""
    step = tf.train.get_or_create_global_step()
    logits, _ = resnet_tiny(images, is_training=True)
    tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
    total = tf.losses.get_total_loss()
    _, end_points = resnet_tiny(images, is_training=False, reuse=True)
    averages = tf.train.ExponentialMovingAverage(0.9999, step)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    updates.append(averages.apply(slim.get_model_variables()))
    optimizer = tf.train.RMSPropOptimizer(0.01, decay=0.9, momentum=0.9, epsilon=1.0)
    gradients = optimizer.compute_gradients(total)
    updates.append(optimizer.apply_gradients(gradients, global_step=step))
    with tf.control_dependencies([tf.group(*updates)]):
        train_tensor = tf.identity(total, name="train_op")
    return {
        "logits": logits,
        "total": train_tensor,
        "gradients": {v.op.name: g for g, v in gradients},
        "regularization": tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES),
        "end_points": dict(end_points),
    }
