"""OCSDF in PyOD's ADEngine: its knowledge of detectors, with one entry more."""

import json
from importlib import resources
from pathlib import Path

from ocsdf.utils.files import write_whole

_ENTRY = {
    "class_path": "ocsdf.sklearn_compat.OCSDFDetector",
    "full_name": "One Class Signed Distance Function",
    "status": "shipped",
    "data_types": ["tabular"],
    "category": "deep_learning",
    "complexity": {
        "time": "O(n * d) to scale and score; training is bounded, whatever n",
        "space": "O(n * d)",
    },
    "strengths": [
        "Certified: no l2 change below a row's radius flips its verdict",
        "Neither tuning nor labels",
        "Finds local anomalies as well as global ones",
    ],
    "weaknesses": [
        "Seconds to fit where isolation forests take a tenth of that",
        "Anomalies among the training rows cost it more than they cost isolation forests",
    ],
    "best_for": "Tables where a verdict must be robust, or its robustness proved",
    "avoid_when": "Anomalies hide among the training rows",
    "benchmark_refs": [],
    "benchmark_rank": {},
    "paper": {"id": "ocsdf", "short": "Béthune et al., ICML 2023"},
    "default_params": {"contamination": 0.1},
    "preprocessing_mode": "internal",
    "requires": ["tensorflow"],
    "version_added": "",
}
_PAPER = {
    "title": "Robust One-Class Classification with Signed Distance Function using 1-Lipschitz "
    "Neural Networks",
    "authors": "Béthune et al.",
    "venue": "ICML 2023",
}


def knowledge_dir(folder):
    """Write PyOD's knowledge of detectors, and OCSDF's entry beside the others, for ADEngine.

    Parameters
    ----------
    folder : str or os.PathLike
        Made where it is missing; PyOD's JSON files in it are replaced.

    Returns
    -------
    str
        The folder, as ``ADEngine(knowledge_dir=...)`` takes it. The engine then lists, builds and
        runs ``"OCSDF"`` as it does PyOD's own detectors; its routing rules do not name it.

    Examples
    --------
    >>> from pyod.utils.ad_engine import ADEngine
    >>> from ocsdf.sklearn_compat import knowledge_dir
    >>> engine = ADEngine(knowledge_dir=knowledge_dir("knowledge"))
    >>> type(engine.build_detector({"detector_name": "OCSDF"})).__name__
    'OCSDFDetector'
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    added = {"algorithms.json": {"OCSDF": _ENTRY}, "papers.json": {"ocsdf": _PAPER}}
    for file in resources.files("pyod.utils.knowledge").iterdir():
        if file.name.endswith(".json"):
            entries = json.loads(file.read_text(encoding="utf-8")) | added.get(file.name, {})
            write_whole(folder / file.name, json.dumps(entries, indent=1))
    return str(folder)
