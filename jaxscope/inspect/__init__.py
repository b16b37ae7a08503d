"""Looking: what is there, what differs, what passes through each scope, who asks for what."""

from jaxscope.inspect.diff import Diff, Difference, diff
from jaxscope.inspect.renames import Proposal
from jaxscope.inspect.summary import Row, Summary, summary

__all__ = ["Diff", "Difference", "Proposal", "Row", "Summary", "diff", "summary"]
