"""The user's line, for what wings say."""

from jaxscope._core.base.sites import here, is_users, warn

__all__ = ["is_users", "users_line", "warn"]


def users_line() -> str:
    """Return the innermost line that is the user's: `"train.py:12 in net"`."""
    return str(here(1))
