"""Records built by hand, for tests and for looking at figures: no torch, no training, no files.

Records of several methods on one hand-made stream, for tests of comparisons.

Small records whose predictions are known image by image: who is taken for whom, by hand.

Explanations built by hand: three tasks of two classes, 2 x 2 pixels, numbers easy to check.

Features built by hand, for tests: classes in a row, tasks beside each other.

Records whose updates were chosen by hand, so that angles and energies are known; no torch.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from fmlora_kit.analysis.attribution import Explanations
from fmlora_kit.analysis.features import FeatureHistory
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


CONFIG = {
    "method": {"weights": "3c09dc20", "frozen": "the backbone", "stores": "nothing"},
    "training": {"epochs": 2, "batch_size": 32, "device": "cpu"},
    "stream": {
        "seed": 0,
        "crc32": "0000aaa0",
        "train_images": [20, 20, 20],
        "test_images": [10, 20, 10],
    },
}
# Final accuracy of THREE_TASKS: (10 * 0.5 + 20 * 0.9 + 10 * 0.6) / 40 = 0.725. Forgetting: 0.15.
FALLS = {  # by which all accuracies of seeds 0, 1 and 2 are lower
    "fmlora": (0.0, 0.1, 0.05),
    "l2p": (0.01, 0.1, 0.045),  # 0.01, 0 and -0.005 below FM-LoRA: not told apart
    "ewc_lora": (0.1, 0.21, 0.17),  # 0.1, 0.11 and 0.12 below
}


def config(part=None, **changes):
    """Return CONFIG with changes in one part."""
    return {**CONFIG, **({part: CONFIG[part] | changes} if part else {})}


def a_run(method="fmlora", seed=0, fall=0.0, **changes):
    """A run of three tasks; the images depend on the seed."""
    settings = {"config": config("stream", seed=seed, crc32=f"0000aaa{seed}"), **changes}
    return make_record(THREE_TASKS - fall, method=method, seed=seed, **settings)


def joint_run(seed=0, accuracy=0.95, **stream):
    """A run of joint training on the same stream, its tasks joined."""
    images = {"train_images": [60], "test_images": [40], "crc32": f"0000bbb{seed}"}
    one = np.array([[accuracy]])
    return make_record(
        one,
        one,
        n_test=(40,),
        classes_per_task=6,
        method="joint",
        seed=seed,
        stream="hand made, joined",
        config=config("stream", seed=seed, **images | stream),
    )


def runs(methods=FALLS, seeds=(0, 1, 2), joint=True):
    """Runs of the methods, and of joint training, with all seeds."""
    records = [a_run(method, seed, FALLS[method][seed]) for method in methods for seed in seeds]
    return records + [joint_run(seed) for seed in seeds if joint]


def storing_run(method, deployed, training_state, n_bytes, seed=0):
    """A run of which each task keeps so many numbers and bytes, its arrays left out."""
    record = a_run(method, seed)
    sizes = zip(record.tasks, deployed, training_state, n_bytes, strict=True)
    tasks = [
        replace(task.brief(), n_deployed=d, n_training_state=t, n_bytes_left_out=b)
        for task, d, t, b in sizes
    ]
    return replace(record, tasks=tuple(tasks))


def storing_runs():
    """One run of every kind of store; sizes that are easy by hand."""
    config = CONFIG["stream"] | {"image_size": [2, 5]}  # 30 bytes an image, 20 images a task
    joint = joint_run()
    joint_tasks = [replace(t.brief(), n_deployed=1100, n_bytes_left_out=50) for t in joint.tasks]
    some = [
        storing_run("fmlora", (1100, 1100, 1100), (40, 43, 46), (300, 100, 100)),
        storing_run("frozen_backbone", (1000,) * 3, (0,) * 3, (10, 11, 12)),
        storing_run("sd_lora", (1010, 1110, 1210), (0,) * 3, (20, 21, 22)),
    ]
    some = [replace(r, config=r.config | {"stream": r.config["stream"] | config}) for r in some]
    return [*some, replace(joint, tasks=tuple(joint_tasks))]


# Three tasks of two classes, two test images a class. Per task learned: what is said of each image.
LABELS = ([0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5])
SAID = (
    ([0, 0, 1, 0],),
    ([0, 2, 1, 1], [2, 2, 3, 0]),
    ([4, 4, 1, 1], [2, 3, 5, 0], [4, 4, 5, 1]),
)
SAME_LABELS = ([0, 0, 1, 1],) * 3
SAME_SAID = (
    ([0, 0, 1, 1],),
    ([0, 1, 1, 1], [0, 0, 1, 0]),
    ([1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]),
)


def confused(*, domains=False, labelled=True, n_done=3, **changes):
    """The record of these predictions, its accuracies counted from them."""
    labels, said = (SAME_LABELS, SAME_SAID) if domains else (LABELS, SAID)
    values = {
        "method": "fmlora",
        "stream": "hand made",
        "scenario": "domain-incremental" if domains else "class-incremental",
        "n_tasks": 3,
        "n_classes": 2 if domains else 6,
        "seed": 0,
        "config": {},
        "versions": {},
    }
    record = Record(**{**values, **changes})
    for t in range(n_done):
        accuracy = np.full(3, np.nan)
        accuracy[: t + 1] = [
            np.mean(np.equal(s, truth)) for s, truth in zip(said[t], labels, strict=False)
        ]
        result = make_task(
            t,
            accuracy,
            accuracy,
            [4] * (t + 1),
            classes=(0, 1) if domains else None,
            predictions=np.concatenate(said[t]),
            test_labels=np.array(labels[t]) if labelled else np.zeros(0, dtype=np.int64),
        )
        record = record.with_task(result)
    return record


NAN = np.nan
TASKS = ("Latin", "Greek", "Latin, barred")
CLASSES = ((0, 1), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5))
NAMES = dict(enumerate(("A", "B", "α", "β", "A̲", "B̲")))
# Two images: one of class 1 (first task), one of class 2 (second task).
TARGETS = (1, 2)
BLANK = [[NAN, NAN], [NAN, NAN]]
MAPS = np.array(
    [
        [[[1, 2], [3, 4]], BLANK],
        [[[2, 1], [4, 3]], [[0.5, -0.5], [-1.5, 1]]],
        [[[40, 30], [20, 10]], [[1, -1], [-2, 2]]],
    ],
    dtype=float,
)
PROBABILITIES = (
    [[0.2, 0.8], [0.7, 0.3]],
    [[0.1, 0.6, 0.1, 0.2], [0.0, 0.1, 0.75, 0.15]],
    [[0.1, 0.3, 0.05, 0.05, 0.1, 0.4], [0.01, 0.02, 0.9, 0.03, 0.025, 0.015]],
)
SCORES = np.array([[10.0, NAN], [10.0, 1.0], [100.0, 3.0]])
BASELINE = np.array([[0.0, NAN], [1.0, 1.5], [0.0, 3.0]])


def make_explanations(method="integrated_gradients", **changes):
    """The numbers above; positive maps and no baseline for methods other than the first."""
    first = method == "integrated_gradients"
    values = {
        "method": method,
        "run": "fmlora on glyphs",
        "task_names": TASKS,
        "images": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3) * 10,
        "targets": TARGETS,
        "maps": MAPS if first else np.abs(MAPS),
        "scores": SCORES,
        "baseline_scores": BASELINE if first else np.full((3, 2), NAN),
        "classes": CLASSES,
        "probabilities": [np.array(p) for p in PROBABILITIES],
        "class_names": NAMES,
    }
    return Explanations(**{**values, **changes})


def make_history(n_tasks=3, *, n_classes=2, per_class=12, d=6, drift=0.0, seed=0, **changes):
    """Gaussian classes of unit spread around random means; `drift` of new noise at each moment."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_tasks * n_classes), per_class)
    first = 4 * rng.normal(size=(n_tasks * n_classes, d))[labels]
    moments = [first + rng.normal(size=first.shape)]
    for _ in range(n_tasks - 1):
        moments.append(moments[-1] + drift * rng.normal(size=first.shape))
    values = {
        "label": "hand made",
        "features": np.stack(moments),
        "learned": np.arange(1, n_tasks + 1),
        "labels": labels,
        "tasks": labels // n_classes,
        "names": tuple(chr(65 + c) for c in labels),
        "task_names": tuple(f"task {chr(65 + i)}" for i in range(n_tasks)),
    }
    return FeatureHistory(**{**values, **changes})


E1, E2, E3, E4 = np.eye(4)
DIAGONAL = (E1 + E2) / np.sqrt(2)
NOTHING = (np.zeros((4, 0)), np.zeros((0, 4)))
# Per layer and task the pair (M, N) inside a core of width 4.
PAIRS = {
    "blocks.0.q": [
        (np.stack([E1], axis=1), np.stack([2 * E1])),  # 2 e1 e1'
        (np.stack([DIAGONAL], axis=1), np.stack([3 * E2])),  # 3 (e1 + e2) e2' / sqrt 2
        (np.stack([E1, E3], axis=1), np.stack([E2, 2 * E1])),  # e1 e2' + 2 e3 e1'
    ],
    "blocks.0.v": [
        (np.stack([E1, E2], axis=1), np.stack([E1, E2])),
        (np.stack([E3, E4], axis=1), np.stack([E1, E3])),
        NOTHING,
    ],
}
# Second moments after tasks 0, 1, 2; with protect = 0.5 each of them guards e1 alone.
MOMENTS = [np.diag(m) for m in ([1.0, 0, 0, 0], [0.6, 0.4, 0, 0], [0.6, 0.2, 0.2, 0])]


def orthonormal(rows, columns, seed):
    """A matrix with orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns))).Q


def flora_record(pairs=PAIRS, *, alpha=None, d_out=6, d_in=5, moments=MOMENTS, protect=0.5):
    """A record of FM-LoRA with the given pairs (M, N) by layer and task, three tasks unless told.

    The core of width R sits in (d_out, d_in) by random orthonormal bases.
    """
    layers = tuple(pairs)
    width = len(next(iter(pairs.values()))[0][0])
    states = [{} for _ in next(iter(pairs.values()))]
    for number, layer in enumerate(layers):
        states[0][f"{layer}.a"] = orthonormal(d_out, width, 2 * number)
        states[0][f"{layer}.b"] = orthonormal(d_in, width, 2 * number + 1).T
        for state, (m, n), moment in zip(states, pairs[layer], moments, strict=True):
            state |= {f"{layer}.m": m, f"{layer}.n": n, f"{layer}.moment": moment}
    flora = {"max_rank": width, "alpha": alpha, "protect": protect}
    return with_states(states, layers, method="fmlora", config={"method": {"flora": flora}})


def lora_record(states, *, method="sequential_lora", rank=1, alpha=1.0, layers=("blocks.0.q",)):
    """A record of LoRA with the given snapshots, {layer}.a and {layer}.b after each task."""
    config = {"method": {"rank": rank, "alpha": alpha}}
    return with_states(states, layers, method=method, config=config)


def with_states(states, layers, **changes) -> Record:
    """A record with these snapshots, as many tasks as there are."""
    n = len(states)
    accuracy = np.where(np.tri(n, dtype=bool), 0.5, np.nan)
    made = make_record(accuracy, accuracy, n_test=[10] * n, layers=layers, **changes)
    record = make_record(accuracy, accuracy, n_test=[10] * n, layers=layers, n_done=0, **changes)
    for task, state in zip(made.tasks, states, strict=True):
        values = {name: getattr(task, name) for name in task.__dataclass_fields__}
        record = record.with_task(type(task)(**{**values, "state": state}))
    return record


def random_record(n_tasks=6, n_layers=12, width=32, d=128, rank=12, seed=0):
    """A record of FM-LoRA of the size of the notebooks' series, with random pairs."""
    rng = np.random.default_rng(seed)
    pairs = {
        f"blocks.{k // 2}.{'qv'[k % 2]}": [
            (rng.standard_normal((width, rank)), rng.standard_normal((rank, width)))
            for _ in range(n_tasks)
        ]
        for k in range(n_layers)
    }
    moments = [np.diag(np.arange(width, 0.0, -1) ** 3)] * n_tasks
    return flora_record(pairs, d_out=d, d_in=d, moments=moments, protect=0.9)
