"""Looking: what is there, what differs, what passes through each scope, who asks for what."""

from jaxscope.inspect.diff import Diff, Difference, diff
from jaxscope.inspect.renames import Proposal
from jaxscope.inspect.sharing import Asked, Request, Sharing, sharing
from jaxscope.inspect.summary import Row, Summary, summary

__all__ = [
    "Asked",
    "Diff",
    "Difference",
    "Proposal",
    "Request",
    "Row",
    "Sharing",
    "Summary",
    "diff",
    "sharing",
    "summary",
]
