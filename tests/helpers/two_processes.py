"""A script: runs by two processes that learn together, then one where one of them fails."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import fmlora_kit as fk
from fmlora_kit.commands import train
from fmlora_kit.training import Budget, parallel
from helpers import models

CASES = {  # the last batch of an epoch is one image: nothing is left for the second process
    "fmlora": (models.stream(2), Budget(epochs=2, batch_size=23)),
    "sequential_lora": (models.stream(2), Budget(epochs=2, batch_size=16)),
    "nearest_class_mean": (models.styles(2), Budget(epochs=1)),
    "hide_prompt": (models.stream(2), Budget(epochs=1, batch_size=16)),
}


def learn(name, folder=None, seed=0, **options):
    """One of the cases, in one process or with an accelerator."""
    stream, budget = CASES[name]
    model = models.build(name, n_classes=stream.n_classes, seed=seed)
    return fk.run(model, stream, budget, folder=folder, **options)


def together(accelerator, folder):
    """All cases, each record in a folder of its name; then what must be refused."""
    told = []
    for name in CASES:
        record = learn(name, folder / name, accelerator=accelerator, on_task=told.append)
    record = learn("fmlora", folder / "fmlora", accelerator=accelerator)
    if accelerator.is_main_process:
        replace(record, tasks=record.tasks[:1]).save(folder / "resumed")
    accelerator.wait_for_everyone()
    learn("fmlora", folder / "resumed", accelerator=accelerator)
    said = {"lines": len(told)}
    try:
        learn("fmlora", seed=accelerator.process_index, accelerator=accelerator)
    except ValueError as error:
        said["seeds"] = str(error)
    options = '{"n_tasks": 2, "n_train": 2, "n_test": 1}'
    words = ["--stream-options", options, "--epochs", "1", "--device", "cpu"]
    said["program"] = train.main([*words, "--out", str(folder / "program")])
    (folder / f"said_{accelerator.process_index}.json").write_text(json.dumps(said))


def failing(accelerator):
    """The second process fails in the second task; the first waits for its gradients."""
    stream, budget = CASES["sequential_lora"]
    model = models.build("sequential_lora", n_classes=stream.n_classes)
    loss = model.loss

    def broken(images, labels, progress):
        if model.n_tasks_done and accelerator.process_index:
            raise MemoryError("no room for a batch")
        return loss(images, labels, progress)

    model.loss = broken
    fk.run(model, stream, budget, accelerator=accelerator)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    parallel.launch(lambda accelerator: together(accelerator, out), n_processes=2, cpu=True)
    said = ""
    try:
        parallel.launch(failing, n_processes=2, cpu=True)
    except RuntimeError as error:
        said = str(error)
    (out / "failed.json").write_text(json.dumps(said))
