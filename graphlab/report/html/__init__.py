"""A report as one HTML file that needs nothing else: `to_html(Document) -> str`."""

from graphlab.report.html.document import Document, Listing, Picture, PlainTable, Section, TreeRow, TreeTable
from graphlab.report.html.page import to_html
from graphlab.report.html.tables import plain, plains

__all__ = [
    "Document",
    "Listing",
    "Picture",
    "PlainTable",
    "Section",
    "TreeRow",
    "TreeTable",
    "plain",
    "plains",
    "to_html",
]
