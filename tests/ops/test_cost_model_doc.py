"""docs/cost_model.md says what the rules say."""

from __future__ import annotations

from tests.ops.cost_table import PAGE, page_with, rendered


def test_the_op_table_is_the_rules() -> None:
    wanted = page_with(rendered())
    assert PAGE.read_text(encoding="utf-8") == wanted, "run python -m tests.ops.cost_table"
