"""The detectors of a benchmark by name, and one sign for all of their scores.

PyOD's detectors have PyOD's defaults. They are meant for rows of one scale: the runner
standardizes for all of them alike.
"""

import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from inspect import Parameter, signature
from typing import NamedTuple

import numpy as np

from ocsdf._version import __version__


class Detector(NamedTuple):
    """How a benchmark makes and treats a detector.

    Attributes
    ----------
    build : callable
        ``build(seed, n_features, X)`` returns an unfitted detector for rows like X.
    random : bool
        False if its scores do not depend on the seed.
    transductive : bool
        True if the scores of rows to judge depend on the other rows to judge.
    joint : bool
        True if it can only score the rows it is fitted on: it is fitted on the rows to train on
        and the rows to judge.
    linear_time : bool
        False if time or memory grows faster than the number of rows.
    by_pyod : bool
        True if it is PyOD's, with PyOD's defaults.
    """

    build: Callable
    random: bool = True
    transductive: bool = False
    joint: bool = False
    linear_time: bool = True
    by_pyod: bool = False


def find_detector(name):
    """Return the detector that a name means.

    Parameters
    ----------
    name : str
        One of :data:`DETECTORS`, or ``"package.module:Class"``: a class as ADBench takes them, a
        PyOD detector or a scikit-learn estimator. Of a class's parameters `seed`,
        `random_state` and `n_features` are set, where it has them; the others keep their
        defaults.

    Returns
    -------
    detector : Detector

    Raises
    ------
    ValueError
        If there is no such detector; the message names those that there are.

    Examples
    --------
    >>> from ocsdf.benchmark import find_detector
    >>> detector = find_detector("IForest")
    >>> type(detector.build(0, 3, None)).__name__
    'IForest'
    """
    if name in DETECTORS:
        return DETECTORS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f"no detector is named {name!r}: choose among {', '.join(DETECTORS)}, or give "
            "'package.module:Class'"
        )
    try:
        cls = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import the detector {name!r}: {error}") from None
    return Detector(partial(_build_from_class, cls))


def parameters_of(name):
    """Describe the parameters that a detector of :func:`find_detector` is built with.

    The text is empty for PyOD's detectors, which have PyOD's defaults: its version tells them.
    """
    if name in DETECTORS:
        detector = DETECTORS[name]
        if detector.by_pyod:
            return ""
        built = detector.build(0, 1, np.zeros((1, 1)))
        return f"{type(built).__name__} {sorted(built.get_params().items())}"
    # Where an object in memory is stands for nothing.
    return re.sub(r" at 0x\w+", "", f"{name} {signature(find_detector(name).build.args[0])}")


def versions():
    """Tell the versions of what detectors come from: "ocsdf 0.4.0, pyod 3.6.3, ..."."""
    others = (f"{name} {version(name)}" for name in ("pyod", "scikit-learn"))
    return ", ".join([f"ocsdf {__version__}", *others])


def spell(names):
    """Spell detectors' names as :data:`DETECTORS` does, whatever their case."""
    spelled = {name.casefold(): name for name in DETECTORS}
    found = [spelled.get(name.strip().casefold(), name.strip()) for name in names]
    for name in found:
        find_detector(name)
    return list(dict.fromkeys(found))


def fit(detector, X):
    """Fit a detector of any of the three kinds of :func:`score_of` without labels."""
    if hasattr(detector, "predict_score"):
        detector.fit(X, np.zeros(len(X), dtype=np.int64))
    else:
        detector.fit(X)


def score_of(detector, X):
    """Score rows with a fitted detector of any of the three kinds: the higher, the more anomalous.

    A class as ADBench takes them (``predict_score``), a PyOD detector (``decision_function``) or a
    scikit-learn estimator (``score_samples``, high = normal); a TypeError for anything else.
    """
    if is_pyod(detector):
        scores = detector.decision_function(X)
    elif hasattr(detector, "predict_score"):
        scores = detector.predict_score(X)
    elif hasattr(detector, "score_samples"):
        scores = -np.asarray(detector.score_samples(X))
    else:
        raise TypeError(
            "a detector must have predict_score, be a PyOD detector or have score_samples; "
            f"got {type(detector).__name__}"
        )
    return np.asarray(scores, dtype=np.float64)


def is_pyod(detector):
    """Tell whether a detector follows PyOD's contract."""
    # Where there is a detector of PyOD's, its module is loaded; PyOD takes seconds to load.
    base = sys.modules.get("pyod.models.base")
    return base is not None and isinstance(detector, base.BaseDetector)


def _pyod(module, name, seeded=False):
    def build(seed, n_features, X):
        cls = _pyod_class(module, name)
        return cls(random_state=seed) if seeded else cls()

    return build


def _pyod_class(module, name):
    try:
        return getattr(import_module(f"pyod.models.{module}"), name)
    except ModuleNotFoundError as error:
        needed = error.name
        raise ImportError(f"{name} needs {needed}: pip install {needed} ({error})") from None


def _pca(seed, n_features, X):
    from pyod.models.pca import PCA

    # PyOD divides by each component's variance, so components without any have to go; a full
    # decomposition finds them, and depends on no seed.
    scale = X.std(axis=0)
    standardized = (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    rank = int(np.linalg.matrix_rank(standardized))
    return PCA(n_components=rank or None, svd_solver="full")


def _deep_svdd(seed, n_features, X):
    cls = _pyod_class("deep_svdd", "DeepSVDD")
    return cls(n_features=n_features, random_state=seed, verbose=0)


def _ocsdf(seed, n_features, X):
    from ocsdf import OCSDF

    return OCSDF(random_state=seed)


def _ocsdf_paper(seed, n_features, X):
    from ocsdf import OCSDF

    return OCSDF(method="paper", margin="auto", random_state=seed)


def _nearest_neighbour(seed, n_features, X):
    from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance

    return NearestNeighborDistance()


def _dte_np(seed, n_features, X):
    from ocsdf.sklearn_compat.distance_detectors import NearestNeighborsDistance

    return NearestNeighborsDistance()


def _random_subsamples(seed, n_features, X):
    from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector

    return SubsampleDistanceDetector(random_state=seed)


def _build_from_class(cls, seed, n_features, X):
    offered = {"seed": seed, "random_state": seed, "n_features": n_features}
    named = {
        name
        for name, parameter in signature(cls).parameters.items()
        if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    return cls(**{name: value for name, value in offered.items() if name in named})


_by_pyod = partial(Detector, by_pyod=True)
DETECTORS = {
    "PCA": _by_pyod(_pca, random=False),
    "OCSVM": _by_pyod(_pyod("ocsvm", "OCSVM"), random=False, linear_time=False),
    "LOF": _by_pyod(_pyod("lof", "LOF"), random=False, linear_time=False),
    "CBLOF": _by_pyod(_pyod("cblof", "CBLOF", seeded=True)),
    "COF": _by_pyod(
        _pyod("cof", "COF"), random=False, transductive=True, joint=True, linear_time=False
    ),
    "HBOS": _by_pyod(_pyod("hbos", "HBOS"), random=False),
    "KNN": _by_pyod(_pyod("knn", "KNN"), random=False, linear_time=False),
    "SOD": _by_pyod(
        _pyod("sod", "SOD"), random=False, transductive=True, joint=True, linear_time=False
    ),
    "COPOD": _by_pyod(_pyod("copod", "COPOD"), random=False, transductive=True),
    "ECOD": _by_pyod(_pyod("ecod", "ECOD"), random=False, transductive=True),
    "DeepSVDD": _by_pyod(_deep_svdd),
    "LODA": _by_pyod(_pyod("loda", "LODA", seeded=True)),
    "IForest": _by_pyod(_pyod("iforest", "IForest", seeded=True)),
    "MCD": _by_pyod(_pyod("mcd", "MCD", seeded=True)),
    "OCSDF": Detector(_ocsdf),
    # Beside the ranking: the algorithm as published, and exact distances with a certificate. Rows
    # that a nearest neighbour is fitted on are all at distance 0: "ad" gives it 50 %.
    "OCSDF paper": Detector(_ocsdf_paper),
    "nearest neighbour": Detector(_nearest_neighbour, random=False, linear_time=False),
    "DTE-NP": Detector(_dte_np, random=False, linear_time=False),
    "random subsamples": Detector(_random_subsamples),
    "INNE": _by_pyod(_pyod("inne", "INNE", seeded=True)),
    "LUNAR": _by_pyod(_pyod("lunar", "LUNAR"), linear_time=False),
}
