"""Sites: the user's line, for errors."""

import os
import sys

import jax

import jaxscope as js

_NOT_USERS = (os.path.join(os.path.dirname(js.__file__), ""), os.path.join(os.path.dirname(jax.__file__), ""))


def users_line() -> str:
    """Return the innermost line that is the user's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_USERS):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"
