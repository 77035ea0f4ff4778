"""Alarms at a level: how many of 1,000 rows raise one, with and without an attack."""

import numpy as np

from ocsdf.decisions.guarantees import no_false_alarm, no_masking
from ocsdf.decisions.thresholds import marginal_threshold, rows_needed


def alarm_facts(evaluation, lipschitz, alpha, random_state=0):
    """Calibrate on half of the normal rows and count alarms among the others.

    An alarm is a row with a conformal p-value of at most alpha; a certified alarm of radius r is
    one with a p-value of at most alpha that is valid under every l2 attack of that radius, which is
    what a score of :math:`f(x) + L r` below the threshold says.

    Returned are ``alpha``, ``calibration_rows``, ``rows_needed``; if there are enough of them also
    ``threshold``, ``normal_rows``, ``anomalies``, ``promised_per_1000`` and ``radii``: a dict a
    radius, with 0 in front, of alarms per 1,000 normal rows, without attack and at most under any
    of that radius; and of the share of anomalies detected, and of what no attack of that radius can
    take from it.
    """
    normal = evaluation.scores[evaluation.y == 0]
    anomalies = evaluation.scores[evaluation.y == 1]
    order = np.random.default_rng([random_state, 5]).permutation(len(normal))
    calibration, judged = np.split(normal[order], [len(normal) // 2])
    facts = {
        "alpha": alpha,
        "calibration_rows": len(calibration),
        "rows_needed": rows_needed(alpha),
    }
    if len(calibration) < facts["rows_needed"]:
        return facts
    slack = evaluation.float_slack
    threshold = marginal_threshold(calibration - slack, alpha)
    facts |= {
        "threshold": threshold,
        "normal_rows": len(judged),
        "anomalies": len(anomalies),
        "promised_per_1000": 1000.0 * alpha,
        "radii": [],
    }
    for radius, extra in zip(
        (0.0, *evaluation.radii), (0.0, *evaluation.radius_slack), strict=True
    ):
        # The rounding of the row as it came, of the row before the attack, of either alarm.
        once, twice = (steps * (lipschitz * radius + 2.0 * extra) + slack for steps in (1, 2))
        facts["radii"].append(
            {
                "radius": float(radius),
                "plain_at_most": 1000.0 * float(np.mean(~no_false_alarm(judged, threshold, once))),
                "plain_detected_at_least": float(np.mean(no_masking(anomalies, threshold, once))),
                "certified": 1000.0 * float(np.mean(judged + once < threshold)),
                "certified_detected": float(np.mean(anomalies + once < threshold)),
                "certified_detected_at_least": float(
                    np.mean(no_masking(anomalies, threshold, twice))
                ),
            }
        )
    return facts
