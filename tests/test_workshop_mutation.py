"""The checks accept no solution of the notebooks in which one operator or constant was changed."""

import ast
import copy

import pytest
from helpers.workshop_answers import compiled, solutions

from fmlora_kit.workshop import checks

OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add, ast.Mult],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult, ast.Sub],
    ast.MatMult: [ast.Mult, ast.Add],
    ast.Pow: [ast.Mult, ast.Add],
    ast.Lt: [ast.LtE, ast.Gt, ast.Eq],
}
NAMES = {
    "mean": ["sum", "max"],
    "max": ["min"],
    "min": ["max"],
    "sum": ["max", "len"],
    "len": ["sum"],
    "argmax": ["argmin"],
    "log": ["exp"],
    "degrees": ["radians"],
    "arccos": ["arcsin", "cos"],
    "softmax": ["log_softmax"],
}
# Changed, and still the same function: (function, what was changed) -> why.
EQUIVALENT = {
    ("principal_angles", "0 -> -1"): "singular values are never below zero",
    ("prefixes", "no (columns < ranks[:, None]).double()"): "False and True are 0 and 1",
}


def mutants(source):
    """Yield (what was changed, source) for every change of one node of the function's body."""
    tree = ast.parse(source)
    for k, node in enumerate(ast.walk(tree)):
        for what, change in changes(node):
            copied = copy.deepcopy(tree)
            change(list(ast.walk(copied))[k])
            yield what, ast.unparse(ast.fix_missing_locations(copied))


def changes(node):
    if isinstance(node, ast.BinOp):
        for other in OPERATORS[type(node.op)]:
            what = f"{type(node.op).__name__} -> {other.__name__} in {ast.unparse(node)}"
            yield what, lambda n, other=other: setattr(n, "op", other())
        if not isinstance(node.op, (ast.Add, ast.Mult)):
            yield f"sides of {ast.unparse(node)}", swap_sides
    if isinstance(node, ast.Compare):
        for other in OPERATORS[type(node.ops[0])]:
            what = f"{type(node.ops[0]).__name__} -> {other.__name__}"
            yield what, lambda n, other=other: setattr(n, "ops", [other()])
    if isinstance(node, ast.UnaryOp):
        yield f"sign of {ast.unparse(node)}", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in {node.value + 1, node.value - 1, -2 * node.value} - {node.value}:
            what = f"{node.value} -> {value}"
            yield what, lambda n, value=value: setattr(n, "value", value)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"not {node.value}", lambda n: setattr(n, "value", not n.value)
    for field in ("id", "attr"):
        for other in NAMES.get(getattr(node, field, None), ()):
            what = f"{getattr(node, field)} -> {other}"
            yield what, lambda n, field=field, other=other: setattr(n, field, other)
    if isinstance(node, ast.IfExp):
        yield f"branches of {ast.unparse(node)}", swap_branches
    if isinstance(node, ast.Slice):
        for end in ("lower", "upper"):
            if getattr(node, end) is not None:
                yield (
                    f"no {end} end of {ast.unparse(node)}",
                    lambda n, end=end: setattr(n, end, None),
                )
    if isinstance(node, ast.Attribute) and node.attr in ("T", "Q"):
        yield f"no .{node.attr}", lambda n: setattr(n, "attr", "real" if n.attr == "T" else "R")
    if isinstance(node, ast.Call) and node.keywords:
        yield f"no keyword in {ast.unparse(node)}", lambda n: setattr(n, "keywords", [])
    if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Attribute):
        yield f"no {ast.unparse(node.func)}()", uncall


def swap_sides(node):
    node.left, node.right = node.right, node.left


def swap_branches(node):
    node.body, node.orelse = node.orelse, node.body


def uncall(node):
    node.func.attr, node.args = "to", [node.func.value]  # x.detach() -> x.to(x)


def changed(name):
    return list(mutants(solutions()[name]))


@pytest.mark.parametrize("name", solutions())
def test_no_changed_solution_is_accepted(name):
    survivors = []
    for what, source in changed(name):
        if checks.check(name, compiled(name, source)).passed:
            survivors.append(what)
    assert sorted(survivors) == sorted(what for f, what in EQUIVALENT if f == name)


def test_the_run_is_large():
    assert sum(len(changed(name)) for name in solutions()) >= 150
