"""Write the measured numbers of the README and of docs/ anew, from the committed CSV files.

Run ``python -m experiments.numbers`` (or ``make numbers``) after an experiment has changed its CSV
file. It also writes docs/pypi.md, the README as an index of packages shows it. ``--check`` writes
nothing, and names the pages that differ.
"""

import argparse
import sys

from experiments.numbers import decisions, geometry, images, odd_tables, speed, tables
from experiments.numbers.markers import PACKAGE_PAGE, README, ROOT, fill, package_page, pages
from ocsdf.utils.files import write_whole

PARTS = decisions.PARTS | geometry.PARTS | images.PARTS | odd_tables.PARTS | speed.PARTS
PARTS |= tables.PARTS


def main(arguments=None):
    """Write the pages, or compare them, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.numbers", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page differs")
    check = parser.parse_args(arguments).check
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    written = {page: fill(text, PARTS) for page, text in texts.items()}
    if README in written:
        written[PACKAGE_PAGE] = package_page(written[README])
        texts[PACKAGE_PAGE] = PACKAGE_PAGE.read_text(encoding="utf-8")
    stale = [page for page, text in written.items() if text != texts[page]]
    if not check:
        for page in stale:
            write_whole(page, written[page])
    for page in stale:
        verb = "differs from the CSV files" if check else "written anew"
        print(f"{page.relative_to(ROOT)}: {verb}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
