"""The tables of the toy experiment (OCSDF Tables 1 and 8), from the cells' rows."""

import pandas as pd

from experiments.toy2d_data import TOY_SETS
from experiments.toy2d_networks import (
    BATCH_SIZE,
    CLEAR_HINGE_WEIGHT,
    CLEAR_RATE,
    CLEAR_WARM_START,
    HINGE_WEIGHT,
    NEWTON_STEPS,
)

PRINTED, CLEAR = "seeds on all of B", "seeds clear of the data"
# Table 8, after 10,000 steps of the conventional network.
PAPER_SLOPES = dict(zip(TOY_SETS, (26.66, 122.84, 1421.41, 53.90, 258.73), strict=True))
_PARTS = {"radius < 2": "ball", "inside": "inside", "outside": "outside", "far": "far"}
_PARTS |= {"B": "domain"}


def describe(rows, sizes):
    """Write the tables in Markdown."""
    toys = rows[rows["setting"] == "toy"].set_index("name")
    shapes = rows[rows["setting"] != "toy"]
    return "\n".join(
        [
            "# Toy sets of the plane\n",
            f"Four hidden layers of {sizes.width} (paper: 512), batches of {BATCH_SIZE}, "
            f"T = {NEWTON_STEPS}, seed {', '.join(map(str, rows['seed'].unique()))}.\n",
            *_describe_toys(toys, sizes),
            *_describe_shapes(shapes, sizes),
        ]
    )


def _describe_toys(toys, sizes):
    slopes = pd.DataFrame({"paper: conventional, rows": pd.Series(PAPER_SLOPES)}, toys.index)
    extents = pd.DataFrame(index=toys.index)
    for key in ("conventional", "ours"):
        slopes[f"{key}, rows"] = toys[f"{key}_slope_rows"]
        slopes[f"{key}, grid"] = toys[f"{key}_slope_grid"]
        extents[f"{key}, largest on B"] = toys[f"{key}_largest"]
        extents[f"{key}, mean at 10^3"] = toys[f"{key}_far"]
    return [
        f"Five sets of {sizes.n_rows:,} rows, standardized; B is the ball of radius 5; "
        f"{sizes.n_steps:,} steps (paper: 10,000), lambda = {HINGE_WEIGHT:g}, m = 0.05 (blob and "
        "cloud: 0.1). Ours: RMSprop at 1e-3. Conventional: ReLU, binary cross-entropy, Adam at "
        "1e-3, negatives pulled by Algorithm 1 to its own level -m.\n",
        *[f"![{name}](toy2d/contours_{name.replace(' ', '_')}.png)" for name in toys.index],
        "\n![Scores of data and of uniform points](toy2d/histograms.png)\n",
        "## Tables 1 and 8: local Lipschitz constant\n",
        "Largest norm of the gradient of f on the training rows, and on the grid of "
        f"{sizes.resolution} x {sizes.resolution} points of the pictures. Ours is at most 1 by "
        "construction.\n",
        slopes.to_markdown(floatfmt=".2f") + "\n",
        "## How far f goes\n",
        "Largest |f| on uniform points of B, and mean |f| at distance 10^3 from the origin, where "
        "a signed distance is about 10^3.\n",
        extents.to_markdown(floatfmt=",.1f") + "\n",
    ]


def _describe_shapes(shapes, sizes):
    table = shapes[["name", "setting", "seed"]].copy()
    for symbol in ("error", "slope"):
        for label, part in _PARTS.items():
            table[f"{symbol}, {label}"] = shapes[f"{symbol}_{part}"]
    return [
        "## f - m against the exact signed distance\n",
        "Unit disc, ring of radii 0.5 and 1, two discs of radius 0.5 around (-1, 0) and (1, 0); "
        f"{sizes.n_rows_of_shape:,} rows, uniform inside, m = 0.05. Error: mean |f - m - S| with S "
        "the exact signed distance, positive inside (Eq. 4; f is not shifted). Slope: mean norm of "
        "the gradient; S has 1. Over the ball of radius 2, in its parts inside and outside the "
        "shape, and in the far part, between radius 2 and 5. "
        "B ends at 5 standard deviations, radius 2.5, 2.8 and 3.8: beyond it nothing is trained; "
        "the last columns are over B.\n",
        table.to_markdown(index=False, floatfmt=".3g") + "\n",
        f'*{PRINTED}*: `OCSDF(method="paper")` as above, {sizes.n_steps:,} steps. In the '
        "plane a large share of uniform seeds falls inside the shape, where Theorem 1 wants no "
        "negatives (Def. 1: a gap of 2 m). Each pushes f down there with weight 1 + lambda, a row "
        "pulls it up with weight 1, so f stays near m instead of rising to m + S.\n",
        f'*{CLEAR}*: `OCSDF(method="paper", seeds="clear")`, the same loss and Algorithm 1 from '
        f"seeds farther than 2 m from all rows; {sizes.n_steps_clear:,} steps, the first "
        f"{CLEAR_WARM_START:.0%} with T = 0, pairs sorted in place of layers, lambda = "
        f"{CLEAR_HINGE_WEIGHT:g}, a learning rate that falls linearly from {CLEAR_RATE:g} by a "
        "callback. These settings were found on a square and on another ring.\n",
        "![Level sets and errors](toy2d/signed_distance.png)\n",
        "![f - m against the exact signed distance](toy2d/score_against_distance.png)\n",
    ]
