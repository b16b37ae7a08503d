"""Keys from names: what a name is folded in as, and what is no key."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxscope._core.drawing.keys import as_key, fold, key_for, threefry_folds, words_for
from jaxscope.errors import KeyStreamError


def data(key: jax.Array) -> list[int]:
    return jax.random.key_data(key).tolist()


def test_version_1_is_what_its_text_says():
    """Words are the first eight bytes of the hash, big-endian; they are folded in one after the other."""
    digest = hashlib.sha256(b"jaxscope/1\x00" + "ä/w".encode()).digest()
    first, second = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")
    assert words_for("ä/w").tolist() == [first, second]
    assert words_for("ä/w").dtype == np.uint32
    key = jax.random.key(5)
    expected = jax.random.fold_in(jax.random.fold_in(key, np.uint32(first)), np.uint32(second))
    assert data(key_for(key, "ä/w")) == data(expected)


def test_keys_never_change():
    """No release changes a key silently."""
    assert words_for("tower/kernel").tolist() == [130214286, 1994397633]
    assert data(key_for(jax.random.key(0), "tower/kernel")) == [625943653, 3016567963]
    assert data(key_for(jax.random.key(2**31), "")) == [1885465067, 860852832]


def test_words_cannot_be_written():
    """The words are shared by a cache, so they are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        words_for("a")[0] = 1


def test_ten_thousand_paths_have_ten_thousand_keys():
    """Names do not collide, also not in one word alone being equal."""
    rng = np.random.default_rng(0)
    names = {"/".join(f"p{n}" for n in rng.integers(0, 40, rng.integers(1, 6))) for _ in range(20_000)}
    names |= {f"layer_{i}/kernel" for i in range(5_000)}
    assert len(names) > 10_000
    words = np.stack([words_for(name) for name in sorted(names)])
    keys = threefry_folds(np.asarray(jax.random.key_data(jax.random.key(0))), words)
    assert len({tuple(key) for key in keys.tolist()}) == len(names)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.text())
def test_numpy_folds_like_jax(high: int, low: int, name: str):
    """The folds of NumPy are those of `jax.random.fold_in`."""
    raw = np.array([high, low], np.uint32)
    key = jax.random.wrap_key_data(raw, impl="threefry2x32")
    assert threefry_folds(raw, words_for(name)[None])[0].tolist() == data(key_for(key, name))


def test_legacy_and_typed_keys_give_the_same():
    """A legacy key is wrapped, with the same bits."""
    assert data(key_for(jax.random.PRNGKey(3), "a")) == data(key_for(jax.random.key(3), "a"))
    assert data(key_for(np.asarray(jax.random.PRNGKey(3)), "a")) == data(key_for(jax.random.key(3), "a"))


def test_keys_may_be_traced_and_mapped():
    """Under jit and vmap a name gives the same key."""
    keys = jax.random.split(jax.random.key(1), 3)
    mapped = jax.vmap(lambda key: key_for(key, "a/b"))(keys)
    assert data(mapped) == [data(jax.jit(key_for, static_argnums=1)(key, "a/b")) for key in keys]
    assert data(fold(keys[0], jnp.asarray(words_for("a/b")))) == data(mapped[0])


def test_other_implementations():
    """An rbg key stays one."""
    key = jax.random.key(0, impl="rbg")
    assert str(jax.random.key_impl(key_for(key, "a"))) == str(jax.random.key_impl(key))
    assert as_key(key) is key


@pytest.mark.parametrize(
    ("wrong", "message", "code"),
    [
        (0, "a JAX key is needed, not int 0", "not_a_key"),
        (None, "a JAX key is needed, not NoneType None", "not_a_key"),
        (np.zeros(2), "a JAX key is needed, not an array float64[2]", "not_a_key"),
        (np.zeros((), np.uint32), "a JAX key is needed, not an array uint32[]", "not_a_key"),
        (np.zeros(3, np.uint32), "a JAX key is needed, not an array uint32[3]", "not_a_key"),
    ],
)
def test_no_key(wrong: object, message: str, code: str):
    """What is no key is told so, and what to pass."""
    with pytest.raises(KeyStreamError) as caught:
        key_for(wrong, "a")
    assert str(caught.value) == f"{message}\n  fix      pass a key, such as jax.random.key(0)"
    assert caught.value.code == code


@pytest.mark.parametrize("legacy", [False, True])
def test_a_batch_of_keys(legacy: bool):
    """A batch of keys is refused, with the two ways out."""
    keys = jax.random.split(jax.random.PRNGKey(0) if legacy else jax.random.key(0), 3)
    with pytest.raises(KeyStreamError) as caught:
        key_for(keys, "a")
    assert str(caught.value) == (
        "one key is needed, not a batch of keys of shape (3,)\n"
        "  fix      pass one of them, keys[0], or map over all of them with jax.vmap"
    )
    assert caught.value.code == "key_batch"
