"""What holds for all tests: strict dtypes, programs compiled once, and fast; which are quick, which slow."""

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping

import jax
import pytest
from hypothesis import settings

# How long an example takes is a fact about the machine, and about who else uses it.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Files for the type checkers, and for TensorFlow: not to be run by themselves.
collect_ignore = ["typing", "tf1/programs"]

#: By what a test's id begins with, where the first that fits counts: of each test's cases one in so many is
#: quick, the first among them; none where it is 0, or nothing fits. A new test is quick where its folder is.
QUICK = {
    "tests/unit/test_drawing": 0,
    "tests/unit/test_laws.py": 0,
    "tests/unit/test_transform.py": 0,
    "tests/unit": 10,
    "tests/design/test_dqn.py": 1,
    "tests/design/test_moving_averages.py": 1,
    "tests/conformance/test_machine.py": 0,
    "tests/conformance/test_model.py": 0,
    "tests/conformance": 25,
    "tests/transforms/test_matrix.py::test_writing": 1,  # inside of each of JAX's transforms
    "tests/transforms/test_matrix.py::test_one": 12,
    "tests/transforms/test_reentrancy.py": 10,
    "tests/depth/test_stacking.py": 0,
    "tests/depth": 12,
    "tests/state/test_discharge_random.py": 0,
    "tests/state": 12,
    "tests/checkpoint/test_hostile.py": 10,
    "tests/checkpoint/test_round_trips.py": 12,
    "tests/checkpoint": 12,
    "tests/getters/test_where.py": 12,
    "tests/getters/test_requests.py": 20,
    "tests/getters/test_state.py": 12,
    "tests/layers/test_layers.py": 20,
    "tests/layers/test_norms.py::test_formula": 4,
    "tests/layers/test_by_hand.py": 7,
    "tests/layers/test_refusals.py": 20,
    "tests/layers/test_signatures.py": 20,
    "tests/optim": 12,
    "tests/inspect/test_page_in_browser.py::test_click_on_a_variable": 1,
    "tests/inspect/test_page_in_browser.py": 0,
    "tests/inspect": 12,
    "tests/interop": 20,
    "tests/command": 12,
    "tests/sharding": 20,
    "tests/layers/test_recorded.py::test_numbers": 100,
    "tests/layers/test_recorded.py::test_variables": 20,
    "tests/tf1/test_ops.py": 60,
    "tests/tf1": 12,
    "tests/test_gpt2.py": 7,
    "tests/test_errors_page.py": 20,
    "tests/test_imports.py": 40,
    "tests/test_p": 40,  # pages, what is public
    "README.md": 1,
    "docs/reference/glossary.md": 1,
    "docs/reference/rules.md": 1,
    "jaxscope/_core": 1,
}

#: Likewise, beside those that say so themselves; none of them is quick.
SLOW = (
    "tests/checkpoint/test_crashes.py::test_killed_while_saving",
    "tests/checkpoint/test_devices.py",
    "tests/checkpoint/test_processes.py",
    "tests/layers/test_matrix.py::test_transforms[other",
    "tests/test_benchmarks.py",
    "tests/test_example_models.py::test_interrupted_and_resumed[resnet",
    "tests/test_examples.py",
    "tests/transforms/test_transparency.py",
    "tests/unit/test_placing.py::test_on_eight_devices",
)


#: Most programs of tests run once, and take longer to compile than to run. The last flag is gone in JAX 0.11.
XLA_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if jax.__version_info__ < (0, 11):
    XLA_FLAGS += " --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config: pytest.Config) -> None:
    """Have XLA compile in a hurry, and each program once: many tests come to the same one."""
    with pytest.MonkeyPatch.context() as patch:  # what other processes run, they compile as users do
        patch.setenv("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAGS}")
        jax.devices()  # reads them
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # or else one process of tests has started another
        folder = tempfile.TemporaryDirectory(prefix="jaxscope-tests-")
        config.add_cleanup(folder.cleanup)
        patch = pytest.MonkeyPatch()
        config.add_cleanup(patch.undo)
        patch.setenv("JAX_COMPILATION_CACHE_DIR", folder.name)
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick, and what is slow."""
    cases: Counter[str] = Counter()
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
        share, test = share_of(item.nodeid, QUICK), item.nodeid.partition("[")[0]
        if share and cases[test] % share == 0 and not item.get_closest_marker("slow"):
            item.add_marker("quick")
        cases[test] += 1
    # Of two processes, none is to begin with what takes longest when the other has nothing left to do.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def share_of(test: str, shares: Mapping[str, int]) -> int:
    """Return what is said of a test: one in how many of its cases; 0 for none."""
    return next((share for beginning, share in shares.items() if test.startswith(beginning)), 0)


@pytest.fixture(autouse=True)
def _strict_dtypes() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="module", autouse=True)
def _looked_through() -> None:
    """Leave what other files have left behind out of each later collection of garbage: it is much."""
    gc.collect()
    gc.freeze()
