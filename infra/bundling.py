"""The two assets, built by this machine's pip and compiler, without Docker.

Commands are written as a container would run them, with CDK's two mount points, because CDK puts the command into the
asset's hash: a changed flag makes a new asset. Here the mount points stand for the source and the output directory.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsii
from aws_cdk import AssetHashType, AssetStaging, BundlingOptions, BundlingOutput, IgnoreMode, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra import pruning
from infra.function import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.config import Settings

SOURCE = AssetStaging.BUNDLING_INPUT_DIR
OUTPUT = AssetStaging.BUNDLING_OUTPUT_DIR
RUNTIME_VERSION = RUNTIME.name.removeprefix("python")
PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}
# Where Lambda unpacks a layer and the code: the paths that bytecode holds in place of this machine's.
LAYER_ROOT = "/opt"
CODE_ROOT = "/var/task"
# What decides each asset's hash, as .gitignore would say it.
ONLY_LOCK = ["*", "!requirements.txt"]
ONLY_CODE = ["*", "!*/", "!*.py", ".*/", "tests/"]

Command = list[str]  # arguments of Python's `-m`


class BundlingFailed(RuntimeError):
    """A command that builds an asset failed; the message holds it and what it said."""


@dataclass(frozen=True)
class Target:
    """The interpreter that will import the assets: what pip must know of it, and whether this one compiles for it."""

    name: str
    pip_flags: tuple[str, ...]
    compiles: bool

    @classmethod
    def of(cls, settings: Settings) -> Target:
        """This very interpreter where the settings say `host`, else Lambda's."""
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        if settings.bundling == "host":
            return cls(f"python{running} on {sysconfig.get_platform()}", (), compiles=True)
        platform = PLATFORMS[settings.architecture]
        return cls(
            f"python{RUNTIME_VERSION} on {platform}",
            ("--platform", platform, "--python-version", RUNTIME_VERSION),
            compiles=running == RUNTIME_VERSION,  # bytecode is of one minor version
        )


@jsii.implements(ILocalBundling)
class LocalBundling:
    """Builds an asset with a function of its output directory."""

    def __init__(self, build: Callable[[Path], None]) -> None:
        self._build = build

    def try_bundle(self, output_dir: str, *, image: Any = None, **_: Any) -> bool:
        """Always True: False would make CDK try Docker, which nobody asked for. Raises what the build raises.

        `image` is not used, but jsii passes the options by keyword only to a method that names one of them.
        """
        self._build(Path(output_dir))
        return True


def dependencies(functions: Path, settings: Settings) -> lambda_.Code:
    """The layer that `build_dependencies` builds. functions/requirements.txt and the pruning decide its hash."""
    commands = _dependency_commands(Target.of(settings))
    return _asset(functions, settings, commands, build_dependencies, ONLY_LOCK, {"PRUNING": pruning.digest()})


def code(functions: Path, settings: Settings) -> lambda_.Code:
    """The functions' own code, as `build_code` builds it."""
    commands = _code_commands(Target.of(settings))
    return _asset(functions, settings, commands, build_code, ONLY_CODE, {})


def build_dependencies(functions: Path, settings: Settings, output: Path) -> None:
    """Install what functions/requirements.txt locks into `output`/python, pruned, and each module once: its bytecode,
    or its source where this machine cannot compile for the target. Raises BundlingFailed."""
    install, *compilation = _dependency_commands(Target.of(settings))
    _run([install], functions, output)
    pruning.prune(output / "python")
    _run(compilation, functions, output)
    pruning.remove_compiled_sources(output / "python")


def build_code(functions: Path, settings: Settings, output: Path) -> None:
    """Copy the Python files of `functions` to `output` and compile them. Raises BundlingFailed."""
    shutil.copytree(functions, output, ignore=_not_code, dirs_exist_ok=True)
    _run(_code_commands(Target.of(settings)), functions, output)


def _not_code(directory: str, names: list[str]) -> list[str]:
    def is_code(name: str) -> bool:
        if (Path(directory) / name).is_dir():
            return not name.startswith(".") and name not in {"tests", "__pycache__"}
        return name.endswith(".py")

    return [name for name in names if not is_code(name)]


def _dependency_commands(target: Target) -> list[Command]:
    pip_install = [
        *("pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"),
        *("--require-hashes", "--only-binary=:all:", *target.pip_flags),
        *("--requirement", f"{SOURCE}/requirements.txt", "--target", f"{OUTPUT}/python"),
    ]
    return [pip_install, *_compilation(target, LAYER_ROOT, "-b")]  # beside the source, which then goes


def _code_commands(target: Target) -> list[Command]:
    return _compilation(target, CODE_ROOT)


def _compilation(target: Target, root: str, *flags: str) -> list[Command]:
    # CDK's archives date every file 1980, by which ordinary bytecode looks stale at each cold start. Bytecode that is
    # never compared with its source is right here, because both are in one archive that does not change.
    quietly = ["compileall", "-q", *flags, "--invalidation-mode", "unchecked-hash"]
    return [[*quietly, "-s", OUTPUT, "-p", root, OUTPUT]] if target.compiles else []


def _asset(
    functions: Path,
    settings: Settings,
    commands: Sequence[Command],
    build: Callable[[Path, Settings, Path], None],
    exclude: list[str],
    environment: dict[str, str],
) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(functions),
        exclude=exclude,
        ignore_mode=IgnoreMode.GIT,
        asset_hash_type=AssetHashType.SOURCE,
        bundling=BundlingOptions(
            image=RUNTIME.bundling_image,
            command=[part for command in commands for part in command],
            environment={"TARGET": Target.of(settings).name, **environment},
            local=LocalBundling(lambda output: build(functions, settings, output)),
            output_type=BundlingOutput.NOT_ARCHIVED,
        ),
    )


def _run(commands: Sequence[Command], source: Path, output: Path) -> None:
    for command in commands:
        arguments = [part.replace(SOURCE, str(source)).replace(OUTPUT, str(output)) for part in command]
        done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BundlingFailed(f"python -m {' '.join(arguments)}\n{done.stdout}{done.stderr}")
