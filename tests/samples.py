"""What several tests are made of, and what they read results with."""

import html.parser
import subprocess
import sys

import keras
import numpy as np
import pandas as pd

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.ensembles import ScaledMinimum
from ocsdf.networks.layers import Asinh

_WITHOUT = "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'deel'])\n"
START = pd.Timestamp("2024-03-01 09:30")


def mixed_table(n_rows, n_units, unit, seed=0):
    """Numbers that depend on a category, a second category, and dates of a unit."""
    rng = np.random.default_rng(seed)
    proto = rng.choice(["tcp", "udp", "icmp"], n_rows, p=[0.6, 0.3, 0.1])
    return pd.DataFrame(
        {
            "size": rng.normal(size=n_rows) + 2.0 * (proto == "udp"),
            "proto": proto,
            "when": START + pd.to_timedelta(rng.integers(0, n_units, n_rows), unit=unit),
            "load": 100.0 + 20.0 * rng.normal(size=n_rows),
            "flag": rng.choice(["S", "R"], n_rows),
        }
    )


def build_distance(references, group_sizes, norm="l1", softening=None):
    """Minus the mean distance to rows; both sides softened by s asinh(x / s), where s is given."""
    distance = SubsampleDistance(len(references), group_sizes, norm)
    if softening is not None:
        references = softening * np.arcsinh(references / softening)
    model = _chain(references.shape[1:], distance, softening)
    distance.references.assign(references)
    return model


def affine_network(weights, bias):
    """An affine network of rows, certified."""
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1)])
    model.set_weights([weights[:, None], np.array([bias])])
    return CertifiedNetwork.from_keras(model)


def least(members, scales, levels, softening=None):
    """Minimum of networks of the same, softened rows."""
    minimum = ScaledMinimum(members, scales)
    model = _chain(members[0].input_shape[1:], minimum, softening)
    minimum.levels.assign(levels)
    return model


def _chain(shape, layer, softening):
    layers = [keras.Input(shape), layer]
    if softening is not None:
        layers.insert(1, Asinh(softening))
    return keras.Sequential(layers)


def load_without_tensorflow(path, code):
    """Load a detector from a file and run code on it; return what was printed."""
    load = "from ocsdf import OCSDF; detector = OCSDF.load(sys.argv[1])\n"
    command = [sys.executable, "-W", "ignore", "-c", _WITHOUT + load + code, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    return answer.stdout


class Page(html.parser.HTMLParser):
    """Collects what a page refers to, its ids and its unclosed tags."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.references, self.ids, self.tags, self.open, self.mismatched = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")
        ]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)
