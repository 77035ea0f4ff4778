"""Seeds for negatives that keep clear of the data, as OCSDF Def. 1 asks."""

import numpy as np
from scipy.spatial import cKDTree


def clear_seeds(domain, rows, gap):
    """Draw uniformly from the points of B that keep a distance from the data.

    Def. 1 of OCSDF asks for negatives on B that leave a gap of 2 m; in two or three dimensions,
    unlike in many (Sec. 3.2), many uniform points would lie among the data. ``sample(n_samples,
    random_state)`` gives float32 points, and a ValueError where none of as many points is clear.
    """
    tree = cKDTree(rows)

    def sample(n_samples, random_state):
        parts, n_found = [], 0
        while n_found < n_samples:
            points = domain.sample(n_samples, random_state)
            nearest, _ = tree.query(points, distance_upper_bound=gap)
            # What has no row within the bound is said to be infinitely far.
            points = points[np.isinf(nearest)]
            if not len(points):
                raise ValueError(
                    f"none of {n_samples} points of B is more than {gap:g} from all rows; "
                    "choose a smaller margin"
                )
            parts.append(points)
            n_found += len(points)
        return np.concatenate(parts)[:n_samples]

    return sample
