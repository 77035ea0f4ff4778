"""Surfaces from points: clouds, reconstruction, signed distance, meshes."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Effort": "ocsdf.surfaces.reconstruction",
        "Grid": "ocsdf.surfaces.meshing",
        "LocalSurface": "ocsdf.surfaces.local_fit",
        "NeuralSurface": "ocsdf.surfaces.neural",
        "Samples": "ocsdf.surfaces.meshing",
        "ShapeDistances": "ocsdf.surfaces.shape_distances",
        "chamfer": "ocsdf.surfaces.shape_distances",
        "check_cloud": "ocsdf.surfaces.clouds",
        "compare_meshes": "ocsdf.surfaces.shape_distances",
        "extract_surface": "ocsdf.surfaces.meshing",
        "lay_grid": "ocsdf.surfaces.meshing",
        "read_cloud": "ocsdf.surfaces.clouds",
        "reconstruct": "ocsdf.surfaces.reconstruction",
        "sample_grid": "ocsdf.surfaces.meshing",
        "signed_distance": "ocsdf.surfaces.shape_distances",
        "volume_iou": "ocsdf.surfaces.shape_distances",
    },
)
