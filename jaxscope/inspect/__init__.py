"""Looking: what is there, what differs, what passes through each scope, who asks for what."""

from jaxscope.inspect.capture import capture
from jaxscope.inspect.captured import Captured, Origin, Passed
from jaxscope.inspect.diff import Diff, Difference, diff
from jaxscope.inspect.page.page import Page, page
from jaxscope.inspect.renames import Proposal
from jaxscope.inspect.sharing import Asked, Request, Sharing, sharing
from jaxscope.inspect.summary import Row, Summary, summary

__all__ = [
    "Asked",
    "Captured",
    "Diff",
    "Difference",
    "Origin",
    "Page",
    "Passed",
    "Proposal",
    "Request",
    "Row",
    "Sharing",
    "Summary",
    "capture",
    "diff",
    "page",
    "sharing",
    "summary",
]
