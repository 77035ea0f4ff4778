"""The order of the modules, and the house rules that a parser can check."""

import ast
from pathlib import Path

import pytest

import ocsdf

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "ocsdf": ROOT / "ocsdf",
    "ocsdf.levelsets": ROOT / "ocsdf" / "levelsets",
    "ocsdf.sklearn_compat": ROOT / "sklearn_compat",
}

# Each module may import only those above it.
ORDER = [
    "ocsdf._version",
    "ocsdf.files",
    "ocsdf.readers",
    "ocsdf.downloads",
    "ocsdf.threads",
    "ocsdf.matrix_bounds",
    "ocsdf.convolution_bounds",
    "ocsdf.domain",
    "ocsdf.data",
    "ocsdf.protocols",
    "ocsdf.runs",
    "ocsdf.isolation",
    "ocsdf.layers",
    "ocsdf.convolutions",
    "ocsdf.layer_rules",
    "ocsdf.distances",
    "ocsdf.cones",
    "ocsdf.ensembles",
    "ocsdf.affine_rules",
    "ocsdf.pooling_rules",
    "ocsdf.lipschitz",
    "ocsdf.models",
    "ocsdf.image_models",
    "ocsdf.inference",
    "ocsdf.losses",
    "ocsdf.newton",
    "ocsdf.negatives",
    "ocsdf.compiled",
    "ocsdf.host_updates",
    "ocsdf.host_training",
    "ocsdf.training_graph",
    "ocsdf.training",
    "ocsdf.diagnosis",
    "ocsdf.recipe",
    "ocsdf.image_negatives",
    "ocsdf.image_recipe",
    "ocsdf.certification",
    "ocsdf.input_gradients",
    "ocsdf.boundary",
    "ocsdf.explanation",
    "ocsdf.attack_inputs",
    "ocsdf.attacks",
    "ocsdf.steepest_pairs",
    "ocsdf.attack_adapters",
    "ocsdf.levelsets.rows",
    "ocsdf.levelsets.projection",
    "ocsdf.levelsets.sample_network",
    "ocsdf.levelsets.losses",
    "ocsdf.levelsets.polytope",
    "ocsdf.levelsets.architectures",
    "ocsdf.levelsets",
    "ocsdf.surfaces",
    "ocsdf.shape_distances",
    "ocsdf.local_surfaces",
    "ocsdf.neural_surfaces",
    "ocsdf.reconstruction",
    "ocsdf.point_clouds",
    "ocsdf.mesh_files",
    "ocsdf.surface_preview",
    "ocsdf.display_base",
    "ocsdf.certified_displays",
    "ocsdf.score_displays",
    "ocsdf.signed_distance_display",
    "ocsdf.displays",
    "ocsdf.sklearn_compat.parameters",
    "ocsdf.sklearn_compat.validation",
    "ocsdf.sklearn_compat.fitting",
    "ocsdf.sklearn_compat.persistence",
    "ocsdf.sklearn_compat.base",
    "ocsdf.sklearn_compat.signed_distance",
    "ocsdf.sklearn_compat.estimator",
    "ocsdf.sklearn_compat.image_fitting",
    "ocsdf.sklearn_compat.image_estimator",
    "ocsdf.sklearn_compat.distance_detectors",
    "ocsdf.sklearn_compat.pyod_detector",
    "ocsdf.sklearn_compat.ad_engine",
    "ocsdf.sklearn_compat.adbench",
    "ocsdf.sklearn_compat.scoring",
    "ocsdf.sklearn_compat",
    "ocsdf.detectors",
    "ocsdf.tabular_benchmark",
    "ocsdf.comparison",
    "ocsdf.judgement",
    "ocsdf.pages",
    "ocsdf.report",
    "ocsdf.benchmark_figures",
    "ocsdf.benchmark_sections",
    "ocsdf.benchmark_report",
    "ocsdf.ranking",
    "ocsdf.benchmark_files",
    "ocsdf.console",
    "ocsdf.options",
    "ocsdf.steps",
    "ocsdf.surface_command",
    "ocsdf.cli",
]
# The front door hands out names from anywhere, and imports none of their modules by itself.
FRONT_DOOR = "ocsdf"
MOST_LINES = 350
# Methods that Keras calls, documented by Keras.
KERAS_METHODS = {"build", "call", "get_config", "load_own_variables", "save_own_variables"}


def module_files():
    return {
        package if path.stem == "__init__" else f"{package}.{path.stem}": path
        for package, folder in FOLDERS.items()
        for path in folder.glob("*.py")
    }


FILES = module_files()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported_modules(tree):
    """The project's modules that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "ocsdf")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module.split(".")[0] == "ocsdf":
                yield from (home(node.module, alias.name) for alias in node.names)


def home(module, name):
    """The module that ``from module import name`` reaches."""
    if f"{module}.{name}" in FILES:
        return f"{module}.{name}"
    if module == FRONT_DOOR:
        return "ocsdf._version" if name == "__version__" else ocsdf._HOME[name]
    return module


def public_definitions(node, prefix=""):
    """Public functions and classes of a module, and public methods of those classes."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{child.name}.")


def lines_without_docstrings(name):
    docstrings = [
        node.body[0].end_lineno - node.body[0].lineno + 1
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    ]
    return len(FILES[name].read_text(encoding="utf-8").splitlines()) - sum(docstrings)


def test_every_module_has_its_place():
    assert sorted([*ORDER, FRONT_DOOR]) == sorted(FILES)


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_upwards(name):
    above = set(ORDER[: ORDER.index(name)])
    assert set(imported_modules(TREES[name])) - above == set()


def test_front_door_imports_only_the_version():
    assert set(imported_modules(TREES[FRONT_DOOR])) == {"ocsdf._version"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_docstrings(name):
    undocumented = [
        label
        for label, node in public_definitions(TREES[name])
        if node.name not in KERAS_METHODS and not ast.get_docstring(node)
    ]
    assert ast.get_docstring(TREES[name]), "the module itself"
    assert undocumented == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_assert_statement(name):
    assert [node.lineno for node in ast.walk(TREES[name]) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("name", sorted(set(FILES) - {"ocsdf.cli", "ocsdf.console"}))
def test_only_the_command_line_prints(name):
    calls = [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert calls == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_modules_are_short(name):
    assert lines_without_docstrings(name) <= MOST_LINES
