"""Published numbers beside one's own: only whole, finished runs of the very protocol count."""

import numpy as np
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.analysis.tables import published_and_measured

QUOTED = {
    "preset": "cub200-10",
    "method": "A method",
    "final_accuracy": 81.25,
    "source": "https://example.org/paper",
}


def run(preset="cub200-10", *, partial=None, backbone="vit_b", **changes):
    config = {"stream": {"preset": preset, "partial": partial}, "method": {"backbone": backbone}}
    return make_record(config=config, **changes)


def test_nothing_is_known():
    assert published_and_measured(["cub200-10"], [], []) == {
        "cub200-10": {"published": "not in our sources", "ours": "not run here"}
    }


def test_both_sides_by_hand():
    lower = THREE_TASKS - 0.1
    found = published_and_measured(
        ["cub200-10", "imagenet-r-5"],
        [QUOTED, {**QUOTED, "method": "Another", "final_accuracy": 70.0}],
        [run(), run(accuracy=lower, seed=1), run(method="sequential_lora", backbone="tiny")],
    )
    assert found["cub200-10"]["published"] == (
        "A method 81.2 (https://example.org/paper); Another 70.0 (https://example.org/paper)"
    )
    # (10 x 0.5 + 20 x 0.9 + 10 x 0.6) / 40 = 72.5 %, and 62.5: the half-width is t(0.975, 1) x 5.
    ours, other = found["cub200-10"]["ours"].split("; ")
    assert ours == f"FM-LoRA 67.5 ± {12.706 * 5:.1f} (vit_b, 2 runs)"
    assert other == "sequential LoRA 72.5 (tiny, 1 run)"
    assert found["imagenet-r-5"] == {"published": "not in our sources", "ours": "not run here"}


def test_partial_unfinished_and_foreign_runs_do_not_count():
    records = [
        run(partial="10 of 200 classes"),
        run(n_done=2),
        run("imagenet-r-5"),
        make_record(accuracy=np.copy(THREE_TASKS)),
    ]
    assert published_and_measured(["cub200-10"], [], records)["cub200-10"]["ours"] == "not run here"
