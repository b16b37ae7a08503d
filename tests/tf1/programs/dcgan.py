"""A generator and a discriminator of images: a class whose graph is built by a method."""

import math

import tensorflow as tf


class batch_norm(object):
    """Batch normalization with a name, made once and called where it is used."""

    def __init__(self, epsilon=1e-5, momentum=0.9, name="batch_norm"):
        with tf.variable_scope(name):
            self.epsilon = epsilon
            self.momentum = momentum
            self.name = name

    def __call__(self, x, train=True):
        return tf.contrib.layers.batch_norm(
            x,
            decay=self.momentum,
            updates_collections=None,
            epsilon=self.epsilon,
            scale=True,
            is_training=train,
            scope=self.name,
        )


def conv2d(x, output_dim, k=5, d=2, stddev=0.02, name="conv2d"):
    with tf.variable_scope(name):
        w = tf.get_variable(
            "w",
            [k, k, x.get_shape()[-1], output_dim],
            initializer=tf.truncated_normal_initializer(stddev=stddev),
        )
        conv = tf.nn.conv2d(x, w, strides=[1, d, d, 1], padding="SAME")
        biases = tf.get_variable("biases", [output_dim], initializer=tf.constant_initializer(0.0))
        return tf.reshape(tf.nn.bias_add(conv, biases), conv.get_shape())


def deconv2d(x, output_shape, k=5, d=2, stddev=0.02, name="deconv2d"):
    with tf.variable_scope(name):
        w = tf.get_variable(
            "w",
            [k, k, output_shape[-1], x.get_shape()[-1]],
            initializer=tf.random_normal_initializer(stddev=stddev),
        )
        out = tf.nn.conv2d_transpose(x, w, output_shape=output_shape, strides=[1, d, d, 1])
        biases = tf.get_variable("biases", [output_shape[-1]], initializer=tf.constant_initializer(0.0))
        return tf.reshape(tf.nn.bias_add(out, biases), out.get_shape())


def lrelu(x, leak=0.2, name="lrelu"):
    return tf.maximum(x, leak * x)


def linear(x, output_size, scope=None, stddev=0.02, bias_start=0.0):
    shape = x.get_shape().as_list()
    with tf.variable_scope(scope or "Linear"):
        matrix = tf.get_variable(
            "Matrix", [shape[1], output_size], tf.float32, tf.random_normal_initializer(stddev=stddev)
        )
        bias = tf.get_variable("bias", [output_size], initializer=tf.constant_initializer(bias_start))
        return tf.matmul(x, matrix) + bias


def conv_out_size_same(size, stride):
    return int(math.ceil(float(size) / float(stride)))


class DCGAN(object):
    """The two networks, for square images."""

    def __init__(self, batch_size=4, output_size=16, c_dim=3, z_dim=8, gf_dim=4, df_dim=4):
        self.batch_size, self.output_size, self.c_dim = batch_size, output_size, c_dim
        self.z_dim, self.gf_dim, self.df_dim = z_dim, gf_dim, df_dim
        self.d_bn1, self.d_bn2 = batch_norm(name="d_bn1"), batch_norm(name="d_bn2")
        self.g_bn0, self.g_bn1 = batch_norm(name="g_bn0"), batch_norm(name="g_bn1")

    def build_model(self, images, z):
        self.z_sum = tf.summary.histogram("z", z)
        self.G = self.generator(z)
        self.D, self.D_logits = self.discriminator(images, reuse=False)
        self.sampler_ = self.sampler(z)
        self.D_, self.D_logits_ = self.discriminator(self.G, reuse=True)

        def cross_entropy(x, y):
            return tf.nn.sigmoid_cross_entropy_with_logits(logits=x, labels=y)

        self.d_loss_real = tf.reduce_mean(cross_entropy(self.D_logits, tf.ones_like(self.D)))
        self.d_loss_fake = tf.reduce_mean(cross_entropy(self.D_logits_, tf.zeros_like(self.D_)))
        self.g_loss = tf.reduce_mean(cross_entropy(self.D_logits_, tf.ones_like(self.D_)))
        self.d_loss = self.d_loss_real + self.d_loss_fake
        self.g_loss_sum = tf.summary.scalar("g_loss", self.g_loss)
        t_vars = tf.trainable_variables()
        self.d_vars = [var for var in t_vars if "d_" in var.name]
        self.g_vars = [var for var in t_vars if "g_" in var.name]
        self.saver = tf.train.Saver()

    def discriminator(self, image, reuse=False):
        with tf.variable_scope("discriminator") as scope:
            if reuse:
                scope.reuse_variables()
            h0 = lrelu(conv2d(image, self.df_dim, name="d_h0_conv"))
            h1 = lrelu(self.d_bn1(conv2d(h0, self.df_dim * 2, name="d_h1_conv")))
            h2 = lrelu(self.d_bn2(conv2d(h1, self.df_dim * 4, name="d_h2_conv")))
            h3 = linear(tf.reshape(h2, [self.batch_size, -1]), 1, "d_h3_lin")
            return tf.nn.sigmoid(h3), h3

    def upsample(self, z, train):
        s = self.output_size
        s2 = conv_out_size_same(s, 2)
        s4 = conv_out_size_same(s2, 2)
        z_ = linear(z, self.gf_dim * 2 * s4 * s4, "g_h0_lin")
        h0 = tf.reshape(z_, [-1, s4, s4, self.gf_dim * 2])
        h0 = tf.nn.relu(self.g_bn0(h0, train=train))
        h1 = deconv2d(h0, [self.batch_size, s2, s2, self.gf_dim], name="g_h1")
        h1 = tf.nn.relu(self.g_bn1(h1, train=train))
        return tf.nn.tanh(deconv2d(h1, [self.batch_size, s, s, self.c_dim], name="g_h2"))

    def generator(self, z):
        with tf.variable_scope("generator"):
            return self.upsample(z, train=True)

    def sampler(self, z):
        with tf.variable_scope("generator") as scope:
            scope.reuse_variables()
            return self.upsample(z, train=False)


def train(images, z, **sizes):
    """One step of both networks, each of its own variables."""
    gan = DCGAN(**sizes)
    gan.build_model(images, z)
    tf.train.AdamOptimizer(0.0002, beta1=0.5).minimize(gan.d_loss, var_list=gan.d_vars)
    tf.train.AdamOptimizer(0.0002, beta1=0.5).minimize(gan.g_loss, var_list=gan.g_vars)
    return gan.d_loss, gan.g_loss
