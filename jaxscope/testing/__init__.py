"""Checks of a user's own functions: that every variable matters, and that two functions compute the same."""

from jaxscope.testing.comparing import Comparison, same
from jaxscope.testing.reaching import Report, check, examine

__all__ = ["Comparison", "Report", "check", "examine", "same"]
