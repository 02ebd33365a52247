"""The walls of the house stand: import-linter's contracts, and what the web entry may know."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_import_contract_is_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_web_entry_imports_no_torch_and_no_writer():
    allowed = {"dashboard", "pages", "loaders", "argparse", "os", "pathlib", "flask"}
    tree = ast.parse((ROOT / "app.py").read_text())
    modules = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    modules |= {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert modules <= allowed


def test_serving_a_workspace_never_loads_torch(tmp_path):
    code = (
        "import sys; from app import create_server; "
        f"create_server({str(tmp_path)!r}); "
        "print([name for name in ('torch', 'transformers', 'precompute') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
