"""What the records say, in a few lines of numpy, against the figures that the page shows.

Each check takes the twin, the value it was made from, the page's figures and all records on disk.
"""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from fmlora_kit.analysis.names import run_name
from fmlora_kit.training import lessons


def stepper(twin, given, figures, records):
    """Accuracies and ranks of the first tasks."""
    record = same(given, records)
    n = twin.task.value
    (matrix,) = traces(figures[0], "heatmap")
    seen = np.tril_indices(n)  # above stands how well a task is known before it was learned
    assert_allclose(numbers(matrix["z"])[seen], 100 * record.accuracy[:n, :n][seen])
    if record.ranks.size:
        (ranks,) = traces(figures[1], "heatmap")
        assert_allclose(numbers(ranks["z"]), record.ranks[:n].T)


def comparison(twin, given, figures, records):
    """The average accuracy of every run after its last task, in the view of accuracies."""
    if twin.view.value != "accuracy":
        return
    curves = {trace["name"]: trace["y"] for trace in traces(figures[0], "scatter")}
    assert set(curves) == set(twin.records.value)
    for name, curve in curves.items():
        record = records[name]
        assert_allclose(curve[-1], 100 * np.average(record.accuracy[-1], weights=record.n_test))


def explorer(twin, given, figures, records):
    """The largest singular value of both updates: A and B are orthonormal, so it is M N's."""
    if twin.task.value == twin.other.value:
        assert not figures[0]["data"]
        return
    record = same(given, records)
    chosen = twin.layer.value
    layers = record.layers if chosen not in record.layers else (chosen,)
    flora = record.config["method"]["flora"]
    scale = (flora["alpha"] or flora["max_rank"]) / flora["max_rank"]
    drawn = {t.get("name"): t for t in traces(figures[0], "scatter")}
    for name in (twin.task.value, twin.other.value):
        state = record.tasks[record.task_names.index(name)].state
        largest = [np.linalg.norm(state[f"{k}.m"] @ state[f"{k}.n"], 2) for k in layers]
        assert_allclose(drawn[name]["y"][0], scale * np.mean(largest))


def what_if(twin, given, figures, records):
    """Accuracies of the run as it was, on the first images of each class: the frames."""
    run = (given.method, given.task_names)
    (record,) = [r for r in records.values() if (r.method, r.task_names) == run]
    labels = [task.test_labels for task in record.tasks]
    right = np.split(
        record.tasks[-1].predictions == np.concatenate(labels), np.cumsum(record.n_test)
    )
    expected = []
    for known, hits, n in zip(labels, right, given.n_images, strict=False):
        each = n // len(np.unique(known))
        used = [place for k in np.unique(known) for place in np.flatnonzero(known == k)[:each]]
        expected.append(100 * hits[used].mean())
    frames = [bar for bar in traces(figures[0], "bar") if "chosen ranks" in bar["hovertemplate"]]
    assert_allclose(numbers(frames[0]["y"]), expected)


def machine(twin, given, figures, records):
    """The class on top is the one that the record has as prediction for this picture."""
    explained = given[twin.method.value]
    stream, after = lessons.stream(), twin.task.value - 1
    (record,) = [r for r in records.values() if run_name(r) == explained.run]
    pictures = np.concatenate([task.test_images for task in stream[: after + 1]])
    picture = explained.images[twin.image.value]
    places = np.flatnonzero((pictures == picture).all(axis=(1, 2, 3)))
    (bars,) = traces(figures[0], "bar")
    if places.size:  # otherwise its task is not learned yet
        predicted = explained.class_names[int(record.tasks[after].predictions[places[0]])]
        assert bars["customdata"][0].startswith(f"{predicted},")


def map_of(twin, given, figures, records):
    """The letters of the tasks learned stand where the map has them, and no others stand there."""
    points = [np.c_[numbers(t["x"]), numbers(t["y"])] for t in traces(figures[0], "scatter")]
    expected = given.coordinates[twin.task.value - 1]
    for task, drawn in enumerate(points):
        assert_allclose(drawn, expected[given.tasks == task], atol=6e-4)


CHECKS = {
    "FigureStepper": map_of,
    "TaskStepper": stepper,
    "RunComparison": comparison,
    "SubspaceExplorer": explorer,
    "RankWhatIf": what_if,
    "TimeMachine": machine,
}


def same(record, records):
    """The record as it lies on disk."""
    return next(kept for kept in records.values() if kept == record)


def traces(figure, kind):
    return [trace for trace in figure["data"] if trace["type"] == kind]


def numbers(values):
    return np.array(values, dtype=float)
