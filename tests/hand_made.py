"""Records built by hand, for tests and for looking at figures: no torch, no training, no files."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fmlora_kit.record import Record, TaskResult

# a[t, i] of three tasks; the upper triangle was not evaluated. Every metric of it is easy by hand.
THREE_TASKS = np.array(
    [
        [0.9, np.nan, np.nan],
        [0.7, 0.8, np.nan],
        [0.5, 0.9, 0.6],
    ]
)
THREE_TASKS_ORACLE = np.array(
    [
        [0.9, np.nan, np.nan],
        [0.8, 0.9, np.nan],
        [0.8, 0.9, 0.7],
    ]
)


def make_task(index, accuracy, oracle, n_test, *, ranks=(), classes=None, seconds=1.5, **changes):
    """Result of task `index` (two classes unless given), with a small snapshot.

    `n_test` holds the sizes of the tasks seen so far.
    """
    classes = (2 * index, 2 * index + 1) if classes is None else classes
    values = {
        "name": f"task {chr(65 + index % 26)}{index // 26 or ''}",
        "classes": tuple(classes),
        "class_names": tuple(f"class {c}" for c in classes),
        "n_test": n_test[-1],
        "accuracy": accuracy,
        "oracle_accuracy": oracle,
        "predictions": np.arange(sum(n_test)) % (min(classes) + 1),
        "losses": np.linspace(2.0, 1.0, 4),
        "ranks": np.array(ranks, dtype=np.int64),
        "n_trainable": 100 + 10 * index,
        "n_deployed": 1000,
        "n_training_state": 30,
        "scalars": {"difficulty": 0.25, "novelty": float("nan") if index == 0 else 0.5},
        "state": {"core.0": np.full((2, 3), index, dtype=np.float32), "step": np.array(index)},
        "seconds": seconds,
    }
    return TaskResult(**{**values, **changes})


def make_record(
    accuracy=THREE_TASKS,
    oracle=THREE_TASKS_ORACLE,
    *,
    n_test=(10, 20, 10),
    n_done=None,
    ranks=None,
    layers=("blocks.0.q", "blocks.0.v"),
    classes_per_task=2,
    **changes,
):
    """A record with the given accuracy matrices, of which the first `n_done` tasks are finished."""
    n_tasks = len(accuracy)
    done = n_tasks if n_done is None else n_done
    values = {
        "method": "fmlora",
        "stream": "hand made",
        "scenario": "class-incremental",
        "n_tasks": n_tasks,
        "n_classes": n_tasks * classes_per_task,
        "seed": 0,
        "layers": layers,
        "config": {"method": {"max_rank": 8}, "training": {"epochs": 2}},
        "versions": {"numpy": "2.0.0"},
    }
    record = Record(**{**values, **changes})
    for t in range(done):
        record = record.with_task(
            make_task(
                t,
                accuracy[t],
                oracle[t],
                n_test[: t + 1],
                ranks=() if ranks is None else ranks[t],
                classes=range(t * classes_per_task, (t + 1) * classes_per_task),
            )
        )
    return record


def plausible_record(n_tasks, *, method="fmlora", seed=0, drift=0.01, learn=0.72, ranked=True):
    """A record of `n_tasks` tasks of 10 classes that looks like a real run; for figures.

    Args:
        n_tasks: length of the stream.
        method: name of the method.
        seed: seed of the noise.
        drift: fall of the task-oracle accuracy per further task.
        learn: accuracy on a task that was just learned.
        ranked: whether the method chooses ranks.
    """
    rng = np.random.default_rng([seed, n_tasks, len(method)])
    step = np.arange(n_tasks)[:, None] - np.arange(n_tasks)[None, :]
    skill = rng.normal(0, 0.05, n_tasks) + learn
    noise = rng.normal(0, 0.01, (n_tasks, n_tasks))
    oracle = np.clip(skill + 0.12 - drift * step + noise, 0, 1)
    compete = 0.25 * (1 - 0.85 ** np.arange(n_tasks))[:, None] + 0.006 * step
    accuracy = np.clip(oracle - compete, 0, 1)
    future = step < 0
    accuracy, oracle = (np.where(future, np.nan, a) for a in (accuracy, oracle))
    layers = tuple(f"blocks.{b}.{m}" for b in range(6) for m in "qv") if ranked else ()
    ranks = np.sort(rng.integers(1, 17, (n_tasks, len(layers))), axis=1) if ranked else None
    return make_record(
        accuracy,
        oracle,
        n_test=[200] * n_tasks,
        ranks=ranks,
        layers=layers,
        classes_per_task=10,
        method=method,
        stream="glyphs",
        seed=seed,
    )


class FakeModel:
    """The least that `Record.start` asks of a method."""

    name = "fmlora"
    seed = 3
    layers = ("blocks.0.q",)

    def describe(self):
        """A configuration with a tuple, which JSON does not have."""
        return {"max_rank": 16, "maps": ("q", "v")}


class FakeStream:
    """The least that `Record.start` asks of a stream."""

    name = "glyphs"
    scenario = "class-incremental"
    n_classes = 4
    seed = 7

    def __len__(self):
        """Two tasks."""
        return 2


def make_stream(n_tasks=3, n_classes=2, size=8, *, per_class=2, scenario="class-incremental"):
    """A stream of noise pictures with everything that `figures.samples` reads."""
    rng = np.random.default_rng(0)
    tasks = []
    for t in range(n_tasks):
        first = 0 if scenario == "domain-incremental" else t * n_classes
        labels = np.repeat(np.arange(first, first + n_classes), per_class)
        tasks.append(
            SimpleNamespace(
                name=f"task {t}",
                classes=tuple(range(first, first + n_classes)),
                class_names=tuple(f"class {c}" for c in range(first, first + n_classes)),
                train_images=rng.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8),
                train_labels=labels,
            )
        )
    return SimpleNamespace(name="noise", scenario=scenario, tasks=tuple(tasks), seed=0)
