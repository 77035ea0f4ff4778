"""What the README says runs, and what it shows exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example_runs_and_certifies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    names = {}
    exec(code, names)
    detector, X, y = names["detector"], names["X"], names["y"]
    assert (tmp_path / "detector.ocsdf").exists()
    clean, attacked = detector.certified_auroc(X, y, radii=[0.0, 0.1], pos_label=0)
    assert 0.9 < clean <= 1.0
    assert attacked < clean


def test_commands_and_files_named_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"    make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([\w./]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
