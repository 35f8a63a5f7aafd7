"""Controls for notebooks (ipywidgets): they show what figures return and compute nothing."""

from fmlora_kit.widgets.figure_box import FigureBox
from fmlora_kit.widgets.live import LiveTraining

__all__ = ["FigureBox", "LiveTraining"]
