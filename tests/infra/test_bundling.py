"""What Lambda unpacks: dependencies and code that need no compiling at a cold start and do not name this machine."""

from __future__ import annotations

import json
import marshal
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from packaging.utils import canonicalize_name

from app import ROOT
from infra import bundling, pruning
from infra.config import Settings
from infra.function import RUNTIME
from tests.infra.bundle import BuiltBundle, locked_for_lambda

FUNCTIONS = ROOT / "functions"
HOST = Settings(bundling="host")
UNCHECKED_HASH = 1  # PEP 552: bytecode that is bound to a hash which nobody compares


def loaded(bytecode: Path) -> tuple[int, CodeType]:
    """The flags and the code of a .pyc file."""
    content = bytecode.read_bytes()
    code: CodeType = marshal.loads(content[16:])  # noqa: S302 - a file of our own making: only its paths are read
    return int.from_bytes(content[4:8], "little"), code


def sources(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.py")}


def compiled(folder: Path) -> dict[Path, Path]:
    """Bytecode by the path of its source, where it takes the source's place and where it is cached for it."""
    tag = f".{sys.implementation.cache_tag}.pyc"
    cached = {
        (path.parent.parent / path.name.removesuffix(tag)).relative_to(folder).with_suffix(".py"): path
        for path in folder.rglob(f"__pycache__/*{tag}")
    }
    alone = {
        path.relative_to(folder).with_suffix(".py"): path
        for path in folder.rglob("*.pyc")
        if path.parent.name != "__pycache__"
    }
    assert not cached.keys() & alone.keys()
    return cached | alone


def hashes(functions: Path, settings: Settings) -> tuple[str, str]:
    """The asset hashes of the layer and of the code, as CDK makes them."""
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    stack = cdk.Stack(app, "Hashes")
    lambda_.LayerVersion(stack, "Layer", code=bundling.dependencies(functions, settings))
    code = bundling.code(functions, settings)
    lambda_.Function(stack, "Function", code=code, handler="webhook.handler", runtime=RUNTIME)
    resources = app.synth().get_stack_by_name("Hashes").template["Resources"].values()
    (layer,) = [r["Properties"]["Content"]["S3Key"] for r in resources if r["Type"] == "AWS::Lambda::LayerVersion"]
    (own,) = [r["Properties"]["Code"]["S3Key"] for r in resources if r["Type"] == "AWS::Lambda::Function"]
    return layer, own


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A functions directory that a test may change."""
    folder = tmp_path / "functions"
    (folder / "batch_create").mkdir(parents=True)
    (folder / "webhook.py").write_text("from batch_create import value\n", encoding="utf-8")
    (folder / "batch_create" / "__init__.py").write_text("value = 1\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("six==1.17.0\n", encoding="utf-8")
    return folder


def test_a_change_of_code_makes_new_code_but_no_new_layer(functions: Path) -> None:
    layer, code = hashes(functions, Settings())
    (functions / "batch_create" / "__init__.py").write_text("value = 2\n", encoding="utf-8")

    assert hashes(functions, Settings())[0] == layer
    assert hashes(functions, Settings())[1] != code


def test_a_change_of_the_lock_makes_a_new_layer_but_no_new_code(functions: Path) -> None:
    layer, code = hashes(functions, Settings())
    (functions / "requirements.txt").write_text("six==1.16.0\n", encoding="utf-8")

    assert hashes(functions, Settings())[0] != layer
    assert hashes(functions, Settings())[1] == code


def test_what_is_no_code_makes_nothing_new(functions: Path) -> None:
    before = hashes(functions, Settings())
    for clutter in (".mypy_cache/cache.py", "tests/test_webhook.py", "__pycache__/webhook.pyc", "requirements.in"):
        (functions / clutter).parent.mkdir(exist_ok=True)
        (functions / clutter).write_text("clutter", encoding="utf-8")

    assert hashes(functions, Settings()) == before


def test_another_platform_makes_a_new_layer(functions: Path) -> None:
    layers = {hashes(functions, settings)[0] for settings in (Settings(), Settings(architecture="x86_64"), HOST)}

    assert len(layers) == 3


def test_another_pruning_makes_a_new_layer_but_no_new_code(functions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, code = hashes(functions, Settings())
    monkeypatch.setattr(pruning, "digest", lambda: "another")

    assert hashes(functions, Settings())[0] != layer
    assert hashes(functions, Settings())[1] == code


def test_the_hash_is_the_same_wherever_the_checkout_is(functions: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(functions, tmp_path / "elsewhere" / "functions")

    assert hashes(elsewhere, Settings()) == hashes(functions, Settings())


def test_the_target_of_a_deployment_is_lambdas_and_not_this_machines() -> None:
    assert bundling.Target.of(Settings()).pip_flags == (
        *("--platform", "manylinux2014_aarch64"),
        *("--python-version", "3.13"),
    )
    assert bundling.Target.of(Settings(architecture="x86_64")).pip_flags[1] == "manylinux2014_x86_64"
    assert bundling.Target.of(Settings()).compiles is (sys.version_info[:2] == (3, 13))
    assert bundling.Target.of(HOST).pip_flags == ()
    assert bundling.Target.of(HOST).compiles


def test_a_machine_with_another_python_leaves_compiling_to_lambda(
    functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "RUNTIME_VERSION", "3.99")

    bundling.build_code(functions, Settings(), tmp_path / "out")

    assert sources(tmp_path / "out") == {Path("webhook.py"), Path("batch_create/__init__.py")}
    assert not compiled(tmp_path / "out")


def test_a_lock_without_hashes_stops_the_synth_and_never_starts_docker(functions: Path, tmp_path: Path) -> None:
    with pytest.raises(bundling.BundlingFailed, match=r"(?s)pip install.*hash"):
        bundling.build_dependencies(functions, HOST, tmp_path / "out")


def test_cdk_builds_by_these_functions_and_not_by_docker(functions: Path, tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    stack = cdk.Stack(app, "Built")
    lambda_.Function(stack, "Function", code=bundling.code(functions, HOST), handler="webhook.handler", runtime=RUNTIME)

    (asset,) = Path(app.synth().directory).glob("asset.*")

    assert sources(asset) == {Path("webhook.py"), Path("batch_create/__init__.py")}
    assert set(compiled(asset)) == sources(asset)


def test_cdk_tells_what_a_failed_build_said(functions: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stack = cdk.Stack(cdk.App(outdir=str(tmp_path / "cdk.out")), "Failing")

    with pytest.raises(RuntimeError, match=r"(?s)pip install.*hash"):
        lambda_.LayerVersion(stack, "Layer", code=bundling.dependencies(functions, HOST))
    capfd.readouterr()


@pytest.mark.bundle
def test_the_code_is_all_python_and_all_compiled(built_bundle: BuiltBundle) -> None:
    entry_points = ("webhook", "consumer", "scheduled", "dead_letters", "sweep", "dispatcher")
    assert {Path(f"{name}.py") for name in entry_points} <= sources(built_bundle.code)
    assert set(compiled(built_bundle.code)) == sources(built_bundle.code)
    files = {path for path in built_bundle.code.rglob("*") if path.is_file()}
    assert {path.suffix for path in files} == {".py", ".pyc"}


@pytest.mark.bundle
def test_bytecode_is_never_stale_and_names_lambdas_paths(built_bundle: BuiltBundle) -> None:
    for folder, root in ((built_bundle.code, "/var/task"), (built_bundle.layer, "/opt")):
        bytecode = compiled(folder)
        assert bytecode
        for source, path in bytecode.items():
            flags, code = loaded(path)
            assert flags == UNCHECKED_HASH
            assert code.co_filename == f"{root}/{source.as_posix()}"


@pytest.mark.bundle
def test_the_layer_holds_exactly_the_locked_distributions(built_bundle: BuiltBundle) -> None:
    found = (built_bundle.layer / "python").glob("*.dist-info")
    names = (path.name.removesuffix(".dist-info").rsplit("-", 1) for path in found)

    assert {canonicalize_name(name): version for name, version in names} == locked_for_lambda(
        (FUNCTIONS / "requirements.txt").read_text()
    )


@pytest.mark.bundle
def test_the_layer_holds_what_is_locked_with_its_licences_and_no_scripts(built_bundle: BuiltBundle) -> None:
    packages = built_bundle.layer / "python"

    for name in ("boto3", "requests", "voluptuous", "aws_lambda_powertools"):
        assert (packages / name / "__init__.pyc").is_file()
        (information,) = packages.glob(f"{name}-*.dist-info")
        assert (information / "METADATA").is_file()
        assert [path for path in information.rglob("*") if path.name.upper().startswith(("LICENSE", "COPYING"))], name
    assert not (packages / "bin").exists()
    assert [path.name for path in built_bundle.layer.iterdir()] == ["python"]


@pytest.mark.bundle
def test_both_assets_import_each_other_as_in_lambda(built_bundle: BuiltBundle) -> None:
    path = [str(built_bundle.code), str(built_bundle.layer / "python")]
    program = (
        f"import sys; sys.path[:0] = {path!r}\n"
        "import json, model.contract, voluptuous\n"
        "print(json.dumps([model.contract.__file__, voluptuous.__file__]))"
    )

    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    contract, checks = json.loads(done.stdout)
    assert contract.startswith(path[0])
    assert checks.startswith(path[1])


@pytest.mark.bundle
def test_nothing_in_the_assets_names_this_machine(built_bundle: BuiltBundle) -> None:
    here = [str(place).encode() for place in (ROOT, built_bundle.code, built_bundle.layer, Path(sys.prefix))]
    assets = (built_bundle.code, built_bundle.layer)
    files = [path for folder in assets for path in folder.rglob("*") if path.is_file()]

    assert not [path for path in files if any(place in path.read_bytes() for place in here)]
