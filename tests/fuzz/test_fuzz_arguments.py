"""Bad arguments of the public functions: each is one sentence of name, rule and value.

`TARGETS` says of every function how it is called rightly, and what each parameter may be; one
parameter at a time is given something else.
"""

from __future__ import annotations

import zlib
from dataclasses import fields
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from helpers import image_trees, models
from helpers import records as made
from helpers.fuzz import (
    ANYTHING,
    TIMES,
    a,
    among,
    either,
    examples,
    flag,
    listing,
    number,
    of_kind,
    place,
    text,
    whole,
)
from hypothesis import given, seed
from timm.models.vision_transformer import VisionTransformer

import fmlora_kit as fk
from fmlora_kit import analysis, checks, figures, interchange, probes, streams, training, widgets
from fmlora_kit import record as room
from fmlora_kit.analysis import Comparison
from fmlora_kit.analysis.attribution import ATTRIBUTION_METHODS, Explanations
from fmlora_kit.analysis.features import FeatureHistory
from fmlora_kit.figures.updates import earlier_span, singular_values
from fmlora_kit.methods import METHODS
from fmlora_kit.methods.base import option_kinds
from fmlora_kit.record.archive import save_briefs

COUNT, NATURAL, SHARE = whole(1), whole(0), number(0, 1)
OPTIONAL_COUNT = either(None, COUNT)
LEFT_OUT = (
    "compare",
    "difference",
    "class_distances",
    "gate_probabilities",
    "meta_prompt_similarity",
    "explain_over_time",
)
EACH = 3  # values a parameter, and twice as many where it costs little


@cache
def ranked():
    return made.plausible_record(3)


@cache
def cores():
    return made.flora_record()


@cache
def confused():
    return made.confused()


@cache
def backbone():
    return models.vit()


@cache
def tasks():
    return models.stream(2)


@cache
def learned():
    return models._learned()


@cache
def run():
    """A record that holds a model."""
    model = models.fmlora(backbone(), 6)
    return models.record_of(model, tasks(), models.learn(model, tasks(), fk.Budget(epochs=1)))


@cache
def explanations():
    return made.make_explanations()


@cache
def history():
    return made.make_history()


@cache
def comparison():
    return analysis.compare_records(made.runs())


# --- what a task or a layer of a record may be ----------------------------------------------------
NAMED = among("task A", "task B", "task C")
TASK = either(whole(0, 2), NAMED)
LAYER = either(whole(0, 1), among("blocks.0.q", "blocks.0.v"))
AFTER = either(None, whole(1, 3))
RECORD = a(fk.Record)
MODEL = a(fk.methods.Method)
VIT = a(VisionTransformer)
STREAM = a(streams.Stream)
BUDGET = either(None, a(fk.Budget))


def several(kind):
    """One, or a list or mapping of some."""
    return lambda value: isinstance(value, kind)


TARGETS = {}


def target(name, call, /, **rules):
    """A function of keywords, with a rule for each that may be exchanged."""
    assert name not in TARGETS, name
    TARGETS[name] = call, rules


def function(call, base=dict, /, **rules):
    """A target of the function's own name; ``base`` gives its right arguments when it is needed."""
    where = call.__module__.split(".")[1]
    target(f"{where}.{call.__qualname__}", lambda **bad: call(**{**base(), **bad}), **rules)


for kind in (fk.Budget, fk.FLoRA, fk.DRS, fk.DMP, fk.methods.HeadOptions):
    rules = {name: of_kind(each) for name, each in checks.kinds(kind).items()}
    target(f"options.{kind.__name__}", kind, **{k: rule for k, rule in rules.items() if rule})
for method, cls in METHODS.items():
    rules = {name: of_kind(each) for name, each in option_kinds(cls).items()}
    rules = {name: rule for name, rule in rules.items() if rule}
    rules |= {"n_classes": COUNT, "backbone": VIT}

    def build(cls=cls, method=method, **bad):
        small = {"rank": 4} if issubclass(cls, fk.SequentialLoRA) else {}
        small |= {"flora": fk.FLoRA(max_rank=8)} if issubclass(cls, fk.FMLoRA) else {}
        small |= models.SMALL.get(method, {})
        return cls(**{"backbone": backbone(), "n_classes": 6, **small, **bad})

    target(f"methods.{method}", build, **rules)

# --- streams --------------------------------------------------------------------------------------
TREES = {"class": "image_folder", "cub200": "cub200", "random": "imagenet_r", "pacs": "pacs"}
TREES |= {"domainnet": "domainnet", "dn4il": "dn4il", "cifar100": "cifar100"}
OF_TREES = {
    "folder": lambda value: isinstance(value, str) and value.strip(" .") == "",
    "seed": NATURAL,
    "image_size": COUNT,
    "n_train": OPTIONAL_COUNT,
    "n_test": OPTIONAL_COUNT,
}
N_TASKS = either(COUNT, listing(COUNT, least=1))
MORE = {
    "image_folder": {
        "n_tasks": either(None, N_TASKS),
        "test_share": number(0, 1),
        "classes": either(None, listing(text)),
        "domains": either(None, listing(text)),
        "class_order": either(None, NATURAL),
        "ground": text,
        "decoded": either(None, place),
    },
    "cub200": {"n_tasks": N_TASKS, "class_order": either(None, NATURAL)},
    "imagenet_r": {"n_tasks": N_TASKS, "split": among("fixed", "random", "folders")},
    "pacs": {"domains": listing(text), "test_share": number(0, 1)},
    "domainnet": {
        "domains": listing(text),
        "scenario": among("class-incremental"),
        "lists": among(None),
    },
    "dn4il": {"domains": listing(text), "decoded": either(None, place)},
    "cifar100": {"n_tasks": N_TASKS, "class_order": either(None, NATURAL)},
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The made-up trees of images, by their readers' names."""
    return {name: image_trees.tree(tmp_path_factory.mktemp("tree"), name) for name in TREES}


def read(name, trees, **bad):
    reader = image_trees.READERS[name]
    given = {"folder": trees[name], "image_size": 8, **reader.options, **bad}
    return streams.catalogue.STREAMS[reader.stream](**given)


for name, stream in TREES.items():
    target(f"trees.{name}", partial(read, name), **OF_TREES, **MORE[stream])
function(
    streams.glyphs,
    dict,
    n_tasks=whole(1, 40),
    seed=NATURAL,
    scripts=either(None, listing(text)),
    barred=either(None, text),
    n_train=COUNT,
    n_test=COUNT,
    styles=listing(text),
)
function(
    streams.glyph_styles,
    dict,
    n_tasks=whole(1, 40),
    seed=NATURAL,
    characters=text,
    n_train=COUNT,
    n_test=COUNT,
)
function(streams.digits, dict, n_tasks=whole(1, 10), seed=NATURAL)
PICTURES = [(np.full((8, 8, 3), k, np.uint8), k % 4) for k in range(8)]
function(
    streams.from_dataset,
    lambda: {"train": PICTURES, "test": PICTURES, "tasks": 2, "image_size": 8},
    train=lambda value: False,
    test=lambda value: False,
    seed=NATURAL,
    tasks=N_TASKS,
    first_task=OPTIONAL_COUNT,
    classes=either(None, listing(either(NATURAL, text))),
    class_order=either(None, NATURAL),
    task_order=either(None, listing(NATURAL)),
    image_size=COUNT,
    n_train=OPTIONAL_COUNT,
    n_test=OPTIONAL_COUNT,
    ground=text,
    decoded=either(None, place),
    name=text,
)
function(
    streams.preset,
    lambda: {"name": "imagenet-r-10", "folder": "nowhere"},
    name=lambda value: False,
    folder=lambda value: False,
)
LABELS = np.array([0, 1])
GOOD_TASK = {
    "name": "first",
    "classes": (0, 1),
    "class_names": ("a", "b"),
    "train_images": np.zeros((2, 8, 8, 3), np.uint8),
    "train_labels": LABELS,
    "test_images": np.zeros((2, 8, 8, 3), np.uint8),
    "test_labels": LABELS,
}
function(
    streams.Task,
    lambda: GOOD_TASK,
    name=text,
    classes=lambda value: False,
    class_names=listing(text, 2),
    train_images=lambda value: False,
    train_labels=lambda value: False,
    test_images=lambda value: False,
    test_labels=lambda value: False,
)
function(
    streams.Stream,
    lambda: {
        "name": "s",
        "scenario": "class-incremental",
        "tasks": (streams.Task(**GOOD_TASK),),
        "seed": 0,
    },
    name=text,
    scenario=among("class-incremental", "domain-incremental"),
    tasks=lambda value: False,
    seed=NATURAL,
    about=lambda value: isinstance(value, dict),
)

# --- training -------------------------------------------------------------------------------------
OF_RUN = {"model": MODEL, "stream": STREAM, "budget": BUDGET}


def for_run():
    model = models.build("frozen_backbone", backbone(), n_classes=6)
    return {"model": model, "stream": tasks(), "budget": fk.Budget(epochs=1)}


def for_task():
    return {**for_run(), "task": tasks()[0]}


function(
    training.run,
    for_run,
    **OF_RUN,
    folder=either(None, place),
    on_task=callable,
    show_progress=either(None, flag),
    accelerator=among(None),
    cache_bytes=NATURAL,
)
function(training.start_record, for_run, **OF_RUN, processes=COUNT)
TASK_OBJECT = {"task": a(streams.Task)}
function(training.train_task, for_task, **OF_RUN, **TASK_OBJECT, show_progress=flag)
target(
    "training.train_steps",
    lambda **bad: next(training.train_steps(**{**for_task(), **bad})),
    **OF_RUN,
    **TASK_OBJECT,
    check_every=OPTIONAL_COUNT,
)
function(
    training.from_record,
    lambda: {"record": run(), "backbone": backbone()},
    record=RECORD,
    after=either(None, whole(0, 2)),
    backbone=either(None, VIT),
)
target(
    "training.models_over_time",
    lambda **bad: next(training.models_over_time(**{"record": run(), **bad})),
    record=RECORD,
    backbone=either(None, VIT),
)
function(training.pick_device, dict, name=among("auto", "cpu", "cuda", "mps"))
function(
    training.register,
    lambda: {"method": type("Own", (fk.NearestClassMean,), {"name": "own"})},
    method=lambda value: False,
    title=either(None, text),
)
function(
    training.sweep.jobs,
    lambda: {"methods": ["l2p"], "streams": ["digits"], "seeds": [0], "folder": "runs"},
    methods=either(None, listing(among(*METHODS)), a(dict)),
    streams=listing(text),
    seeds=listing(NATURAL),
    folder=place,
    data=place,
    budget=a(fk.Budget),
)
function(
    fk.load_backbone,
    dict,
    name=lambda value: False,
    pretrained=flag,
    weights=among(None),
    input_range=among("normalised", "unit"),
    image_size=either(None, whole(1), listing(whole(1), 2)),
    keep_head=flag,
)

# --- records --------------------------------------------------------------------------------------
function(
    room.Record,
    lambda: {
        "method": "m",
        "stream": "s",
        "scenario": "class-incremental",
        "n_tasks": 1,
        "n_classes": 2,
        "seed": 0,
    },
    method=text,
    stream=text,
    scenario=among("class-incremental", "domain-incremental"),
    n_tasks=COUNT,
    n_classes=COUNT,
    seed=whole(),
    layers=listing(text),
    config=a(dict),
    versions=a(dict),
    tasks=lambda value: isinstance(value, tuple | list) and not value,
)
TASK_FIELDS = {
    f.name: getattr(made.make_record().tasks[0], f.name) for f in fields(room.TaskResult)
}
ARRAY = listing(number())
function(
    room.TaskResult,
    lambda: TASK_FIELDS,
    name=text,
    classes=listing(whole(), least=1),
    class_names=listing(text),
    n_test=COUNT,
    accuracy=listing(lambda value: True),
    predictions=ARRAY,
    losses=listing(lambda value: True),
    ranks=ARRAY,
    n_trainable=NATURAL,
    n_deployed=NATURAL,
    n_training_state=NATURAL,
    scalars=a(dict),
    state=a(dict),
    seconds=lambda value: isinstance(value, float) or number(0)(value),
    n_bytes_left_out=NATURAL,
)
target("record.until", lambda n: ranked().until(n), n=whole(0, 3))
target("record.with_task", lambda result: ranked().with_task(result), result=a(room.TaskResult))
HERE = lambda value: isinstance(value, str) and value.strip(" .") == ""  # noqa: E731
function(room.Record.load, dict, folder=lambda value: False)
function(room.load_briefs, dict, file=lambda value: False)
function(room.load_records, dict, folder=HERE)
target("record.save", lambda folder: ranked().save(folder), folder=place)
function(
    save_briefs,
    lambda: {"records": [ranked()], "file": "a.json"},
    records=either(listing(a(fk.Record)), among({})),
    file=place,
)
function(room.run_card, dict, record=RECORD)

# --- analysis -------------------------------------------------------------------------------------
for name, more in {
    "accuracy_parts": {},
    "class_confusion": {"after": AFTER, "task": either(None, whole(0, 2)), "most": OPTIONAL_COUNT},
    "class_history": {"after": AFTER},
    "core_energy": {},
    "feature_similarity": {},
    "lost_images": {"after": AFTER},
    "metrics": {},
    "prompt_similarity": {"of": among("prompts"), "per": among("flat")},
    "rank_table": {},
    "task_confusion": {"after": AFTER},
    "task_updates": {},
    "update_cosine": {},
    "update_energy": {},
}.items():
    function(getattr(analysis, name), lambda: {"record": confused()}, record=RECORD, **more)
PAIR = {
    "first": TASK,
    "second": TASK,
    "layer": either(None, LAYER),
    "energy": number(above=0, high=1),
}
WITHIN = among("open", "core", "space")


def pair():
    return {"record": cores(), "first": 0, "second": 1, "layer": 0}


function(analysis.principal_angles, pair, **PAIR, record=RECORD, side=among("output", "input"))
function(analysis.task_pair, pair, **PAIR, record=RECORD, within=WITHIN)
function(
    analysis.gate_trace,
    lambda: {"record": ranked(), "task": 0},
    record=RECORD,
    task=TASK,
)
SQUARE = lambda value: isinstance(value, np.ndarray) and value.shape == (2, 2)  # noqa: E731
MATRIX = SQUARE  # of the strange values the one that is right
function(
    analysis.average_accuracy,
    lambda: {"accuracy": made.THREE_TASKS},
    accuracy=MATRIX,
    average=among("micro", "macro"),
)
function(
    analysis.forgetting_curve,
    lambda: {"accuracy": made.THREE_TASKS},
    accuracy=MATRIX,
    definition=among(*analysis.DEFINITIONS),
)
MANY = np.random.default_rng(0).normal(size=(6, 3))
function(analysis.linear_cka, lambda: {"x": MANY, "y": MANY}, x=MATRIX, y=MATRIX, debiased=flag)
KNOWN = either(number(), lambda value: isinstance(value, float | np.floating) and value != value)
NUMBERS = listing(KNOWN, least=1)
function(analysis.mean_ci95, dict, values=NUMBERS)
function(
    analysis.paired_difference,
    lambda: {"a": [1, 2], "b": [2, 2]},
    a=listing(KNOWN, 2),
    b=listing(KNOWN, 2),
)
function(analysis.compare_records, dict, records=lambda value: False)
function(analysis.measure_storage, dict, records=lambda value: False)
function(analysis.tied, lambda: {"comparison": comparison()}, comparison=a(Comparison), name=text)
for name, more in {
    "cka_since_learned": {"debiased": flag},
    "embed": {
        "perplexity": number(above=0),
        "n_neighbours": COUNT,
        "warm": flag,
        "seed": NATURAL,
    },
    "feature_neighbours_kept": {"n_neighbours": COUNT},
    "own_task_share": {"n_neighbours": COUNT},
}.items():
    function(
        getattr(analysis, name), lambda: {"history": history()}, history=a(FeatureHistory), **more
    )
for name in ("attribution_movement", "completeness_gap"):
    more = {"since": among("learned", "before")} if name == "attribution_movement" else {}
    function(
        getattr(analysis, name),
        lambda: {"explanations": explanations()},
        explanations=a(Explanations),
        **more,
    )

# --- figures --------------------------------------------------------------------------------------
OF_RECORDS = {
    "accuracy_by_size": {},
    "accuracy_curves": {"average": among("micro", "macro"), "by_task": flag},
    "accuracy_matrix": {"oracle": flag},
    "accuracy_parts": {},
    "complexity_and_rank": {},
    "forgetting_curves": {"definition": among(*analysis.DEFINITIONS)},
    "forgetting_definitions": {},
    "metrics_table": {"names": listing(among(*analysis.metrics(made.plausible_record(2))))},
    "parameters_stored": {},
    "prompt_movement": {},
    "run_card_table": {},
    "storage_growth": {"measure": text},
    "storage_table": {},
}
for name, more in OF_RECORDS.items():
    listed = name in ("accuracy_by_size", "storage_growth", "storage_table")
    right = (lambda: {"records": made.storing_runs()}) if listed else lambda: {"records": ranked()}
    function(getattr(figures, name), right, records=lambda value: False, **more)
OF_ONE = {
    "class_confusion": {"after": AFTER, "task": either(None, whole(0, 2))},
    "class_forgetting": {"after": AFTER},
    "fall_per_step": {},
    "forgotten_to": {"after": AFTER},
    "rank_allocation": {},
    "task_confusion": {"after": AFTER},
    "training_progress": {"losses": listing(lambda value: True), "n_steps": NATURAL},
}
for name, more in OF_ONE.items():
    function(getattr(figures, name), lambda: {"record": confused()}, record=RECORD, **more)
function(
    figures.subspace_map,
    lambda: {"records": cores()},
    records=RECORD,
    measure=among("angle", "grassmann", "overlap"),
    layer=either(None, LAYER),
    energy=PAIR["energy"],
    within=WITHIN,
)
function(figures.subspace_pair, pair, record=RECORD, **PAIR)
function(figures.core_contents, lambda: {"record": cores()}, record=RECORD, layer=LAYER)
function(figures.core_energy, dict, records=RECORD)
function(
    earlier_span, lambda: {"records": cores()}, records=RECORD, energy=PAIR["energy"], within=WITHIN
)
PAIR_OF = {k: rule for k, rule in PAIR.items() if k != "energy"}
function(singular_values, pair, record=RECORD, **PAIR_OF)
IMAGE = {"image": whole(0, 1)}
PLACE = either(None, whole(0, 2))  # of a task, from 0
EXPLAINED = a(Explanations)


def explained():
    return {"explanations": explanations()}


function(figures.attribution_methods, explained, explanations=EXPLAINED, **IMAGE, after=PLACE)
function(figures.attribution_over_time, explained, explanations=EXPLAINED, **IMAGE)
function(figures.explanation_at, explained, explanations=EXPLAINED, **IMAGE, after=PLACE)
function(figures.explanation_movement, explained, explanations=EXPLAINED, since=text)
function(
    figures.feature_drift,
    lambda: {"histories": history()},
    histories=a(FeatureHistory),
    against=text,
    debiased=flag,
)
function(
    figures.samples,
    lambda: {"stream": made.make_stream()},
    stream=lambda value: False,
    per_class=COUNT,
    max_columns=COUNT,
)
function(figures.comparison_table, dict, comparison=a(Comparison))
for name in ("comparison_dots", "prompt_effect", "embedding", "what_if", "task_similarity"):
    first = {"comparison_dots": "comparisons", "prompt_effect": "effect", "what_if": "table"}
    first |= {"task_similarity": "similarity", "embedding": "embedding"}
    function(getattr(figures, name), dict, **{first[name]: lambda value: False})

# --- models that are live -------------------------------------------------------------------------
ENDING = lambda value: place(value) and str(value).endswith(".safetensors")  # noqa: E731
function(
    interchange.save_timm,
    lambda: {"model": learned(), "file": "a.safetensors"},
    model=MODEL,
    file=ENDING,
    head=flag,
)
function(
    interchange.export_peft,
    lambda: {"model": learned(), "folder": "adapter"},
    model=MODEL,
    folder=place,
    task=either(None, a(room.TaskResult)),
)
function(interchange.load_timm, dict, file=lambda value: False)
function(
    interchange.import_peft,
    lambda: {"folder": "adapter", "backbone": backbone(), "n_classes": 6},
    folder=lambda value: False,
    backbone=VIT,
)
PROBED, TARGETED = models.pictures()
OF_IMAGES = {"images": lambda value: False, "targets": lambda value: False}
METHOD = {"method": among(*ATTRIBUTION_METHODS)}


def attributed():
    return {"model": learned(), "images": PROBED, "targets": TARGETED}


function(probes.attribute, attributed, model=MODEL, **OF_IMAGES, **METHOD)
OF_FEATURES = {
    "per_class": OPTIONAL_COUNT,
    "split": among("train", "test"),
    "label": either(None, text),
}
function(
    probes.features_now,
    lambda: {"model": learned(), "stream": models.stream()},
    model=MODEL,
    stream=STREAM,
    **OF_FEATURES,
)


def lived():
    return {"record": run(), "stream": tasks(), "backbone": backbone()}


LIVED = {"record": RECORD, "stream": STREAM, "backbone": either(None, VIT)}
function(probes.features_over_time, lived, **LIVED, **OF_FEATURES)
N_IMAGES = {"n_images": OPTIONAL_COUNT}
function(probes.swap_prompts, lived, **LIVED, **N_IMAGES)
LEVELS = listing(NATURAL)
function(probes.truncate_ranks, lived, **LIVED, **N_IMAGES, levels=LEVELS, layer_levels=LEVELS)

# --- dashboards -----------------------------------------------------------------------------------
function(widgets.SubspaceExplorer, dict, record=RECORD)
function(widgets.TaskStepper, dict, record=RECORD)
function(widgets.RankWhatIf, dict, table=lambda value: False)
function(widgets.TimeMachine, dict, explanations=lambda value: False)
function(widgets.RunComparison, dict, folder=HERE)
function(
    widgets.LiveTraining,
    lambda: {"stream": tasks()},
    stream=lambda value: False,
    redraw_every=COUNT,
)
SLOW = ("methods.", "training.", "probes.", "interchange.")


def refuse(judge, name, call, parameter, fits, n):
    """Give one parameter ``n`` values that do not fit."""

    @examples(n)
    @given(ANYTHING.filter(lambda value: not fits(value)))
    def tried(value):
        said = checks.shown(value, 60)
        names = parameter, parameter.rstrip("s"), said.strip("'…")
        judge(f"{name} {parameter}={said}", lambda: call(**{parameter: value}), names)

    if TIMES == 1:
        tried = seed(zlib.crc32(f"{name} {parameter}".encode()))(tried)
    tried()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_no_such_thing_is_one_sentence(name, judge, trees, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, rules = TARGETS[name]
    call = partial(call, trees) if name.startswith("trees.") else call
    n = EACH if name.startswith(SLOW) else 2 * EACH
    for parameter, fits in rules.items():
        refuse(judge, name, call, parameter, fits, n)
    assert not [path for path in Path().rglob("*") if path.is_file()]


FOUND = (  # by more inputs than make test has
    *(("options.FLoRA", "maps", np.array(3)), ("methods.dualprompt", "e_blocks", np.array("x"))),
    *(("trees.class", "classes", np.arange(3)), ("trees.domainnet", "domains", np.array(3))),
    *(("trees.dn4il", "folder", "a\nb"), ("streams.from_dataset", "train", {None: None})),
    *(("streams.from_dataset", "test", np.array(3)), ("training.jobs", "streams", {})),
    *(("record.Record", "stream", "\ud800"), ("record.Record", "layers", [float("nan")])),
    *(("record.Record", "tasks", set()), ("record.TaskResult", "class_names", [None, None])),
    *(("record.TaskResult", "losses", bytearray(b"3")), ("record.Record.load", "folder", "none")),
    *(
        ("analysis.mean_ci95", "values", [True]),
        ("figures.accuracy_by_size", "records", np.array(3)),
    ),
    *(
        ("figures.training_progress", "losses", np.array("x")),
        ("probes.attribute", "targets", "\n"),
    ),
    *(("probes.attribute", "targets", [1, None, "x"]), ("probes.truncate_ranks", "levels", b"1")),
    *(
        ("analysis.compare_records", "records", np.array("x")),
        ("analysis.measure_storage", "records", np.array(3)),
        ("analysis.mean_ci95", "values", b"3"),
    ),
    *(("analysis.forgetting_curve", "accuracy", np.complex64(1)),),
    *(("analysis.mean_ci95", "values", bytearray(b"3")), ("record.Record", "tasks", range(0))),
    *(("analysis.paired_difference", name, [1.0, float("-inf")]) for name in "ab"),
    *(("streams.Task", "classes", [0]), ("streams.Task", "classes", [0, 1, 2])),
    *(("training.jobs", "seeds", ["a\nb"]), ("training.jobs", "seeds", ["x" * 999])),
)


@pytest.mark.parametrize(("name", "parameter", "value"), FOUND, ids=str)
def test_what_was_found_once_stays_one_sentence(name, parameter, value, judge, trees):
    call = partial(TARGETS[name][0], trees) if name.startswith("trees.") else TARGETS[name][0]
    said = checks.shown(value, 60)
    judge(f"{name} {parameter}={said}", lambda: call(**{parameter: value}), (parameter,))


def test_the_tables_of_parameters_hold_those_that_there_are():
    for room_ in (analysis, figures, streams, training, interchange, probes, widgets):
        for exported in room_.__all__:
            value = getattr(room_, exported)
            if callable(value) and not isinstance(value, type) and exported not in LEFT_OUT:
                known = exported in TREES.values()
                assert known or any(k.endswith(f".{exported}") for k in TARGETS), exported
