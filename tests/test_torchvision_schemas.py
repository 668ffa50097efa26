"""torchvision beside a torch of another build, each time in a fresh interpreter."""

import subprocess
import sys


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_torchvision_imports_after_qoe_core():
    result = run(
        "import qoe_core, torchvision; print(torchvision.models.resnet18().fc.out_features)"
    )
    assert result.stdout == "1000\n", result.stderr


def test_transforms_run_after_qoe_core():
    result = run(
        "import qoe_core, torch\n"
        "from torchvision.transforms import v2\n"
        "print(tuple(v2.Resize([4, 6])(torch.zeros(3, 8, 8)).shape))"
    )
    assert result.stdout == "(3, 4, 6)\n", result.stderr


def test_installing_twice_leaves_one_finder():
    result = run(
        "import sys\n"
        "from qoe_core import torchvision_schemas\n"
        "torchvision_schemas.install()\n"
        "print(sum(type(f).__name__ == 'SchemaFinder' for f in sys.meta_path))"
    )
    assert result.stdout == "1\n", result.stderr
