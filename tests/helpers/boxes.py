"""What a move of a control costs, counted in figures: seconds are another machine's."""

from fmlora_kit.widgets.figure_box import FigureBox


def count_shows(monkeypatch):
    """A list that gets every figure that a box shows from now on."""
    shown, show = [], FigureBox.show

    def listed(box, figure):
        shown.append(figure)
        show(box, figure)

    monkeypatch.setattr(FigureBox, "show", listed)
    return shown
