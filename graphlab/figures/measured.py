"""Predicted beside measured: a generation on this machine against the time model of the device."""

from __future__ import annotations

from graphlab.characterization.data import Characterization
from graphlab.characterization.measured import MEASURED_DTYPE, comparisons
from graphlab.report.figure import Column, Figure

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("category", "category", help="operator category; total is the wall time of the stage"),
    Column("predicted", "predicted", "s", "of one generation, guided calls one by one", estimate=True),
    Column("measured", "measured", "s", "of one generation, on this machine"),
    Column("error", "error", help="predicted / measured - 1"),
)


def measured(suite: Characterization) -> Figure:
    """Seconds of every measured stage, by operator category, predicted and measured."""
    rows = tuple(
        {
            "model": item.model,
            "stage": item.stage,
            "category": item.category,
            "predicted": item.predicted,
            "measured": item.measured,
            "error": item.error,
        }
        for item in comparisons(suite)
    )
    return Figure(
        name="measured",
        title="Predicted and measured",
        caption=f"Time of one generation in {MEASURED_DTYPE}: what the time model of {suite.hardware.name} predicts, "
        "against what was measured on this machine.",
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=tuple(_notes(suite)),
    )


def _notes(suite: Characterization) -> list[str]:
    if not suite.measured:
        return ["nothing was measured: --measured runs the models on this machine"]
    found = []
    profile = next(iter(suite.measured.values()))
    calibration = suite.hardware.calibration
    if calibration is None:
        found.append(
            f"{suite.hardware.name} was not calibrated here: two machines are compared, not a prediction checked"
        )
    elif calibration.threads != profile.threads:
        found.append(f"calibrated with {calibration.threads} threads, measured with {profile.threads}")
    found.append(f"measured on {profile.device}, {profile.threads} threads, torch {profile.torch_version}, "
                 f"medians of {profile.rounds} rounds")  # fmt: skip
    return found


_CHART = {
    "description": "Scatter on log axes: predicted over measured seconds of every stage and category.",
    "mark": {"type": "point", "filled": True, "size": 60, "tooltip": True},
    "params": [{"name": "model_pick", "select": {"type": "point", "fields": ["model"]}, "bind": "legend"}],
    "transform": [{"filter": "datum.predicted > 0 && datum.measured > 0"}],
    "encoding": {
        "x": {"field": "measured", "type": "quantitative", "scale": {"type": "log"}, "title": "measured (s)"},
        "y": {"field": "predicted", "type": "quantitative", "scale": {"type": "log"}, "title": "predicted (s)"},
        "color": {"field": "model", "type": "nominal"},
        "shape": {"field": "category", "type": "nominal"},
        "opacity": {"condition": {"param": "model_pick", "value": 1}, "value": 0.15},
        "tooltip": [
            {"field": "model"}, {"field": "stage"}, {"field": "category"},
            {"field": "predicted", "format": ".4g"}, {"field": "measured", "format": ".4g"},
            {"field": "error", "format": "+.1%"},
        ],
    },
}  # fmt: skip
