"""The table of constants in docs/cost_model.md is constants.toml: `python -m tests.prediction.test_cost_model_doc`."""

from __future__ import annotations

from pathlib import Path

from graphlab.prediction.constants import constants_table

PAGE = Path(__file__).parent.parent.parent / "docs" / "cost_model.md"
START, END = "<!-- constants: written by tests/prediction/test_cost_model_doc.py -->\n", "<!-- end -->\n"


def rendered() -> str:
    """The constants as a Markdown table."""
    lines = ["| constant | value | what it is | source |", "|---|---|---|---|"]
    for name, entry in constants_table().items():
        lines.append(f"| `{name}` | {entry['value']:g} | {entry['help']} | {entry['source']} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return before + START + rendered() + END + after


def test_the_page_has_the_constants_in_force() -> None:
    wanted = page()
    assert PAGE.read_text(encoding="utf-8") == wanted, "run python -m tests.prediction.test_cost_model_doc"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
