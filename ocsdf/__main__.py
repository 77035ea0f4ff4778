"""``python -m ocsdf``: the same as the command ``ocsdf``."""

from ocsdf.cli import main

main()
