"""The site: `make docs` builds it into build/docs, with warnings as errors."""

import re
from importlib import import_module
from pathlib import Path
from shutil import copytree, rmtree

import ocsdf

HERE = Path(__file__).resolve().parent
RECORD = HERE.parent / "experiments" / "results"

PACKAGES = [
    "ocsdf",
    "ocsdf.sklearn_compat",
    "ocsdf.certificate",
    "ocsdf.decisions",
    "ocsdf.attacks",
    "ocsdf.explanation",
    "ocsdf.levelsets",
    "ocsdf.surfaces",
    "ocsdf.networks",
    "ocsdf.operations",
    "ocsdf.training",
    "ocsdf.recipes",
    "ocsdf.data",
    "ocsdf.displays",
    "ocsdf.benchmark",
    "ocsdf.report",
]

project = "ocsdf"
author = "the ocsdf developers"
release = version = ocsdf.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas need no network
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["gallery/*", "pypi.md"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
# The gallery's settings hold what cannot be stored between builds.
suppress_warnings = ["config.cache"]

autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"  # docstrings say the types, in the words of readers
autodoc_default_options = {"members": True, "inherited-members": False}

html_theme = "pydata_sphinx_theme"
html_title = "ocsdf"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "plot_gallery": True,
}


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out what other libraries' classes bring, and document."""
    home = getattr(obj, "__module__", None) or "ocsdf"
    routing = name.startswith("set_") and name.endswith("_request")
    return True if routing or not home.startswith("ocsdf") else None


def lead_within_the_site(app, relative, parent, content):
    """Turn links to files of the repository, which the pages have, into those of the site."""
    content[0] = on_site(content[0])


def give_a_title(app, name, content):
    """Call a page of the record by its experiment, where its script gave it no title."""
    if name.startswith("results/") and not content[0].startswith("# "):
        content[0] = f"# {Path(name).name}\n\n{content[0]}"


def on_site(text):
    """Return a page's text with links to the record and to the gallery as they are on the site."""
    text = text.replace("](../experiments/results/README.md)", "](results/README.md)")
    text = text.replace("](../experiments/results/", "](results/")
    return re.sub(r"\]\(gallery/(\w+)\.py\)", r"](examples/\1.rst)", text)


def setup(app):
    """Tell Sphinx what to leave out, and where links lead."""
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("include-read", lead_within_the_site)
    app.connect("source-read", lambda app, name, content: lead_within_the_site(app, 0, 0, content))
    app.connect("source-read", give_a_title)


def write_reference(folder):
    """Write a page a package, of the names that it hands out, so that none is forgotten."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    known, pages = set(), []
    for package in PACKAGES:
        module = import_module(package)
        names = [name for name in module.__all__ if name not in known | {"__version__"}]
        # A name stands where it is handed out first; a package may have none left.
        known.update(names)
        if not names:
            continue
        pages.append(package)
        lines = [package, "=" * len(package), "", module.__doc__.strip().split("\n")[0], ""]
        lines += [".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
        lines += [f"   {package}.{name}" for name in names]
        (folder / f"{package}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["API reference", "=============", "", "Every public name, by package.", ""]
    lines += [".. toctree::", "   :maxdepth: 1", "", *(f"   {package}" for package in pages)]
    (folder / "index.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


# Before Sphinx looks for pages.
write_reference(HERE / "reference")
rmtree(HERE / "results", ignore_errors=True)
copytree(RECORD, HERE / "results", ignore=lambda _, names: [n for n in names if n[-4:] == "html"])
