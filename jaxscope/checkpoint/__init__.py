"""Checkpoints: variables, optimizer state, step, keys in files that no crash harms, read as asked for."""

from jaxscope.checkpoint.assignments import variables_to_restore
from jaxscope.checkpoint.listing import latest_checkpoint, list_variables, load_variable
from jaxscope.checkpoint.loaded import Loaded
from jaxscope.checkpoint.loading import load
from jaxscope.checkpoint.manager import Manager
from jaxscope.checkpoint.reader import CheckpointReader, load_checkpoint
from jaxscope.checkpoint.report import Report
from jaxscope.checkpoint.saving import Saving, save

__all__ = [
    "CheckpointReader",
    "Loaded",
    "Manager",
    "Report",
    "Saving",
    "latest_checkpoint",
    "list_variables",
    "load",
    "load_checkpoint",
    "load_variable",
    "save",
    "variables_to_restore",
]
