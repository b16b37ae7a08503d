"""Scans: what their equations carry, for wings that read programs."""

from jaxscope._core.base.compat import whole

__all__ = ["whole"]
