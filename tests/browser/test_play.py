"""Play, as the steppers have it: one button with a name, by keyboard."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

SOURCE = """from IPython.display import display
from ipywidgets import HBox
from fmlora_kit.widgets.controls import make_player, make_task_number
number = make_task_number(3, "tasks")
play = make_player(number, "Count them")
play.interval = 200
display(HBox([play, play.button, number]))"""


def test_play_has_a_name_and_counts_by_keyboard(open_notebook, lab):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = new_notebook(cells=[new_code_cell(SOURCE)], metadata=kernel)
    nbformat.write(notebook, lab.notebooks / "play.ipynb")
    notebook = open_notebook("play.ipynb")
    notebook.start([0])
    notebook.wait()
    area = notebook.cell(0)
    number = area.locator("input[type=number]")
    buttons = area.locator(".jp-OutputArea-output button:visible")
    assert buttons.all_inner_texts() == ["Play"] and number.input_value() == "3"
    number.fill("1")
    number.press("Enter")
    buttons.first.focus()
    notebook.page.keyboard.press("Space")
    counted = "place => place.value === '3'"
    notebook.page.wait_for_function(counted, arg=number.element_handle(), timeout=30_000)
    assert notebook.ask("print(number.value)").strip() == "3"
