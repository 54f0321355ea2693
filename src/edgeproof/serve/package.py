"""A folder that holds all that a device needs to serve some bundles or tasks, but for the wheels of others."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import sys
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template

from edgeproof._version import __version__
from edgeproof.bundles.bundle import Bundle, open_bundle
from edgeproof.bundles.catalogue import CatalogueModel, catalogue
from edgeproof.bundles.store import default_model, find_model, models_folder
from edgeproof.core.errors import MissingExtraError, StorageError, UsageError, did_you_mean
from edgeproof.core.files import check_writable, directory_atomically
from edgeproof.serve.tasks import TASK_ROWS

_LIBRARIES = (
    "numpy", "onnxruntime", "Pillow", "simplejpeg", "click", "rich", "msgspec",
    "starlette", "uvicorn", "h11", "python-multipart",
)  # fmt: skip
# Those of the lock have the digest of each wheel; these, only for bundles that ask for them, have a version.
_ENGINES = {
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "opencv": "opencv-python-headless",
    "ncnn": "ncnn",
}
# What a task uses beside the network of its bundle, and what it uses where there is no bundle of it: kinds of networks
# of the catalogue. Those that come with the wheel are not named.
_BESIDE = {"attributes": ("face-detection",), "embeddings": ("face-detection",)}
_ALONE = {"faces": ("face-detection",), "embeddings": ("face-recognition",)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILES = Path(__file__).with_name("package_files")
# What the two kinds of processes of the service load.
_IMPORTS = (
    "import edgeproof.cli.serve, edgeproof.serve.run, edgeproof.serve.app, edgeproof.serve.networks, uvicorn"
)
_TEMPLATES = ("Dockerfile", "edgeproof.service", "install.sh")
_LOCK = _FILES / "requirements.lock"
# Name, version, and for which Pythons, in the form that tools/lock.py writes.
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)(?: ; (.*))? \\$", re.MULTILINE)
# The oldest time that a zip file can state: the same input makes the same wheel, byte for byte.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """What was written.

    Attributes:
        path: the folder.
        bundles: names that they are served under.
        tasks: that are served.
        models: of the catalogue, that are in it.
        requirements: versions by name of library, for this Python.
        installed_bytes: of those libraries and edgeproof as they are installed here.
        bundle_bytes: of the bundles and models.
    """

    path: Path
    bundles: Sequence[str]
    tasks: Sequence[str]
    models: Sequence[str]
    requirements: Mapping[str, str]
    installed_bytes: int
    bundle_bytes: int


def package(
    bundles: Sequence[str | Path], out: str | Path, *, tasks: Sequence[str] = (), memory: str = "180MB"
) -> Package:
    """Write the folder, whole or not at all.

    Arguments:
        bundles: each is checked against its digests first; those made for a task are what the task runs on.
        out: a folder that isn't there yet, or is empty.
        tasks: to serve beside those of the bundles, with the networks that the task has by default.
        memory: the budget that the service gets, as `edgeproof serve --mem-budget` has it.

    Raises:
        BundleError, NotFoundError: a bundle can't be used.
        ModelMissingError: a task needs a network of the catalogue that is not installed here.
        UsageError: two bundles have one name, there is no such task, or nothing is to be served.
        StorageError: `out` holds something, or can't be written.
        MissingExtraError: a library that the device needs is not installed here, so its version is not known.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} is there already.", hint="Choose another place with --out.")
    check_writable(target)
    limit = _limit(memory)
    opened = _named([open_bundle(path) for path in bundles])
    served = _tasks(opened, tasks)
    models = _models(served, {one.manifest.task for one in opened.values()})
    engines = {bundle.manifest.engine.name for bundle in opened.values()}
    locked, others = _split(
        _closure((*_LIBRARIES, *(_ENGINES[one] for one in sorted(engines) if one in _ENGINES)))
    )
    with directory_atomically(target) as folder:
        for name, bundle in opened.items():
            (folder / "bundles" / f"{name}.edge").mkdir(parents=True)
            for file in ("manifest.json", *bundle.manifest.files):
                shutil.copyfile(bundle.path / file, folder / "bundles" / f"{name}.edge" / file)
        _add_models(folder, opened, models)
        wheel = _wheel(folder)
        (folder / "requirements.txt").write_text(_LOCK.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "requirements-engines.txt").write_text(
            "# Without digests: by version, as they were where this was packaged.\n"
            + "".join(f"{name}=={one.version}\n" for name, one in sorted(others.items()))
        )
        options = [f"--model {name}=bundles/{name}.edge" for name in opened] + [
            f"--task {one}" for one in served
        ]
        values = {"options": " ".join(options), "memory": memory, "wheel": wheel, "limit": limit}
        values["imports"] = _IMPORTS
        values["bundles"] = "COPY bundles bundles\n" if opened else ""
        for name in _TEMPLATES:
            text = Template((_FILES / name).read_text(encoding="utf-8")).substitute(values)
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "install.sh").chmod(0o755)
    every = {**locked, **others}
    return Package(
        target,
        tuple(opened),
        served,
        tuple(model.name for model in models),
        {name: _locked_versions().get(name, one.version) for name, one in sorted(every.items())},
        sum(map(_size, every.values())) + _tree_bytes(Path(__file__).parent.parent),
        sum(_tree_bytes(target / name) for name in ("bundles", "data") if (target / name).is_dir()),
    )


def _tasks(bundles: Mapping[str, Bundle], asked: Sequence[str]) -> tuple[str, ...]:
    """Those asked for and those of the bundles; where there is none, the one that needs nothing beside the package."""
    for task in asked:
        if task not in TASK_ROWS:
            raise UsageError(f"There is no task {task!r} to serve.", hint=did_you_mean(task, TASK_ROWS))
        if TASK_ROWS[task].needs_model and task not in {one.manifest.task for one in bundles.values()}:
            raise UsageError(
                f"The task {task!r} has no network of its own.", hint="Give a bundle that was made for it."
            )
    if not bundles and not asked:
        raise UsageError("There is nothing to serve.", hint="Give a bundle, or a task: --task attributes")
    of_bundles = (one.manifest.task for one in bundles.values() if one.manifest.task in TASK_ROWS)
    return tuple(dict.fromkeys((*asked, *of_bundles))) or ("orientation",)


def _models(tasks: Sequence[str], with_bundle: Collection[str]) -> list[CatalogueModel]:
    """The networks of the catalogue that the tasks use; each must be installed here, and whole."""
    kinds = [kind for task in tasks for kind in _BESIDE.get(task, ())]
    kinds += [kind for task in tasks if task not in with_bundle for kind in _ALONE.get(task, ())]
    names = dict.fromkeys(default_model(kind) for kind in kinds)
    for name in names:
        find_model(name)
    return [catalogue()[name] for name in names]


def _add_models(folder: Path, bundles: Mapping[str, Bundle], models: Sequence[CatalogueModel]) -> None:
    """`data`, which is EDGEPROOF_HOME there: the networks as they are installed here, and whose they are."""
    rows = [f"edgeproof {__version__}: Apache-2.0"]
    for name, bundle in bundles.items():
        manifest = bundle.manifest
        rows.append(
            f"bundles/{name}.edge: {manifest.licence or 'licence not stated'}; {manifest.source or 'source not stated'}"
        )
    for model in models:
        shutil.copytree(models_folder() / model.name, folder / "data" / "models" / model.name)
        rows.append(
            f"data/models/{model.name}: {model.licence}; {model.source}"
            + (f"\n  {model.note}" if model.note else "")
        )
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "LICENCES.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _locked_versions() -> dict[str, str]:
    """Versions in the lock by name, for this Python."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    pins = _PIN.findall(_LOCK.read_text(encoding="utf-8"))
    return {_key(name): version for name, version, marker in pins if not marker or f'"{here}"' in marker}


def _split(
    libraries: Mapping[str, metadata.Distribution],
) -> tuple[dict[str, metadata.Distribution], dict[str, metadata.Distribution]]:
    """Those that the lock has, and the others."""
    known = _locked_versions()
    inside = {name: one for name, one in libraries.items() if name in known}
    return inside, {name: one for name, one in libraries.items() if name not in known}


def _named(bundles: Iterable[Bundle]) -> dict[str, Bundle]:
    named: dict[str, Bundle] = {}
    for bundle in bundles:
        name = bundle.path.resolve().name.removesuffix(".edge")
        if name in named or not _NAME.fullmatch(name):
            raise UsageError(
                f"A bundle can't be served as {name!r}: the name is taken or no plain word.",
                hint="Rename its folder: letters, digits, '.', '_' and '-'.",
            )
        named[name] = bundle
    return named


def _limit(memory: str) -> int:
    """Bytes at which systemd ends it: half as much again, for the kernel counts caches too."""
    from edgeproof.serve.settings import parse_size

    return parse_size(memory) * 3 // 2


def _closure(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The libraries and all that they need, as they are installed here."""
    found: dict[str, metadata.Distribution] = {}
    todo = [(name, True) for name in names]
    while todo:
        name, needed = todo.pop()
        key = _key(name)
        if key in found:
            continue
        try:
            found[key] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if needed:
                raise MissingExtraError(
                    f"The device needs the Python package {name}, which is not installed here.",
                    hint='Install it, so that its version is known: pip install "edgeproof[serve]"',
                ) from None
            continue  # needed on another Python or system only
        for text in found[key].requires or ():
            match = _NAME.match(text)
            if match and "extra ==" not in text:
                todo.append((match[0], False))
    return found


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _size(distribution: metadata.Distribution) -> int:
    """As install.sh leaves it: what Python compiles on its own, and NumPy's tests, are not there."""
    paths = (file for file in distribution.files or () if file.suffix != ".pyc" and "tests" not in file.parts)
    files = (Path(str(file.locate())) for file in paths)
    return sum(file.stat().st_size for file in files if file.is_file())


def _tree_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")


def _wheel(folder: Path) -> str:
    """edgeproof itself, from the files that run here; the wheel's name (PEP 427)."""
    source = Path(__file__).parent.parent
    info = f"edgeproof-{__version__}.dist-info"
    name = f"edgeproof-{__version__}-py3-none-any.whl"
    contents = {
        f"edgeproof/{file.relative_to(source).as_posix()}": file.read_bytes()
        for file in sorted(source.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: edgeproof\nVersion: {__version__}\nRequires-Python: >=3.10\n".encode()
    )
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: edgeproof\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    contents[f"{info}/entry_points.txt"] = b"[console_scripts]\nedgeproof = edgeproof.cli.main:main\n"
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return name


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
