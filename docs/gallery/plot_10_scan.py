"""
From a scan to a mesh, seen by sphere tracing
=============================================

Raw points without normals become a watertight mesh; its exact signed distance is 1-Lipschitz, so
that a ray that steps by it passes through no wall, however thin.
"""

import matplotlib.pyplot as plt
import numpy as np

from ocsdf.surfaces import MeshDistance, reconstruct_scan, trace

# %%
# A scan: points of a ring, each off by a little, and no normals.
rng = np.random.default_rng(0)
around, across = rng.uniform(0, 2 * np.pi, (2, 6_000))
points = np.stack(
    [
        (1 + 0.4 * np.cos(across)) * np.cos(around),
        (1 + 0.4 * np.cos(across)) * np.sin(around),
        0.4 * np.sin(across),
    ],
    axis=1,
)
points += rng.normal(scale=0.005, size=points.shape)

found = reconstruct_scan(points, resolution=48)
volume = 2 * np.pi**2 * 0.4**2
print(f"{len(found.mesh.faces):,} faces, volume {found.mesh.volume:.3f} (ring: {volume:.3f})")
assert found.mesh.is_watertight and abs(found.mesh.volume / volume - 1) < 0.05
assert found.mesh.euler_number == 0  # one hole

# %%
# A camera looks down at it. A ray goes on by the distance to the surface, less rounding.
field = MeshDistance(found.mesh)
eye = np.array([0.0, -3.0, 2.4])
forward = -eye / np.linalg.norm(eye)
right = np.array([1.0, 0.0, 0.0])
up = np.cross(right, forward)
side = 110
x, y = np.meshgrid(np.linspace(-0.5, 0.5, side), np.linspace(0.4, -0.4, int(0.8 * side)))
rays = forward + x[..., np.newaxis] * right + y[..., np.newaxis] * up
rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)
traced = trace(field, np.tile(eye, (len(rays), 1)), rays, farthest=8.0, tolerance=1e-3)
print(f"{traced.hits.mean():.0%} of the rays hit, in {traced.steps[traced.hits].mean():.0f} steps")

hits = eye + traced.lengths[traced.hits, np.newaxis] * rays[traced.hits]
_, _, faces = found.mesh.nearest.on_surface(hits)
light = np.array([-0.5, -0.4, 0.8]) / np.linalg.norm([-0.5, -0.4, 0.8])
picture = np.full(len(rays), np.nan)
picture[traced.hits] = 0.25 + 0.75 * np.clip(found.mesh.face_normals[faces] @ light, 0, 1)
plt.figure(figsize=(6, 4.8), layout="constrained")
plt.imshow(picture.reshape(x.shape), cmap="gray", vmin=0, vmax=1)
plt.axis("off")
plt.show()

# %%
# Every hit lies on the surface, and no step went farther than the distance.
assert np.all(np.abs(field(hits)) <= 1e-3 + field.slack(hits))
