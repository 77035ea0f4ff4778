"""One-class images, one class against the rest: certified AUROC, attacks, synthesis.

What OCSDF Table 3, Figures 3, 4, 10 and 11 show, for MNIST, Fashion-MNIST and CIFAR-10: fitted on
the training images of one class, judged on all test images. Radii are l2 in [0, 1] pixel units.

- `ImageOCSDF`, without any argument, and its two members: the network alone, the cones alone;
- the distance to the nearest training image, and that to 20 subspaces of 15 dimensions: exact,
  1-Lipschitz, nothing learned;
- IsolationForest, OneClassSVM (scikit-learn) and DeepSVDD (PyOD), with their authors' defaults: no
  certificate. DeepSVDD needs `pip install 'ocsdf[experiments]'`.

`python -m experiments.images` does the cells that images.csv lacks, and writes that, .md and
pictures. It goes on where it was stopped. `--preset smoke` takes
seconds, on scikit-learn's digits; it, and a part of the cells, need another `--output`. CIFAR-10
is read from JPEG files where those are all there is.
"""

import time

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from experiments.common.command import keep_committed, make_parser, write_text
from experiments.common.results import finish_cells
from experiments.image_data import Images, load_images
from experiments.image_peers import DETECTORS, nearest_scores, subspace_scores
from experiments.image_tables import describe, draw, encode_strip
from ocsdf import ImageOCSDF
from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.training.negatives import attract

RADII = tuple(radius / 255 for radius in (0, 8, 16, 36, 72))
ATTACK_RADII = tuple(radius / 255 for radius in (8, 16, 36, 72, 144, 255))
# Of each kind, for an attack, by channels: in colour an image takes many times as long.
N_ATTACKED = {1: 250, 3: 25}
# Newton steps of the synthesis (OCSDF App. H.4), and images of a class.
SYNTHESIS_STEPS, N_SYNTHESIZED = 64, 36
SCHEDULES = ("printed", "full")
_BINS = 60
_SETTINGS = {"smoke": {"max_steps": 40, "hidden_layer_sizes": (32, 32)}, "cpu": {}}
_EXACT = {"nearest neighbour": nearest_scores, "20 subspaces": subspace_scores}


def digits():
    """Return scikit-learn's 8 x 8 digits: a small set that needs no file."""
    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[..., None]
    everything = Images(images, bunch.target.astype(np.int64))
    odd = np.arange(len(images)) % 2 == 1
    return everything.take(~odd), everything.take(odd)


def do_cell(part, images, label, seed, preset):
    """Do one part of the work on one class."""
    train, test = digits() if images == "digits" else load_images(images)
    detector = ImageOCSDF(random_state=seed, **_SETTINGS[preset])
    return PARTS[part](detector, train, test, label, seed)


def _ocsdf(detector, train, test, label, seed):
    start = time.perf_counter()
    normal = train.images[train.labels == label]
    detector.fit(normal)
    seconds = time.perf_counter() - start
    scores = detector.score_samples(test.images)
    inside = test.labels == label
    rows = test.images.reshape(len(test.images), -1)
    learned, cones = (
        CertifiedNetwork.from_keras(m).score(rows) for m in detector.model_.layers[-1].members
    )
    found = {
        **_named("OCSDF", _percent(detector.certified_auroc(test.images, ~inside, RADII))),
        **_named("network alone", _certified(learned, inside)),
        **_named("cones alone", _certified(cones, inside)),
        "seconds": seconds,
        "bound": detector.lipschitz_bound_,
        "gradient_norm": detector.history_["gradient_norm"][-1],
        "inside": 100.0 * float(np.mean(detector.predict(test.images[inside]) == 1)),
    }
    for other in np.unique(test.labels[~inside]):
        found[f"against_{other}"] = _certified(scores, inside, test.labels == other)[0]
    return found | _histograms(detector.score_samples(normal), scores, inside)


def _exact(detector, train, test, label, seed):
    normal = train.images[train.labels == label].reshape(-1, np.prod(train.images.shape[1:]))
    rows = test.images.reshape(len(test.images), -1)
    found = {}
    for name, scores in _EXACT.items():
        found |= _named(name, _certified(scores(normal, rows, seed), test.labels == label))
    return found


def _uncertified(detector, train, test, label, seed):
    normal = train.images[train.labels == label].reshape(-1, np.prod(train.images.shape[1:]))
    rows = test.images.reshape(len(test.images), -1)
    inside = test.labels == label
    return {
        f"{name}_0": _certified(scores(normal, rows, seed), inside)[0]
        for name, scores in DETECTORS.items()
    }


def _attack(detector, train, test, label, seed):
    detector.fit(train.images[train.labels == label])
    random_state = np.random.default_rng([seed, 1])
    groups = (np.flatnonzero((test.labels == label) == normal) for normal in (True, False))
    most = N_ATTACKED[test.images.shape[-1]]
    drawn = np.concatenate([random_state.permutation(rows)[:most] for rows in groups])
    X = test.images[drawn].reshape(len(drawn), -1)
    y = (test.labels[drawn] != label).astype(int)
    attacked = _percent(attacked_auroc(detector, X, y, ATTACK_RADII, random_state=seed))
    guaranteed = _percent(detector.certified_auroc(X, y, ATTACK_RADII))
    return _named("attacked", attacked, ATTACK_RADII) | _named(
        "guaranteed", guaranteed, ATTACK_RADII
    )


def _synthesis(detector, train, test, label, seed):
    """Pull noise to the level of the mean training score (OCSDF Sec. 5.3.2, App. H.4)."""
    normal = train.images[train.labels == label]
    detector.fit(normal)
    level = float(detector.score_samples(normal).mean())
    seeds = detector.domain_.sample(N_SYNTHESIZED, np.random.default_rng([seed, 2]))
    judge = _judge(train, np.random.default_rng([seed, 3]))
    rows = test.images.reshape(len(test.images), -1)
    found = {"level": level, "classifier": 100.0 * judge.score(rows, test.labels)}
    for schedule in SCHEDULES:
        made = attract(
            detector.model_,
            tf.constant(seeds),
            detector.domain_,
            level=level,
            eta=tf.ones(N_SYNTHESIZED),
            steps=SYNTHESIS_STEPS,
            schedule=schedule,
        )
        made = made.numpy()
        found |= {
            f"{schedule}_agreement": 100.0 * float(np.mean(judge.predict(made) == label)),
            f"{schedule}_score": float(detector.score_samples(made.astype(np.float64)).mean()),
            f"{schedule}_images": encode_strip(made),
        }
    return found


def _judge(train, random_state):
    """Fit a classifier of images without their brightness and contrast, which f ignores, too."""
    rows = train.images.reshape(len(train.images), -1)
    drawn = random_state.permutation(len(rows))[:10_000]
    judge = make_pipeline(
        FunctionTransformer(lambda images: images - images.mean(axis=1, keepdims=True)),
        Normalizer(),
        LogisticRegression(C=100.0, max_iter=200),
    )
    return judge.fit(rows[drawn], train.labels[drawn])


def _speed(detector, train, test, label, seed):
    """Score all test images, by the model and by exact search, in turn."""
    normal = train.images[train.labels == label]
    detector.fit(normal)
    search = NearestNeighbors(n_neighbors=1).fit(normal.reshape(len(normal), -1))
    rows = test.images.reshape(len(test.images), -1)
    detector.score_samples(rows)
    seconds = {"OCSDF": [], "NearestNeighbors": []}
    for _ in range(3):
        for name, score in (
            ("OCSDF", detector.score_samples),
            ("NearestNeighbors", search.kneighbors),
        ):
            start = time.perf_counter()
            score(rows)
            seconds[name].append(time.perf_counter() - start)
    return {
        f"{name}_per_second": len(rows) / float(np.median(taken)) for name, taken in seconds.items()
    }


PARTS = {
    "ocsdf": _ocsdf,
    "exact": _exact,
    "uncertified": _uncertified,
    "attack": _attack,
    "synthesis": _synthesis,
    "speed": _speed,
}
_SETS = {"mnist": 3, "fashion_mnist": 1, "cifar10": 1}


def cells_of(preset):
    """List the cells of a preset."""
    if preset == "smoke":
        return [
            {"part": part, "images": "digits", "label": 0, "seed": 0, "preset": preset}
            for part in ("ocsdf", "exact", "attack", "synthesis")
        ]
    cells = [
        ("ocsdf", images, label, seed)
        for images, n_seeds in _SETS.items()
        for seed in range(n_seeds)
        for label in range(10)
    ]
    cells += [("exact", images, label, 0) for images in _SETS for label in range(10)]
    cells += [("synthesis", "mnist", label, 0) for label in range(10)]
    cells += [
        ("attack", images, label, 0) for images in ("mnist", "cifar10") for label in range(10)
    ]
    cells += [
        ("uncertified", images, label, 0) for images in ("mnist", "cifar10") for label in range(10)
    ]
    cells += [("speed", "mnist", 0, 0)]
    names = ("part", "images", "label", "seed")
    return [dict(zip(names, cell, strict=True)) | {"preset": preset} for cell in cells]


def _certified(scores, inside, others=None):
    others = ~inside if others is None else others
    return _percent(certified_auroc(scores[inside], scores[others], RADII))


def _named(name, values, radii=RADII):
    """Name a value a radius by 255 times the radius."""
    return {f"{name}_{255 * r:.0f}": v for r, v in zip(radii, values, strict=True)}


def _percent(values):
    return [100.0 * float(value) for value in values]


def _histograms(train, test, inside):
    """Count scores of training, normal test and other images in common bins."""
    groups = {"train": train, "test": test[inside], "other": test[~inside]}
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins=_BINS)
    counts = {
        f"histogram_{name}": np.histogram(values, edges)[0].tolist()
        for name, values in groups.items()
    }
    return {"lowest": float(edges[0]), "highest": float(edges[-1])} | counts


def main():
    """Run the cells that have no row yet, and write the tables."""
    parser = make_parser(__doc__, _SETTINGS)
    parser.add_argument("--parts", nargs="*", choices=PARTS, help="only these")
    parser.add_argument("--images", nargs="*", choices=(*_SETS, "digits"), help="only these")
    options = parser.parse_args()
    keep_committed(parser, options, "preset", "parts", "images")
    cells = [
        cell
        for cell in cells_of(options.preset)
        if cell["part"] in (options.parts or PARTS)
        and cell["images"] in (options.images or (*_SETS, "digits"))
    ]
    rows = finish_cells(cells, do_cell, options.output / "images.csv", options.jobs, options.render)
    rows = [row for row in rows if "error" not in row]
    write_text(describe(rows), options.output, "images")
    draw(rows, options.output)


if __name__ == "__main__":
    main()
