"""What verdicts cost: confusion at a threshold, and the threshold that would have cost least."""

import numpy as np


def cost_facts(scores, y, thresholds, cost_miss=1.0, cost_alarm=1.0):
    """Count what each threshold does right and wrong, and what that costs.

    Returned are ``cost_miss``, ``cost_alarm`` and ``thresholds``, a dict each with ``name``,
    ``threshold``, the four counts and ``cost``; the last one, ``oracle``, is the cheapest for these
    labels, which no one knows before.
    """
    check_costs(cost_miss, cost_alarm)
    order = np.argsort(scores, kind="stable")
    ranked, labels = scores[order], y[order]
    # Costs of a threshold at each distinct score, and of one above all.
    starts = np.flatnonzero(np.append(True, np.diff(ranked) > 0))
    n_alarms = np.append(starts, len(ranked))
    caught = np.append(0, np.cumsum(labels))[n_alarms]
    costs = cost_miss * (labels.sum() - caught) + cost_alarm * (n_alarms - caught)
    best = int(np.argmin(costs))
    least = ranked[starts[best]] if best < len(starts) else np.nextafter(ranked[-1], np.inf)
    named = [*thresholds.items(), ("oracle", float(least))]
    rows = []
    for name, threshold in named:
        alarm = scores < threshold
        misses, false = int(np.sum(~alarm & (y == 1))), int(np.sum(alarm & (y == 0)))
        rows.append(
            {
                "name": name,
                "threshold": float(threshold),
                "caught": int(np.sum(alarm & (y == 1))),
                "missed": misses,
                "false_alarms": false,
                "quiet": int(np.sum(~alarm & (y == 0))),
                "cost": cost_miss * misses + cost_alarm * false,
            }
        )
    return {"cost_miss": cost_miss, "cost_alarm": cost_alarm, "thresholds": rows}


def check_costs(cost_miss, cost_alarm):
    """Refuse costs that are no finite numbers >= 0."""
    for name, cost in (("cost of a miss", cost_miss), ("cost of an alarm", cost_alarm)):
        if not 0.0 <= cost < np.inf:
            raise ValueError(f"the {name} must be a finite number >= 0; got {cost!r}")
