"""The live charts as Bokeh figures without data; static/js/charts.js fills their named sources and streams into them.

Python decides what a chart looks like, the browser only moves numbers, so the page needs no inline script and no
eval. A figure depends on the theme and the curves of the task alone, so it is made once for these. Bokeh is imported
inside: 0.8 s.
"""

import threading
from functools import cache
from typing import Any, Literal

from app.tasks.base import Metric

Theme = Literal["light", "dark"]
# The colours of static/app.css.
COLOURS: dict[str, dict[str, str]] = {
    "light": {
        "ink": "#1b1e22",
        "muted": "#667078",
        "line": "#e4e6e3",
        "panel": "#ffffff",
        "train": "#5b7fb8",
        "valid": "#d9570b",
        "second": "#0b6e62",
        "third": "#7d5ba6",
    },
    "dark": {
        "ink": "#e7e9ec",
        "muted": "#98a2ab",
        "line": "#2a3036",
        "panel": "#181c20",
        "train": "#7fa6e6",
        "valid": "#ff9a55",
        "second": "#3ecfb7",
        "third": "#c3a6ee",
    },
}
_importing = threading.Lock()  # two first requests at once would import Bokeh half and half


def figures(theme: Theme, curves: tuple[Metric, ...] = ()) -> dict[str, Any]:
    """{"loss", "loss_log", "rate", and "score" if there are curves}: what Bokeh.embed.embed_item draws.

    `curves`: the scores of the validation part that the task wants drawn. Sources (columns step, value, and smooth for
    train/loss) are named after their series; that of "before/NAME" is a level to compare the curve with. The spans
    "best" and "resumed" have no place until the script gives them one.
    """
    with _importing:
        return {**_common(theme), **({"score": _scores(theme, curves)} if curves else {})}


@cache
def _common(theme: Theme) -> dict[str, Any]:
    from bokeh.embed import json_item

    colours = COLOURS[theme]
    drawn = {"loss": _loss(colours, "linear"), "loss_log": _loss(colours, "log"), "rate": _rate(colours)}
    return {name: json_item(figure) for name, figure in drawn.items()}


@cache
def _scores(theme: Theme, curves: tuple[Metric, ...]) -> Any:
    from bokeh.embed import json_item

    return json_item(_score(COLOURS[theme], curves))


def _models() -> Any:
    """Bokeh's models, untyped: its stubs don't know half of what it can do."""
    import bokeh.models

    return bokeh.models


def _loss(colours: dict[str, str], scale: str) -> Any:
    figure = _figure(colours, 375, scale)
    train = _source("train/loss", smooth=True)
    valid = _source("validation/loss")
    thin = figure.line("step", "value", source=train, color=colours["train"], line_width=1.2, alpha=0.45)
    smooth = figure.line("step", "smooth", source=train, color=colours["train"], line_width=2)
    line = figure.line("step", "value", source=valid, color=colours["valid"], line_width=2)
    dots = figure.scatter("step", "value", source=valid, color=colours["valid"], size=7)
    _legend(figure, colours, [("train", [thin]), ("train, smoothed", [smooth]), ("validation", [line, dots])])
    _hover(figure, [smooth], "train", "@value{0.0000}")
    _hover(figure, [dots], "validation", "@value{0.0000}")
    return figure


def _rate(colours: dict[str, str]) -> Any:
    models = _models()

    figure = _figure(colours, 132, "linear")
    source = _source("train/learning_rate")
    line = figure.line("step", "value", source=source, color=colours["train"], line_width=2)
    figure.yaxis.formatter = models.BasicTickFormatter(precision=1, use_scientific=True, power_limit_low=-2)
    _hover(figure, [line], "learning rate", "@value{0.00e+0}")
    return figure


def _score(colours: dict[str, str], curves: tuple[Metric, ...]) -> Any:
    models = _models()

    figure = _figure(colours, 160, "linear")
    shown = []
    _scale(figure.y_range, curves[0])
    # What is measured in other units than the first curve gets an axis of its own, on the right.
    others = [metric for metric in curves if _unit(metric) != _unit(curves[0])]
    if others:
        figure.extra_y_ranges = {"other": models.DataRange1d(only_visible=True, range_padding=0.08)}
        _scale(figure.extra_y_ranges["other"], others[0])
        axis = models.LinearAxis(y_range_name="other")
        figure.add_layout(axis, "right")
        _plain(axis, colours)
        axis.ticker.desired_num_ticks = 4
    for place, metric in enumerate(curves):
        colour = colours[("valid", "second", "third", "train")[place % 4]]
        side = {"y_range_name": "other"} if metric in others else {}
        source = _source(f"validation/{metric.name}")
        before = _source(f"before/{metric.name}")
        line = figure.line("step", "value", source=source, color=colour, line_width=2, **side)
        dots = figure.scatter("step", "value", source=source, color=colour, size=6, **side)
        level = figure.line("step", "value", source=before, color=colour, line_dash="dashed", **side)
        for glyph in (line, dots, level):
            ranged = figure.extra_y_ranges["other"] if side else figure.y_range
            ranged.renderers = [*(ranged.renderers if ranged.renderers != "auto" else []), glyph]
        _hover(figure, [dots], metric.title, "@value{0,0.000[000]}")
        shown.append((metric.title + (" (right)" if side else ""), [line, dots, level]))
    for axis in figure.yaxis:
        axis.formatter = models.BasicTickFormatter(power_limit_high=6, power_limit_low=-4)
    _legend(figure, colours, shown)
    return figure


def _unit(metric: Metric) -> tuple[float | None, bool]:
    """Curves of one unit share an axis: scores up to 1, scores up to 100, what has no bound."""
    return (None, True) if metric.lower else (metric.top, False)


def _scale(axis: Any, metric: Metric) -> None:
    """A first point alone must not be drawn in millionths, nor two equal ones on an axis from 0 to 2."""
    if metric.top and not metric.lower:
        axis.min_interval = axis.default_span = 0.1 * metric.top


def _figure(colours: dict[str, str], height: int, scale: str) -> Any:
    models = _models()

    from bokeh import plotting

    make: Any = plotting.figure
    figure = make(
        height=height,
        sizing_mode="stretch_width",
        x_range=models.Range1d(0, 10),
        y_range=models.DataRange1d(only_visible=True, range_padding=0.08),
        y_axis_type=scale,
        # Nothing takes a finger's drag by itself, so a phone can scroll over the chart.
        tools="box_zoom,reset,save",
        active_drag=None,
        toolbar_location="right",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=48,
        min_border_right=8,
        min_border_top=4,
    )
    figure.toolbar.autohide = True
    figure.toolbar.logo = None
    figure.grid.grid_line_color = colours["line"]
    figure.xgrid.grid_line_color = None
    figure.xaxis.axis_label = "step"
    figure.xaxis.formatter = models.BasicTickFormatter(use_scientific=False)
    figure.xaxis.ticker.min_interval = 1
    figure.xaxis.ticker.desired_num_ticks = 6
    if scale == "linear":
        figure.yaxis.ticker.desired_num_ticks = 5 if height > 200 else 4
    _plain(figure.axis, colours)
    for name, dash in (("best", "dotted"), ("resumed", "dashed")):
        span = models.Span(
            name=name, dimension="height", line_color=colours["muted"], line_dash=dash, visible=False
        )
        figure.add_layout(span)
    return figure


def _plain(axis: Any, colours: dict[str, str]) -> None:
    """The look of an axis, or of several at once."""
    axis.axis_line_color = colours["line"]
    axis.major_tick_line_color = colours["line"]
    axis.minor_tick_line_color = None
    axis.major_label_text_color = colours["muted"]
    axis.major_label_text_font = "system-ui"
    axis.major_label_text_font_size = "11px"
    axis.axis_label_text_color = colours["muted"]
    axis.axis_label_text_font = "system-ui"
    axis.axis_label_text_font_size = "11px"
    axis.axis_label_text_font_style = "normal"
    axis.axis_label_standoff = 4


def _source(series: str, smooth: bool = False) -> Any:
    models = _models()

    data: dict[str, list[float]] = {"step": [], "value": []}
    if smooth:
        data["smooth"] = []
    return models.ColumnDataSource(data, name=series)


def _legend(figure: Any, colours: dict[str, str], items: list[tuple[str, list[Any]]]) -> None:
    models = _models()

    legend = models.Legend(
        items=items,
        orientation="horizontal",
        click_policy="hide",
        background_fill_color=None,
        border_line_color=None,
        label_text_color=colours["muted"],
        inactive_fill_color=colours["panel"],
        inactive_fill_alpha=0.7,
        label_text_font="system-ui",
        label_text_font_size="12px",
        glyph_width=18,
        glyph_height=14,
        padding=0,
        margin=6,  # else the marks of a step touch its words
        spacing=12,
        location="bottom_left",
    )
    figure.add_layout(legend, "above")


def _hover(figure: Any, renderers: list[Any], title: str, value: str) -> None:
    models = _models()

    tool = models.HoverTool(
        renderers=renderers,
        tooltips=[("step", "@step{0,0}"), (title, value)],
        mode="vline" if len(renderers) == 1 else "mouse",
        visible=False,
        point_policy="snap_to_data",
        line_policy="nearest",
        attachment="horizontal",
    )
    figure.add_tools(tool)
