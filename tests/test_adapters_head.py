"""The head: logits by hand, and rows that stay where they were."""

import numpy as np
import pytest
import torch
from helpers.models import generator

from fmlora_kit.adapters.head import Head, class_means
from fmlora_kit.adapters.ridge import RIDGES

FEATURES = torch.randn(5, 6, generator=generator(1))


def make(n_classes=6, d=6, kind="cosine", scale=10.0, shrinkage=0.1):
    return Head(n_classes, d, kind, scale=scale, shrinkage=shrinkage)


def trained_head(kind):
    """Rows for classes 2 and 4 in training, those of 0 and 1 written and frozen."""
    head = make(kind=kind)
    head.open([0, 1], torch.randn(2, 6, generator=generator(2)))
    with torch.no_grad():
        head.offsets += 0.5
    head.close()
    head.open([4, 2], torch.randn(2, 6, generator=generator(3)))
    return head


def cosine(rows):
    x, w = FEATURES.numpy(), rows.detach().numpy()
    return 10 * (x @ w.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=1)


def test_cosine_logits_by_hand():
    head = trained_head("cosine")
    np.testing.assert_allclose(
        head.local(FEATURES).detach(), cosine(head.rows), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        head(FEATURES, [1, 0]), cosine(head.weight[[1, 0]]), rtol=1e-4, atol=1e-5
    )


def test_linear_logits_by_hand():
    head = trained_head("linear")
    with torch.no_grad():
        head.offsets += torch.tensor([1.0, -1])
    by_hand = FEATURES @ head.rows.T + torch.tensor([1.0, -1])
    torch.testing.assert_close(head.local(FEATURES), by_hand)
    torch.testing.assert_close(head(FEATURES, [1, 0]), FEATURES @ head.weight[[1, 0]].T + 0.5)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_training_new_rows_leaves_earlier_ones_alone(kind):
    head = trained_head(kind)
    frozen, bias = head.weight.clone(), head.bias.clone()
    optimiser = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(3):
        head.local(FEATURES).logsumexp(1).sum().backward()
        optimiser.step()
    rows = head.rows.detach().clone()
    head.close()
    untouched = [0, 1, 3, 5]
    assert torch.equal(head.weight[untouched], frozen[untouched])
    assert torch.equal(head.bias[untouched], bias[untouched])
    assert torch.equal(head.weight[[4, 2]], rows)
    assert (head.weight[[4, 2]] != 0).all() and head.current == []
    assert sum(p.numel() for p in head.parameters()) == 0


def test_offsets_are_trained_only_by_the_linear_head():
    assert trained_head("linear").offsets.requires_grad
    assert not trained_head("cosine").offsets.requires_grad


def test_after_closing_global_logits_are_the_local_ones():
    head = trained_head("linear")
    local = head.local(FEATURES).detach()
    head.close()
    torch.testing.assert_close(head(FEATURES, [4, 2]), local)


def two_tasks(seed=0, n=60):
    """Gaussian classes 0..3 with one covariance, wide where their means do not differ."""
    rng = np.random.default_rng(seed)
    means = np.zeros((4, 6))
    means[:, 0] = [0, 1, 2, 3]
    spread = np.array([0.2, 5, 5, 1, 1, 1])
    labels = np.repeat(np.arange(4), n)
    x = means[labels] + rng.normal(size=(len(labels), 6)) * spread
    return torch.tensor(x, dtype=torch.float32), torch.tensor(labels)


def test_lda_rows_are_linear_discriminant_analysis_over_all_tasks():
    features, labels = two_tasks()
    head = make(4, kind="lda")
    for classes in ([0, 1], [2, 3]):
        part = torch.isin(labels, torch.tensor(classes))
        head.align(features[part], labels[part], classes)
    x, y = features.double().numpy(), labels.numpy()
    means = np.stack([x[y == k].mean(0) for k in range(4)])
    covariance = np.cov((x - means[y]).T, bias=True)
    shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / 6 * np.eye(6)
    inverse = np.linalg.inv(shrunk)
    quadratic = [-np.sum((x - m) @ inverse * (x - m), axis=1) / 2 for m in means]
    by_hand = np.stack(quadratic, axis=1)
    logits = head(features, range(4)).numpy()
    np.testing.assert_allclose(
        logits - logits[:, :1], by_hand - by_hand[:, :1], rtol=1e-3, atol=1e-3
    )


def test_lda_looks_past_what_varies_inside_classes():
    features, labels = two_tasks()
    accuracy = {}
    for kind, shrinkage in (("lda", 0.01), ("cosine", 0.1)):
        head = make(4, kind=kind, shrinkage=shrinkage)
        head.open(range(4), class_means(features, labels, range(4)))
        head.close()
        if kind == "lda":
            head.align(features, labels, range(4))
        guesses = head(features, range(4)).argmax(1)
        accuracy[kind] = (guesses == labels).float().mean().item()
    assert accuracy["lda"] > 0.9 and accuracy["cosine"] < 0.6


def test_lda_of_single_pictures_is_nearest_class_mean():
    features, labels = torch.eye(6)[:4] * 3, torch.arange(4)
    head = make(4, kind="lda")
    head.align(features, labels, range(4))
    assert head(features + 0.1, range(4)).argmax(1).tolist() == [0, 1, 2, 3]


def test_opening_again_goes_on_from_what_the_rows_hold():
    head = trained_head("linear")
    head.close()
    head.open([0, 1])
    assert torch.equal(head.rows, head.weight[:2]) and (head.offsets == 0.5).all()


def test_class_means_are_of_unit_features():
    features = torch.tensor([[3.0, 0], [0, 5.0], [0, 2.0], [-4.0, 0]])
    means = class_means(features, torch.tensor([7, 7, 3, 3]), [3, 7])
    torch.testing.assert_close(means, torch.tensor([[-0.5, 0.5], [0.5, 0.5]]))


def test_bad_heads():
    with pytest.raises(ValueError, match=r"head must be one of \(.*'cosine', .*\), got 'mlp'"):
        make(kind="mlp")
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        make(0)
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        make(scale=0)
    with pytest.raises(ValueError, match="shrinkage must be above 0 and at most 1, got 1.5"):
        make(shrinkage=1.5)
    with pytest.raises(ValueError, match="classes must be from 0 to 2, got 1 to 3"):
        make(3).open([1, 3])
    with pytest.raises(ValueError, match="classes must be from 0 to 2, got -1 to 2"):
        make(3).open([-1, 2])


def test_lda_of_a_class_in_two_parts_is_lda_of_the_whole():
    features, labels = torch.randn(60, 5, dtype=torch.float64), torch.arange(60) % 2
    features[30:] += torch.arange(5)  # another domain
    whole, parts = (Head(2, 5, "lda", 16.0, 0.1) for _ in range(2))
    whole.align(features, labels, (0, 1))
    for part in (slice(0, 40), slice(40, 60)):
        parts.align(features[part], labels[part], (0, 1))
    torch.testing.assert_close(parts.sums.scatter, whole.sums.scatter)
    torch.testing.assert_close(parts.weight, whole.weight)


def ridge_head(seed=0, width=50):
    return Head(6, 6, "ridge", scale=10.0, shrinkage=0.1, projections=width, seed=seed).double()


def ridge_tasks():
    """Features of 20 images of classes 0 and 1, then of classes 4 and 2."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 20, 6))
    y = np.array([[0, 1] * 10, [4, 2] * 10])
    x += 3 * np.random.default_rng(1).normal(size=(6, 6))[y]
    return x, y


def test_ridge_rows_by_hand():
    head, (x, y) = ridge_head(), ridge_tasks()
    for features, labels, classes in zip(x, y, ([0, 1], [4, 2]), strict=True):
        head.open(classes, torch.zeros(2, 6))
        head.close()
        head.align(torch.tensor(features), torch.tensor(labels), classes)
    h = np.maximum(np.concatenate(x) @ head.projection.matrix.detach().numpy().T, 0)
    targets = np.eye(6)[np.concatenate(y)]
    scores = head(torch.tensor(x[0]), [0, 1, 2, 4]).numpy()
    fits = [
        (h[:20] @ np.linalg.solve(h.T @ h + ridge * np.eye(50), h.T @ targets))[:, [0, 1, 2, 4]]
        for ridge in RIDGES
    ]
    assert min(np.abs(fit - scores).max() for fit in fits) < 1e-6
    assert (scores.argmax(1) == y[0]).mean() > 0.9


def test_ridge_sums_do_not_know_the_order_of_tasks():
    ways, (x, y) = (ridge_head(), ridge_head()), ridge_tasks()
    for head, order in zip(ways, ((0, 1), (1, 0)), strict=True):
        for t in order:
            head.align(torch.tensor(x[t]), torch.tensor(y[t]), sorted(set(y[t])))
    a, b = (head.statistics for head in ways)
    torch.testing.assert_close(a["gram"], b["gram"])
    torch.testing.assert_close(a["sums"], b["sums"])


def test_ridge_trains_like_cosine_and_leaves_its_rows_alone():
    head = ridge_head()
    head.open([0, 1], torch.ones(2, 6))
    with torch.no_grad():
        head.rows += torch.randn(2, 6, generator=generator(2))
    np.testing.assert_allclose(head.local(FEATURES.double()).detach(), cosine(head.rows), rtol=1e-6)
    head.close()
    assert not head.weight.any()


def test_the_projection_depends_on_the_seed_alone():
    matrices = [ridge_head(seed).projection.matrix for seed in (0, 0, 1)]
    assert torch.equal(matrices[0], matrices[1])
    assert not torch.equal(matrices[0], matrices[2])


def test_what_a_ridge_head_keeps():
    head = ridge_head()
    assert head.n_deployed == 6 * 50 + 50 * 6
    assert sum(part.numel() for part in head.statistics.values()) == 50 * 51 // 2 + 6 * 50


def test_projections_below_one_are_refused():
    with pytest.raises(ValueError, match="projections must be at least 1, got 0"):
        ridge_head(width=0)
