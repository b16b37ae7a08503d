"""The user's line, for what wings say."""

import warnings

from jaxscope._core.base.sites import here, is_users

__all__ = ["is_users", "users_line", "warn"]


def users_line() -> str:
    """Return the innermost line that is the user's: `"train.py:12 in net"`."""
    return str(here(1))


def warn(message: str) -> None:
    """Warn about that line; Python shows it once for each."""
    site = here(1)
    warnings.warn_explicit(message, UserWarning, site.file, site.line)
