"""Checkpoints: variables, optimizer state, step, keys in files that no crash harms, read as asked for."""

from jaxscope.checkpoint.loaded import Loaded
from jaxscope.checkpoint.loading import load
from jaxscope.checkpoint.manager import Manager
from jaxscope.checkpoint.report import Report
from jaxscope.checkpoint.saving import Saving, save

__all__ = ["Loaded", "Manager", "Report", "Saving", "load", "save"]
