"""Looking: what is there, what differs, what passes through each scope, who asks for what."""

from jaxscope.inspect.summary import Summary, summary

__all__ = ["Summary", "summary"]
