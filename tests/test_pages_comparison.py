"""The comparison page: its numbers, its sentences, and that it fetches nothing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.records import make_record, make_stream, make_task, plausible_record
from plotly.offline import get_plotlyjs

from fmlora_kit.analysis import mean_ci95, summarise
from fmlora_kit.analysis.sentences import against, best, bound, findings, percent, points, size
from fmlora_kit.pages.comparison import comparison_page, results_table

UP = np.array([[0.9, np.nan], [0.8, 0.9]])  # final .85, forgetting .1, learning .9
DOWN = np.array([[0.8, np.nan], [0.4, 0.8]])  # final .6, forgetting .4, learning .8
HALF_UP = np.array([[0.9, np.nan], [0.8, 0.8]])


class Tags(HTMLParser):
    """Collects the start tags of a page, and the text outside of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        if self.open not in ("script", "style"):
            self.text += data


def two(ours, theirs, seeds=1, **changes):
    """Records of FM-LoRA and sequential LoRA with given accuracies, on two tasks of ten images."""
    return {
        method: [
            make_record(a, a, n_test=(10, 10), method=method, seed=seed, **changes)
            for seed in range(seeds)
        ]
        for method, a in (("fmlora", ours), ("sequential_lora", theirs))
    }


def page_of(records, n_tasks=2):
    return comparison_page(records, summarise(records), make_stream(n_tasks), {"command": "a <b>"})


def drawn(page):
    """The figures inside a page, as it would draw them."""
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    return json.loads(data[1])


# --- sentences -------------------------------------------------------------------------------
def test_sentences_flip_when_the_numbers_flip():
    won, lost = two(UP, DOWN), two(DOWN, UP)
    assert against(won, "sequential_lora") == (
        "FM-LoRA against sequential LoRA: better in final accuracy (+25.0 points), average "
        "anytime accuracy (+17.5 points), forgetting (−30.0 points), drift forgetting (−30.0 "
        "points) and learning accuracy (+10.0 points)."
    )
    assert against(lost, "sequential_lora") == (
        "FM-LoRA against sequential LoRA: worse in final accuracy (−25.0 points), average "
        "anytime accuracy (−17.5 points), forgetting (+30.0 points), drift forgetting (+30.0 "
        "points) and learning accuracy (−10.0 points)."
    )
    assert ": worse in final accuracy" in Tags(page_of(lost)).text
    assert ": better in final accuracy" in Tags(page_of(won)).text


def test_mixed_and_equal_metrics_are_told_apart():
    sentence = against(two(HALF_UP, UP), "sequential_lora")
    assert (
        "worse in final accuracy (−5.0 points), average anytime accuracy (−2.5 points)" in sentence
    )
    assert sentence.endswith(
        "the same in forgetting (0.0 points) and drift forgetting (0.0 points)."
    )


def test_several_seeds_decide_only_with_an_interval_that_excludes_zero():
    ours = [make_record(a, a, n_test=(10, 10), seed=k) for k, a in enumerate((UP, DOWN))]
    theirs = [make_record(a, a, n_test=(10, 10), seed=k) for k, a in enumerate((DOWN, DOWN))]
    sentence = against({"fmlora": ours, "frozen_backbone": theirs}, "frozen_backbone")
    assert sentence.startswith("FM-LoRA against frozen backbone: not told apart in final")
    assert "final accuracy (+12.5 ± 158.8 points)" in sentence  # t(0.975, 1) = 12.706, times 12.5
    clear = against(two(UP, DOWN, seeds=3), "sequential_lora")
    assert "better in final accuracy (+25.0 ± 0.0 points)" in clear


def test_rounding_noise_is_no_difference():
    nearly = UP + 1e-12
    sentence = against(two(UP, nearly, seeds=2), "sequential_lora")
    assert "better" not in sentence and "worse" not in sentence


def test_the_leaders_are_found_and_the_bound_is_no_competitor():
    records = two(DOWN, UP)
    joint = np.array([[0.95]])
    records["joint"] = [make_record(joint, joint, n_test=(20,), method="joint")]
    summary = summarise(records)
    assert best(summary, "final_accuracy") == ["sequential_lora"]
    assert best(summary, "forgetting") == ["sequential_lora"]
    first, *rest = findings(records, summary)
    assert first == (
        "Of the 2 methods that learned the stream: highest final accuracy: sequential LoRA, "
        "85.0 %; least forgetting: sequential LoRA, 10.0 %; least drift forgetting: sequential "
        "LoRA, 10.0 %."
    )
    assert bound(summary) in rest
    assert "reaches 95.0 %, and FM-LoRA ends 35.0 points below that" in bound(summary)
    assert not any("against joint" in sentence for sentence in rest)


def test_methods_that_look_the_same_share_the_lead():
    assert best(summarise(two(UP, UP)), "forgetting") == ["fmlora", "sequential_lora"]


def test_one_seed_is_said_to_prove_little():
    warned = [
        any("One seed" in s for s in findings(r, summarise(r)))
        for r in (two(UP, DOWN), two(UP, DOWN, seeds=2))
    ]
    assert warned == [True, False]


def test_growth_of_the_deployed_size_is_said():
    record = make_record(UP, UP, n_test=(10, 10))
    assert size(summarise({"fmlora": [record]})).startswith("FM-LoRA needs 1.0k numbers to run")
    first, second = record.tasks
    grown = make_task(1, UP[1], UP[1], (10, 10), n_deployed=2500)
    record = make_record(UP, UP, n_test=(10, 10), n_done=1).with_task(grown)
    assert size(summarise({"fmlora": [record]})).endswith(
        "go from 1.0k after the first task to 2.5k after the last."
    )


@pytest.mark.parametrize(
    ("value", "ci95", "text"),
    [
        (0.7126, None, "71.3 %"),
        (0.7126, 0.0081, "71.3 ± 0.8 %"),
        (-1e-9, None, "0.0 %"),
        (-0.02, None, "−2.0 %"),
        (None, None, "–"),
    ],
)
def test_percentages_are_written_for_people(value, ci95, text):
    assert percent(value, ci95) == text


def test_differences_carry_their_sign():
    assert [points(v) for v in (0.031, -0.031, -1e-9)] == [
        "+3.1 points",
        "−3.1 points",
        "0.0 points",
    ]
    assert points(float("nan")) == "–"


# --- tables ----------------------------------------------------------------------------------
def test_the_results_table_has_the_values_and_marks_the_best():
    table = results_table(summarise(two(UP, DOWN)))
    ours, theirs = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", table)
    cells = [re.sub("<.*?>", " ", row).split("  ") for row in (ours, theirs)]
    assert [c.strip() for c in cells[0] if c.strip()][:4] == [
        "FM-LoRA",
        "85.0 %",
        "87.5 %",
        "10.0 %",
    ]
    assert ours.count("<strong>") == 5 and theirs.count("<strong>") == 0
    assert "<td>60.0 %</td>" in theirs and "<td>3</td>" in theirs  # 2 tasks of 1.5 seconds
    assert "One seed, so no intervals" in table


def test_several_seeds_have_intervals_and_paired_differences():
    records = {
        method: [plausible_record(4, method=method, seed=seed, learn=learn) for seed in range(3)]
        for method, learn in (("fmlora", 0.8), ("sequential_lora", 0.7))
    }
    summary = summarise(records)
    text = Tags(page_of(records, 4)).text
    value = summary["fmlora"]["final_accuracy"]
    assert percent(value["mean"], value["ci95"]) in text
    gains = [
        a.accuracy[3].mean() - b.accuracy[3].mean() for a, b in zip(*records.values(), strict=True)
    ]
    gain = mean_ci95(gains)
    assert points(gain.mean, gain.ci95, unit="") in text
    assert "FM-LoRA − sequential LoRA" in text


# --- the page --------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page():
    records = {
        method: [plausible_record(4, method=method, ranked=method == "fmlora")]
        for method in ("fmlora", "sequential_lora", "frozen_backbone")
    }
    return page_of(records, 4)


def test_every_figure_of_the_page_is_drawn_once(page):
    figures = drawn(page)
    assert set(figures) == {
        "stream",
        "accuracy",
        "parameters",
        "forgetting",
        "matrix fmlora",
        "matrix sequential_lora",
        "matrix frozen_backbone",
        "ranks",
    }
    places = [attrs["data-figure"] for _, attrs in Tags(page).tags if "data-figure" in attrs]
    assert places == [
        "stream",
        "accuracy",
        "forgetting",
        "matrix fmlora",
        "matrix sequential_lora",
        "ranks",
        "parameters",
    ]
    matrix = plausible_record(4).accuracy
    shown = figures["matrix fmlora"]["data"][0]["text"]
    assert shown[3][0] == f"{100 * matrix[3, 0]:.1f}"
    assert [line["name"] for line in figures["accuracy"]["data"]] == [
        "FM-LoRA",
        "sequential LoRA",
        "frozen backbone",
    ]


def test_the_page_fetches_nothing(page):
    assert page.count(get_plotlyjs()) == 1
    own = page.replace(get_plotlyjs(), "")
    assert not re.search(r"https?://|//cdn|mathjax|@import|url\(", own, re.I)
    parsed = Tags(own)
    policy = [a["content"] for t, a in parsed.tags if a.get("http-equiv")]
    assert policy[0].startswith("default-src 'none'; script-src 'unsafe-inline'")
    links = {a.get("src") or a.get("href") for _, a in parsed.tags} - {None}
    assert all(link.startswith("#") or link == "data:," for link in links)


def test_the_page_can_be_walked_through_by_keyboard_and_by_ear(page):
    tags = Tags(page).tags
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    targets = [attrs["href"][1:] for tag, attrs in tags if tag == "a"]
    assert len(targets) == 8 and set(targets) <= ids
    assert [attrs["lang"] for tag, attrs in tags if tag == "html"] == ["en"]
    choices = [attrs["data-for"] for tag, attrs in tags if tag == "select"]
    assert choices == ["left", "right"] and set(choices) <= ids
    chosen = [attrs["value"] for tag, attrs in tags if tag == "option" and "selected" in attrs]
    assert chosen == ["matrix fmlora", "matrix sequential_lora"]


def test_what_others_wrote_is_escaped(page):
    assert "<td>a &lt;b&gt;</td>" in page


def test_joint_training_is_a_level_not_a_curve():
    records = two(UP, DOWN)
    joint = np.array([[0.95]])
    records["joint"] = [make_record(joint, joint, n_test=(20,), method="joint")]
    figures = drawn(page_of(records))
    assert figures["accuracy"]["layout"]["shapes"][0]["y0"] == pytest.approx(95)
    assert len(figures["accuracy"]["data"]) == 2
    assert "matrix joint" not in figures


def test_what_cannot_be_drawn_is_left_out():
    alone = make_record(UP, UP, n_test=(10, 10), n_done=1, method="sequential_lora")
    page = page_of({"sequential_lora": [alone]})
    assert set(drawn(page)) == {"stream", "accuracy", "parameters", "matrix sequential_lora"}
    assert '<h2 id="forgetting">' not in page
    assert "Of the" not in Tags(page).text


def test_a_domain_incremental_stream_is_explained_as_such():
    records = two(UP, DOWN)
    stream = make_stream(2, scenario="domain-incremental")
    page = comparison_page(records, summarise(records), stream, {})
    text = Tags(page).text
    assert "2 tasks with 2 classes" in text and "domain-incremental learning" in text
    assert "class-incremental learning" not in text
