"""The comparison page: its tables and figures, and that it fetches nothing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.pages import mute
from helpers.records import confused, joint_run, make_record, make_stream, plausible_record, runs
from plotly.offline import get_plotlyjs

from fmlora_kit.analysis import compare_records, mean_ci95
from fmlora_kit.analysis.formats import percent, points
from fmlora_kit.analysis.tables import ALL_METRICS, table_cells
from fmlora_kit.commands.pages.comparison import comparison_page, results_table

UP = np.array([[0.9, np.nan], [0.8, 0.9]])  # final .85, forgetting .1, learning .9
DOWN = np.array([[0.8, np.nan], [0.4, 0.8]])  # final .6, forgetting .4, learning .8


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


def two(ours, theirs, **changes):
    """Records of FM-LoRA and sequential LoRA with given accuracies, on two tasks of ten images."""
    pairs = (("fmlora", ours), ("sequential_lora", theirs))
    return [make_record(a, a, n_test=(10, 10), method=m, **changes) for m, a in pairs]


def page_of(records, n_tasks=2):
    name, stream = "noise", make_stream(n_tasks)
    tables = {name: compare_records(records)}
    return comparison_page(tables, {name: records}, {"command": "a <b>"}, {name: stream})


def drawn(page):
    """The figures inside a page, as it would draw them."""
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    return json.loads(data[1])


# --- tables ----------------------------------------------------------------------------------
def test_the_results_table_has_the_values_and_marks_the_best():
    table = results_table(compare_records(two(UP, DOWN)))
    ours, theirs = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", table)
    cells = re.sub("<.*?>", " ", ours).split("  ")
    assert [c.strip() for c in cells if c.strip()][:4] == ["FM-LoRA", "85.0", "87.5", "10.0"]
    assert ours.count("<strong>") == 6 and theirs.count("<strong>") == 0  # its name, and 5 metrics
    assert "<td>60.0</td>" in theirs and "<td>3.0</td>" in theirs  # 2 tasks of 1.5 seconds
    assert "One seed: no intervals" in table


def test_the_table_on_the_page_is_the_comparison_cell_by_cell():
    comparison = compare_records(runs())
    rows = re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", results_table(comparison))
    shown = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    cells = table_cells(comparison, ALL_METRICS, strong=lambda text: f"<strong>{text}</strong>")
    assert shown == [list(row) for row in zip(*cells.values(), strict=True)]


def test_several_seeds_have_intervals_and_paired_differences():
    ours, theirs = (
        [plausible_record(4, method=method, seed=seed, learn=learn) for seed in range(3)]
        for method, learn in (("fmlora", 0.8), ("sequential_lora", 0.7))
    )
    text = Tags(page_of(ours + theirs, 4)).text
    assert percent(compare_records(ours + theirs).row("fmlora").final_accuracy) in text
    gains = [a.accuracy[3].mean() - b.accuracy[3].mean() for a, b in zip(ours, theirs, strict=True)]
    assert points(mean_ci95(gains)) in text
    assert "FM-LoRA − sequential LoRA" in text


# --- the page --------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page():
    records = [
        plausible_record(4, method=method, ranked=method == "fmlora", learn=learn)
        for method, learn in (("fmlora", 0.8), ("sequential_lora", 0.7), ("frozen_backbone", 0.6))
    ]
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
    matrix = plausible_record(4, learn=0.8).accuracy
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
    assert len(targets) == 9 and set(targets) <= ids
    assert [attrs["lang"] for tag, attrs in tags if tag == "html"] == ["en"]
    choices = [attrs["data-for"] for tag, attrs in tags if tag == "select"]
    assert choices == ["left", "right"] and set(choices) <= ids
    chosen = [attrs["value"] for tag, attrs in tags if tag == "option" and "selected" in attrs]
    assert chosen == ["matrix fmlora", "matrix sequential_lora"]
    assert mute(page) == []


def test_what_others_wrote_is_escaped(page):
    assert "<td>a &lt;b&gt;</td>" in page


def test_the_sentences_follow_the_numbers():
    assert ": worse in final accuracy" in Tags(page_of(two(DOWN, UP))).text
    assert ": better in final accuracy" in Tags(page_of(two(UP, DOWN))).text


def test_joint_training_is_a_level_not_a_curve():
    figures = drawn(page_of([*runs(joint=False), joint_run()], 3))
    assert figures["accuracy"]["layout"]["shapes"][0]["y0"] == pytest.approx(95)
    assert len([t for t in figures["accuracy"]["data"] if t["mode"] == "lines+markers"]) == 3
    assert "matrix joint" not in figures


def test_what_cannot_be_drawn_is_left_out():
    one = np.array([[0.9]])
    alone = make_record(one, one, n_test=(10,), method="sequential_lora")
    page = page_of([alone])
    assert set(drawn(page)) == {"stream", "accuracy", "parameters", "matrix sequential_lora"}
    assert '<h2 id="forgetting">' not in page
    assert "Of the" not in Tags(page).text


def test_a_domain_incremental_stream_is_explained_as_such():
    text = Tags(page_of([confused(domains=True)], 3)).text
    assert "3 tasks with 2 classes" in text and "domain-incremental learning" in text
    assert "class-incremental learning" not in text


def test_several_streams_stand_on_one_page():
    streams = {"long": runs(), "short": two(UP, DOWN), "twin": two(UP, DOWN)}
    tables = {name: compare_records(records) for name, records in streams.items()}
    page = comparison_page(tables, streams, {})
    figures, tags = drawn(page), Tags(page).tags
    assert figures.keys() >= {"all", "long accuracy", "short accuracy", "short matrix fmlora"}
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs and attrs["id"] != "figures"]
    assert len(ids) == len(set(ids)) and {"long", "short"} <= set(ids)
    choices = [attrs["data-for"] for tag, attrs in tags if tag == "select"]
    names = ("long", "short", "twin")
    assert choices == [f"{name}-{side}" for name in names for side in ("left", "right")]
    shown = {attrs["data-figure"] for _, attrs in tags if "data-figure" in attrs}
    assert shown <= set(figures) and "stream" not in figures
    assert "FM-LoRA compared on 3 streams" in Tags(page).text
    assert mute(page) == []
