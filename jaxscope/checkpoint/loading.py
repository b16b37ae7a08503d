"""Loading: what of a file is which variable is settled at once; values are read when they are asked for."""

import os
import typing
from collections.abc import Mapping
from typing import Any

import jax

import jaxscope as js
from jaxscope.checkpoint import contents, formats, plans
from jaxscope.checkpoint.assignments import Target
from jaxscope.checkpoint.loaded import Loaded
from jaxscope.checkpoint.matching import Rename
from jaxscope.checkpoint.stored import Stored


def load(
    path: str | os.PathLike[str],
    specs: js.VariableSpecs | None = None,
    *,
    rename: Rename = None,
    assignment_map: Mapping[str, Target] | None = None,
    missing: str = "error",
    extra: str = "error",
    cast: bool = False,
    key: jax.Array | None = None,
    opt_state: Any = None,
    mesh: Any = None,
    shardings: Mapping[str, Any] | Any = None,
    mapped: bool = True,
) -> Loaded:
    r"""Open a file or folder of variables, and check all that it says of them against specs.

    No values are read but those of small 64-bit integers, which have to fit 32 bits where x64 is off. The
    file may be of another library, or an older one's: 64-bit numbers become those of 32 where each fits.

    Args:
        path: What `save` wrote, or others: `.safetensors`, an index of several of them
            (`.safetensors.index.json`), `.npz`, a folder of orbax's, a checkpoint of TF1's (what its files'
            names begin with, or the folder whose last one is meant).
        specs: What there has to be, as `net.spec(...)` gives it. None takes whatever the file has.
        rename: Patterns of whole names in the file -> names here: `{r"lm/(.*)": r"gpt/\1"}`. The first that
            matches counts, None for a name leaves it out, and a pattern that matches nothing is an error. Or
            a function of the name in the file.
        assignment_map: Instead, as of TF1's `init_from_checkpoint`, what of the file is which variable:
            `{"a/": "b/"}` of scopes (`"/"` is all), `{"a/w": "b/v"}` of names or specs, `{"a/w": [...]}` of
            variables that are parts of one there. What it names has to be there; what else the file has is
            left.
        missing: `"init"` draws what the file does not have, by `key`; its optimizer state is taken from
            `opt_state`.
        extra: `"ignore"` leaves what the specs do not ask for.
        cast: True casts fractions to the precision, and integers to the size, that the specs ask for.
        key: One key, of which `specs.init` draws.
        opt_state: A pytree like the one saved: `jax.eval_shape(tx.init, variables)`, or a state.
        mesh: The `jax.sharding.Mesh` on which each variable is split as its partitioner says.
        shardings: Instead, a sharding for all, or full name -> sharding.
        mapped: Whether arrays of a `.safetensors`, or of a checkpoint of TF1's, on the host may stay in the
            file, from where what is used is read. False reads into memory: for disks that may go away.

    Returns:
        A mapping of full names to arrays, each read when it is asked for; with `variables`, `opt_state`,
        `step`, `key` and `report`.

    Raises:
        VariablesMismatchError: The file does not fit; one error lists all that is wrong.
        InvalidShapeError: The variables of the specs cannot be split on the mesh (code `sharding`).
        InitializerError: What is missing cannot be drawn.
        CheckpointError: It is damaged (code `damaged`), or of no known format (code `unknown_format`).
        FileNotFoundError: There is none.
        ImportError: Folders need orbax (`pip install 'jaxscope[checkpoint]'`), TF1's checkpoints
            google-crc32c and cramjam (`pip install 'jaxscope[tf1]'`).

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "old.npz")
        >>> np.savez(path, **{"lm/w": np.ones([2], "float64"), "lm/step": np.int64(7)})
        >>> specs = js.transform(lambda: js.get_variable("gpt/w", [2])).spec()
        >>> loaded = js.checkpoint.load(path, specs, rename={"lm/w": "gpt/w"}, extra="ignore")
        >>> loaded["gpt/w"], loaded.report.left
        (Array([1., 1.], dtype=float32), ['lm/step'])
    """
    plans.check_choice("missing", missing, "init")
    plans.check_choice("extra", extra, "ignore")
    if missing == "init" and key is None:
        raise TypeError('missing="init" draws variables, and needs a key: key=jax.random.key(0), say')
    if specs is not None and not isinstance(typing.cast(object, specs), js.VariableSpecs):
        raise TypeError(f"specs must be those of net.spec(...), not {type(specs).__name__}")
    if assignment_map is not None and (rename is not None or specs is None):
        raise TypeError("an assignment map goes with specs, and instead of rename")
    stored = formats.opened(os.fspath(path), mapped=mapped)
    return load_stored(
        stored,
        specs,
        plans.Ways(
            rename=rename,
            assignment_map=assignment_map,
            missing=missing,
            extra=extra,
            cast=cast,
            opt_state=opt_state,
            mesh=mesh,
            shardings=shardings,
        ),
        key,
    )


def load_stored(
    stored: Stored, specs: js.VariableSpecs | None, ways: "plans.Ways", key: jax.Array | None
) -> Loaded:
    """Do what `load` does with an open file."""
    contents.check_version(stored)
    return Loaded(plans.planned(stored, specs, ways), key)
