"""The data home, and ADBench's tables from their public place, checked by SHA-256."""

import os
from pathlib import Path

URL = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical/"
# SHA-256 of each <stem>.npz, as published.
REGISTRY = {
    "4_breastw": "4f37ce07dbc25ddad8178fdc6d664ab46d2d0000ee28c2787c3c7ff3c03ef9f6",
    "6_cardio": "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d",
    "14_glass": "aa7a8db1d475ba01a10488af454bc15220a3d5951b010b03b7020567d8152cdc",
    "16_http": "9d98710091551587f4740cfc851a6b064fff6319a337c2dc77ee6da4bcc2e02c",
    "18_Ionosphere": "bca46cb0cfd1bf9ddef6cde5ad2215d54fb0189508d0d4c4eb98e788cad69001",
    "21_Lymphography": "dad977b04f4ea65b78ccd0e9f76b45175bad605165b37e63f3cc177845e67037",
    "23_mammography": "a0308ac9712d78321073b1c2dc98dc37665c0f35c1cc33019416fe8f8d7de7ea",
    "25_musk": "2ed3f4392197b76a1e59116ff880c7720a4b026cf4842073a53b56fdea265017",
    "26_optdigits": "60de17a375a278ba220a7849727d998aa02b5e2f9fd17732a004bba28de4656e",
    "29_Pima": "215454bb263a2f040945c9ea7bd7f06f1e89a61a3143bdb6f196e3887e801a7d",
    "31_satimage-2": "1b056e357f801b8b20c3f380a30224a3c4088d7ed764ec5a24828dc9b1918d6f",
    "32_shuttle": "26900b0f6be45d9ddb7a402c9b2f956ceda42d23a8ca4cf4406b8bc1352823d1",
    "34_smtp": "d2569fc9bc12115419e3f5b37d19921e10e6c26e5ad1e61064cfb0fbc402dfdd",
    "38_thyroid": "8de161b3f235b7647bb0b39a836d983ff61d67bf234edac461da2d71e889cb87",
    "39_vertebral": "0816286f92b96fe6867664a41a031ac7228dcfbf1a5feefe50ca3883b2e9073d",
    "40_vowels": "4bfc4244d1c882773bbbc50d4a5db5e52276e53506e46b2d45e02d074cfcb1b6",
    "42_WBC": "650f9dcb129248f67a291be0974f533ef259fcbde50fce5c8ad2a1cb2652d03b",
    "45_wine": "d5ad8965d92cc57122fe1e6572bb301adbaf795b3e166d187ae00a704d8f6e20",
}
# Seconds to connect, and to wait for the next bytes: without a network, nobody waits long.
_TIMEOUT = (3, 15)


def data_home():
    """Return the folder that the environment variable OCSDF_DATA_HOME names.

    Returns
    -------
    home : Path or None
        None if the variable is unset or empty. The folder need not exist.

    Examples
    --------
    >>> from ocsdf.data import data_home
    >>> home = data_home()
    >>> home is None or home.name != ""
    True
    """
    home = os.environ.get("OCSDF_DATA_HOME")
    return Path(home).expanduser() if home else None


def registered_stem(name):
    """Find the table with a checksum that a bare name means."""
    return next((stem for stem in REGISTRY if name in (stem, stem.partition("_")[2])), None)


def fetch_table(stem):
    """Download one of ADBench's tables, unless it is there already.

    It returns the path ``adbench/<stem>.npz`` in the data home, or in pooch's cache folder of
    ``ocsdf`` where OCSDF_DATA_HOME is not set.
    """
    if stem not in REGISTRY:
        raise ValueError(f"no download is known of {stem!r}: expected one of {', '.join(REGISTRY)}")
    try:
        import pooch
    except ImportError as error:
        raise ImportError(f"downloading {stem} needs pooch: pip install pooch") from error
    path = (data_home() or pooch.os_cache("ocsdf")) / "adbench" / f"{stem}.npz"
    # pooch would write over a file with another checksum, and it may be the user's own.
    if path.exists() and pooch.file_hash(str(path)) != REGISTRY[stem]:
        raise ValueError(f"{path} is not ADBench's {stem} (SHA-256 differs): move it away")
    try:
        pooch.retrieve(
            f"{URL}{stem}.npz",
            known_hash=f"sha256:{REGISTRY[stem]}",
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
        )
    except ValueError as error:
        raise ValueError(
            f"{URL}{stem}.npz does not have the SHA-256 it should have, {REGISTRY[stem]}, and "
            f"was thrown away: try again, or put a file you trust at {path}"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OSError(
            f"{URL}{stem}.npz could not be downloaded ({reason}): put the file at {path}"
        ) from error
    return path
