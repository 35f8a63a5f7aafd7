"""Controls for notebooks (ipywidgets): they show what figures return and compute nothing."""

from fmlora_kit.widgets.comparison import RunComparison
from fmlora_kit.widgets.figure_stepper import FigureStepper
from fmlora_kit.widgets.live import LiveTraining
from fmlora_kit.widgets.rank_what_if import RankWhatIf
from fmlora_kit.widgets.stepper import TaskStepper
from fmlora_kit.widgets.subspaces import SubspaceExplorer
from fmlora_kit.widgets.time_machine import TimeMachine

__all__ = [
    "FigureStepper",
    "LiveTraining",
    "RankWhatIf",
    "RunComparison",
    "SubspaceExplorer",
    "TaskStepper",
    "TimeMachine",
]
