"""A fitted network with its proof: float64 scores, bound, radius, certified AUROC."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CertifiedNetwork": "ocsdf.certificate.network",
        "certified_auroc": "ocsdf.certificate.metrics",
        "certified_radius": "ocsdf.certificate.metrics",
        "certified_recall": "ocsdf.certificate.metrics",
        "certified_tpr": "ocsdf.certificate.metrics",
    },
)
