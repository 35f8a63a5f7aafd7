"""How long a control takes to answer."""

import statistics
import time


def typical(control, values):
    """CPU seconds of the middle one of several answers of a control, each to another value.

    Neither other programs count, nor what a process does once in a while, such as collecting
    garbage.
    """
    took = []
    for value in values:
        started = time.process_time()
        control.value = value
        took.append(time.process_time() - started)
    return statistics.median(took)
