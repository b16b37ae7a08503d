"""WaveNet: dilated causal convolutions over a quantized waveform."""

import tensorflow as tf


def mu_law_encode(audio, quantization_channels):
    with tf.name_scope("encode"):
        mu = tf.to_float(quantization_channels - 1)
        safe = tf.minimum(tf.abs(audio), 1.0)
        magnitude = tf.log1p(mu * safe) / tf.log1p(mu)
        signal = tf.sign(audio) * magnitude
        return tf.to_int32((signal + 1) / 2 * mu + 0.5)


def mu_law_decode(output, quantization_channels):
    with tf.name_scope("decode"):
        mu = quantization_channels - 1
        signal = 2 * (tf.to_float(output) / mu) - 1
        magnitude = (1 / mu) * ((1 + mu) ** abs(signal) - 1)
        return tf.sign(signal) * magnitude


def time_to_batch(value, dilation):
    with tf.name_scope("time_to_batch"):
        shape = tf.shape(value)
        pad = dilation - 1 - (shape[1] + dilation - 1) % dilation
        padded = tf.pad(value, [[0, 0], [0, pad], [0, 0]])
        reshaped = tf.reshape(padded, [-1, dilation, shape[2]])
        transposed = tf.transpose(reshaped, perm=[1, 0, 2])
        return tf.reshape(transposed, [shape[0] * dilation, -1, shape[2]])


def batch_to_time(value, dilation):
    with tf.name_scope("batch_to_time"):
        shape = tf.shape(value)
        prepared = tf.reshape(value, [dilation, -1, shape[2]])
        transposed = tf.transpose(prepared, perm=[1, 0, 2])
        return tf.reshape(transposed, [tf.div(shape[0], dilation), -1, shape[2]])


def causal_conv(value, filter_, dilation):
    with tf.name_scope("causal_conv"):
        width = tf.shape(filter_)[0]
        if dilation > 1:
            restored = batch_to_time(
                tf.nn.conv1d(time_to_batch(value, dilation), filter_, stride=1, padding="VALID"), dilation
            )
        else:
            restored = tf.nn.conv1d(value, filter_, stride=1, padding="VALID")
        out_width = tf.shape(value)[1] - (width - 1) * dilation
        return tf.slice(restored, [0, 0, 0], [-1, out_width, -1])


def create_variable(name, shape):
    """Glorot's rule, by a variable that begins with what its initializer gives."""
    return tf.Variable(tf.contrib.layers.xavier_initializer_conv2d()(shape=shape), name=name)


def create_bias_variable(name, shape):
    return tf.Variable(tf.constant_initializer(value=0.0, dtype=tf.float32)(shape=shape), name=name)


class WaveNetModel(object):
    """The network; its variables are made with it, in a dict of dicts."""

    def __init__(
        self,
        batch_size=2,
        dilations=(1, 2, 4),
        filter_width=2,
        residual_channels=4,
        dilation_channels=5,
        skip_channels=6,
        quantization_channels=16,
        use_biases=True,
    ):
        self.batch_size, self.dilations, self.filter_width = batch_size, dilations, filter_width
        self.residual_channels, self.dilation_channels = residual_channels, dilation_channels
        self.skip_channels, self.quantization_channels = skip_channels, quantization_channels
        self.use_biases = use_biases
        self.receptive_field = (filter_width - 1) * sum(dilations) + 1 + filter_width - 1
        self.variables = self._create_variables()

    def _create_variables(self):
        var, q = dict(), self.quantization_channels
        with tf.variable_scope("wavenet"):
            with tf.variable_scope("causal_layer"):
                shape = [self.filter_width, q, self.residual_channels]
                var["causal_layer"] = {"filter": create_variable("filter", shape)}
            var["dilated_stack"] = list()
            with tf.variable_scope("dilated_stack"):
                for i, _ in enumerate(self.dilations):
                    with tf.variable_scope("layer{}".format(i)):
                        var["dilated_stack"].append(self._layer_variables())
            with tf.variable_scope("postprocessing"):
                current = {
                    "postprocess1": create_variable(
                        "postprocess1", [1, self.skip_channels, self.skip_channels]
                    ),
                    "postprocess2": create_variable("postprocess2", [1, self.skip_channels, q]),
                }
                if self.use_biases:
                    current["bias1"] = create_bias_variable("postprocess1_bias", [self.skip_channels])
                    current["bias2"] = create_bias_variable("postprocess2_bias", [q])
                var["postprocessing"] = current
        return var

    def _layer_variables(self):
        inner, outer = self.dilation_channels, self.residual_channels
        current = {
            "filter": create_variable("filter", [self.filter_width, outer, inner]),
            "gate": create_variable("gate", [self.filter_width, outer, inner]),
            "dense": create_variable("dense", [1, inner, outer]),
            "skip": create_variable("skip", [1, inner, self.skip_channels]),
        }
        if self.use_biases:
            current["filter_bias"] = create_bias_variable("filter_bias", [inner])
            current["gate_bias"] = create_bias_variable("gate_bias", [inner])
            current["dense_bias"] = create_bias_variable("dense_bias", [outer])
            current["skip_bias"] = create_bias_variable("slip_bias", [self.skip_channels])
        return current

    def _dilation_layer(self, x, index, dilation, output_width):
        v = self.variables["dilated_stack"][index]
        conv_filter, conv_gate = causal_conv(x, v["filter"], dilation), causal_conv(x, v["gate"], dilation)
        if self.use_biases:
            conv_filter, conv_gate = conv_filter + v["filter_bias"], conv_gate + v["gate_bias"]
        out = tf.tanh(conv_filter) * tf.sigmoid(conv_gate)
        transformed = tf.nn.conv1d(out, v["dense"], stride=1, padding="SAME", name="dense")
        cut = tf.shape(out)[1] - output_width
        skip = tf.nn.conv1d(tf.slice(out, [0, cut, 0], [-1, -1, -1]), v["skip"], stride=1, padding="SAME")
        if self.use_biases:
            transformed, skip = transformed + v["dense_bias"], skip + v["skip_bias"]
        cut = tf.shape(x)[1] - tf.shape(transformed)[1]
        return skip, tf.slice(x, [0, cut, 0], [-1, -1, -1]) + transformed

    def _create_network(self, x):
        outputs = []
        current = causal_conv(x, self.variables["causal_layer"]["filter"], 1)
        output_width = tf.shape(x)[1] - self.receptive_field + 1
        with tf.name_scope("dilated_stack"):
            for i, dilation in enumerate(self.dilations):
                with tf.name_scope("layer{}".format(i)):
                    output, current = self._dilation_layer(current, i, dilation, output_width)
                    outputs.append(output)
        with tf.name_scope("postprocessing"):
            post = self.variables["postprocessing"]
            conv1 = tf.nn.conv1d(tf.nn.relu(sum(outputs)), post["postprocess1"], stride=1, padding="SAME")
            if self.use_biases:
                conv1 = tf.add(conv1, post["bias1"])
            conv2 = tf.nn.conv1d(tf.nn.relu(conv1), post["postprocess2"], stride=1, padding="SAME")
            if self.use_biases:
                conv2 = tf.add(conv2, post["bias2"])
        return conv2

    def _one_hot(self, x):
        with tf.name_scope("one_hot_encode"):
            encoded = tf.one_hot(x, depth=self.quantization_channels, dtype=tf.float32)
            return tf.reshape(encoded, [self.batch_size, -1, self.quantization_channels])

    def loss(self, audio, l2_regularization_strength=None, name="wavenet"):
        with tf.name_scope(name):
            encoded = mu_law_encode(audio, self.quantization_channels)
            network_input = self._one_hot(encoded)
            width = tf.shape(network_input)[1] - 1
            raw_output = self._create_network(tf.slice(network_input, [0, 0, 0], [-1, width, -1]))
            with tf.name_scope("loss"):
                target = tf.slice(network_input, [0, self.receptive_field, 0], [-1, -1, -1])
                target = tf.reshape(target, [-1, self.quantization_channels])
                prediction = tf.reshape(raw_output, [-1, self.quantization_channels])
                loss = tf.nn.softmax_cross_entropy_with_logits(logits=prediction, labels=target)
                reduced = tf.reduce_mean(loss)
                tf.summary.scalar("loss", reduced)
                if l2_regularization_strength is None:
                    return reduced
                l2 = tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables() if "bias" not in v.name])
                return reduced + l2_regularization_strength * l2
