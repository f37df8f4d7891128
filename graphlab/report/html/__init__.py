"""A report as one HTML file that needs nothing else: `to_html(Document) -> str`."""

from graphlab.report.html.document import Document, PlainTable, Section
from graphlab.report.html.page import to_html

__all__ = ["Document", "PlainTable", "Section", "to_html"]
