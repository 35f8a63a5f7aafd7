"""The fuzz suite counts what became of each input; its table stands at the end of the report."""

from collections import Counter, defaultdict

import pytest
from helpers.fuzz import OUTCOMES, Judge


@pytest.fixture
def judge(request):
    """A judge of this test's inputs; whatever is bad fails the test, all kinds of it at once."""
    judge = Judge()
    yield judge
    row = request.node.path.stem.removeprefix("test_fuzz_")
    request.node.user_properties.append(("fuzz", (row, dict(judge.counts))))
    if judge.bad:
        pytest.fail("\n".join(["", *judge.bad.values()]), pytrace=False)


def pytest_terminal_summary(terminalreporter):
    """Print the table, of the processes of xdist too."""
    rows = defaultdict(Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    if name == "fuzz":
                        rows[value[0]].update(value[1])
    if not rows:
        return
    terminalreporter.section("what became of bad inputs")
    shown = (
        ("inputs", *OUTCOMES),
        *((sum(n.values()), *(n[o] for o in OUTCOMES)) for n in rows.values()),
    )
    for name, cells in zip(("", *rows), shown, strict=True):
        terminalreporter.write_line(f"{name:16}" + "".join(f"{cell!s:>18}" for cell in cells))
