"""What a pass is made of: what surrounds requests, attempts, memory, cells, borders."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxscope._core.passes.border import OPEN
from jaxscope._core.passes.cells import Cell
from jaxscope._core.passes.learned import Memories, Memory
from jaxscope._core.passes.surroundings import NOTHING, Around, During
from jaxscope._core.passes.traces import Restart, Traces
from jaxscope.errors import ScopeNestingError

# --- around ------------------------------------------------------------------------------------


class Run:
    """A pass, as far as `During` needs it."""

    def __init__(self) -> None:
        self.around = NOTHING
        self.ended = False

    def surround(self, around: Around) -> None:
        self.around = around


def adding(label: str) -> Any:
    return lambda around: around._replace(creators=(label, *around.creators))


@given(st.lists(st.sampled_from("abc"), max_size=5))
def test_around_is_put_back(labels: list[str]):
    """Each block changes what is there when it is entered, and puts back just that."""
    run = Run()
    entered = []
    for label in labels:
        before, block = run.around, During(run, adding(label))
        block.__enter__()
        assert run.around.creators == (label, *before.creators)
        entered.append((before, block))
    for before, block in reversed(entered):
        block.__exit__(None, None, None)
        assert run.around is before
    assert run.around is NOTHING


def test_a_manager_may_be_entered_again():
    """One after the other; what it changes is what is there then."""
    run = Run()
    block = During(run, adding("a"))
    for _ in range(2):
        with block:
            assert run.around.creators == ("a",)
    assert run.around is NOTHING


def test_disorder():
    """An error, unless one is on its way already, or the pass has ended."""
    run = Run()
    one, two = During(run, adding("a")), During(run, adding("b"))
    one.__enter__()
    two.__enter__()
    with pytest.raises(ScopeNestingError):
        one.__exit__(None, None, None)
    assert run.around.creators == ("b", "a")
    one.__exit__(ValueError, ValueError(), None)
    assert run.around is NOTHING
    run.ended = True
    two.__exit__(None, None, None)
    assert run.around is NOTHING


def test_nothing_allows_all():
    """The border of a pass by itself listens to nothing, and writes where it is asked to."""
    assert NOTHING.border is OPEN
    assert OPEN.listens is False
    written: list[Any] = []

    class Writer:
        def write(self, entry: Any, value: Any) -> None:
            written.append((entry, value))

    OPEN.write(Writer(), "entry", 3)  # type: ignore[arg-type]
    assert written == [("entry", 3)]


# --- traces ------------------------------------------------------------------------------------


class Attempted:
    """A pass that was attempted."""

    def __init__(self) -> None:
        self.traces = Traces(Memory(), everywhere=False)


def test_a_request_in_a_trace_of_the_neutral_key_starts_the_pass_again():
    """And from then on each further request does, also one outside of it."""
    run = Attempted().traces

    def inner(x: Any) -> Any:
        run.look()
        return x

    run.look()
    with pytest.raises(Restart):
        jax.jit(inner)(1.0)
    assert run.aborted
    with pytest.raises(Restart):
        run.look()


@pytest.mark.parametrize("around", [jax.vmap, jax.grad, lambda f: lambda x: jax.jvp(f, (x,), (x,))])
def test_some_transforms_keep_no_trace(around: Any):
    """vmap and grad run their function each time, so a request in them changes nothing."""
    run = Attempted().traces

    def inner(x: Any) -> Any:
        assert run.at_root
        run.look()
        assert not run.at_root
        return x.sum()

    around(inner)(jnp.ones(()) if around is not jax.vmap else jnp.ones(2))
    run.look()
    assert run.at_root
    assert not run.found


def test_with_the_real_key_places_are_learned():
    """Where inner traces make requests, later passes use the real key; the trace and its end are noted."""
    memory = Memory()
    run = Traces(memory, everywhere=True)
    states: list[Any] = []

    def inner(x: Any) -> Any:
        run.look()
        states.append(run.current)
        assert run.is_open(run.current)
        assert not run.at_root
        return x

    with run.neutral():
        run.rekey(("a", 1), lambda: "key")
        jax.jit(inner)(1.0)
    run.look()
    assert run.at_root
    assert run.found
    assert memory.places == {("a", 1)}
    assert not run.is_open(states[0])


# --- memory ------------------------------------------------------------------------------------


def test_memories_tell_kinds_of_call_apart():
    """What one kind writes is not taken for another's; the oldest of very many are forgotten."""
    memories = Memories()
    memories.of("train").written().add("n")
    assert memories.of("eval").written() == set()
    assert memories.of("train").written() == {"n"}
    for kind in range(2 * Memories.KINDS):
        memories.of(kind).written().add("m")
    assert memories.of(2 * Memories.KINDS - 1).written() == {"m"}
    assert memories.of("train").written() == set()


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("index", [..., (1,), (slice(None), 2)])
def test_a_cell_is_one_home(reference: bool, index: Any):
    """What is written to a part is read from it, and from the whole, whether or not it is a reference."""
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    cell = Cell(jnp.asarray(array), lambda value: value, reference=reference)
    assert cell.is_reference is reference
    np.testing.assert_array_equal(cell.read(index), array[index])
    new = jnp.asarray(array[index] + 10)
    cell.write(new, index)
    array[index] += 10
    np.testing.assert_array_equal(cell.read(), array)
    np.testing.assert_array_equal(cell.read(index), array[index])


def test_a_write_is_carried_out_of_an_inner_trace_by_a_reference():
    """That is what it is for."""
    cell = Cell(jnp.zeros(2), lambda value: value, reference=True)

    @jax.jit
    def inner(x: Any) -> Any:
        cell.write(cell.read((0,)) + x, (0,))
        return x

    inner(3.0)
    inner(4.0)
    assert cell.read().tolist() == [7.0, 0.0]
