"""Surfaces from points: clouds, reconstruction, signed distance, meshes."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ClampedDistance": "ocsdf.surfaces.clamped",
        "Cloud": "ocsdf.surfaces.clouds",
        "Effort": "ocsdf.surfaces.reconstruction",
        "Grid": "ocsdf.surfaces.meshing",
        "LocalSurface": "ocsdf.surfaces.local_fit",
        "MeshDistance": "ocsdf.surfaces.mesh_distance",
        "NeuralSurface": "ocsdf.surfaces.neural",
        "Reconstruction": "ocsdf.surfaces.scans",
        "Samples": "ocsdf.surfaces.meshing",
        "ShapeDistances": "ocsdf.surfaces.shape_distances",
        "Trace": "ocsdf.surfaces.sphere_tracing",
        "chamfer": "ocsdf.surfaces.shape_distances",
        "check_cloud": "ocsdf.surfaces.clouds",
        "compare_meshes": "ocsdf.surfaces.shape_distances",
        "extract_surface": "ocsdf.surfaces.meshing",
        "lay_grid": "ocsdf.surfaces.meshing",
        "read_cloud": "ocsdf.surfaces.cloud_files",
        "reconstruct": "ocsdf.surfaces.reconstruction",
        "reconstruct_scan": "ocsdf.surfaces.scans",
        "sample_grid": "ocsdf.surfaces.meshing",
        "signed_distance": "ocsdf.surfaces.shape_distances",
        "trace": "ocsdf.surfaces.sphere_tracing",
        "volume_iou": "ocsdf.surfaces.shape_distances",
    },
)
