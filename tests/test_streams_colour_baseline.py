"""The accuracy of average colour, on pictures of one colour each."""

import numpy as np

from fmlora_kit.streams import Stream, Task
from fmlora_kit.streams.colour_baseline import accuracy_by_colour


def plain(*colours):
    """Pictures of 2 x 3 pixels, each of one colour."""
    return np.array(colours, dtype=np.uint8)[:, None, None].repeat(2, axis=1).repeat(3, axis=2)


def task(name, classes, train, test):
    labels = [np.repeat(classes, len(part) // len(classes)) for part in (train, test)]
    names = tuple(map(str, classes))
    return Task(name, classes, names, plain(*train), labels[0], plain(*test), labels[1])


def test_the_nearest_mean_colour_over_all_tasks():
    red, blue = [(200, 0, 0), (100, 0, 0)], [(0, 0, 200), (0, 0, 100)]  # means 150
    green, dark = [(0, 150, 0)] * 2, [(0, 0, 0)] * 2
    first = task("a", (5, 7), [*red, *blue], [(140, 0, 0), (0, 0, 90)])
    second = task("b", (8, 9), [*green, *dark], [(0, 90, 0), (60, 70, 80)])
    stream = Stream("colours", "class-incremental", (first, second), 0)
    # (60, 70, 80): squared distances 19,400 to red, 13,400 to blue, 16,400 to green, 14,900 to dark
    assert accuracy_by_colour(stream) == 0.75


def test_domains_share_their_classes_means():
    one = task("a", (0, 1), [(0, 0, 0), (90, 0, 0)], [(10, 0, 0), (80, 0, 0)])
    other = task("b", (0, 1), [(200, 0, 0), (90, 0, 0)], [(99, 0, 0), (94, 0, 0)])
    # Over both domains class 0 has the mean 100, class 1 has 90.
    stream = Stream("colours", "domain-incremental", (one, other), 0)
    assert accuracy_by_colour(stream) == 0.75
