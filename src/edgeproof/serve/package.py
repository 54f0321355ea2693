"""A folder that holds all that a device needs to serve some bundles, but for the wheels of others."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template

from edgeproof._version import __version__
from edgeproof.bundles.bundle import Bundle, open_bundle
from edgeproof.core.errors import MissingExtraError, StorageError, UsageError
from edgeproof.core.files import check_writable, directory_atomically
from edgeproof.serve.tasks import TASK_ROWS

_CORE = ("numpy", "onnxruntime", "Pillow", "simplejpeg", "click", "rich", "msgspec")
_SERVE = ("starlette", "uvicorn", "h11", "python-multipart")
_ENGINES = {
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "opencv": "opencv-python-headless",
    "ncnn": "ncnn",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TEMPLATES = Path(__file__).with_name("package_files")
# The oldest time that a zip file can state: the same input makes the same wheel, byte for byte.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """What was written.

    Attributes:
        path: the folder.
        bundles: names that they are served under.
        requirements: versions by name of library.
        installed_bytes: of those libraries and edgeproof as they are installed here.
        bundle_bytes: of the bundles.
    """

    path: Path
    bundles: Sequence[str]
    requirements: Mapping[str, str]
    installed_bytes: int
    bundle_bytes: int


def package(bundles: Sequence[str | Path], out: str | Path, *, memory: str = "200MB") -> Package:
    """Write the folder, whole or not at all.

    Arguments:
        bundles: each is checked against its digests first.
        out: a folder that isn't there yet, or is empty.
        memory: the budget that the service gets, as `edgeproof serve --mem-budget` has it.

    Raises:
        BundleError, NotFoundError: a bundle can't be used.
        UsageError: two bundles have one name.
        StorageError: `out` holds something, or can't be written.
        MissingExtraError: a library that the device needs is not installed here, so its version is not known.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} is there already.", hint="Choose another place with --out.")
    check_writable(target)
    opened = _named([open_bundle(path) for path in bundles])
    engines = {bundle.manifest.engine.name for bundle in opened.values()}
    locked = _closure((*_CORE, *_SERVE, *(_ENGINES[one] for one in sorted(engines) if one in _ENGINES)))
    models = " ".join(f"--model {name}=bundles/{name}.edge" for name in opened) + _tasks(opened)
    with directory_atomically(target) as folder:
        for name, bundle in opened.items():
            (folder / "bundles" / f"{name}.edge").mkdir(parents=True)
            for file in ("manifest.json", *bundle.manifest.files):
                shutil.copyfile(bundle.path / file, folder / "bundles" / f"{name}.edge" / file)
        wheel = _wheel(folder)
        (folder / "requirements.txt").write_text(
            "".join(f"{name}=={one.version}\n" for name, one in sorted(locked.items()))
        )
        values = {"models": models, "memory": memory, "wheel": wheel, "limit": _limit(memory)}
        for template in sorted(_TEMPLATES.iterdir()):
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            (folder / template.name).write_text(text, encoding="utf-8")
    return Package(
        target,
        tuple(opened),
        {name: one.version for name, one in sorted(locked.items())},
        sum(map(_size, locked.values())) + _tree_bytes(Path(__file__).parent.parent),
        _tree_bytes(target / "bundles"),
    )


def _tasks(bundles: Mapping[str, Bundle]) -> str:
    """Which tasks the device serves: those of the bundles, else the one that needs no network beside the package's."""
    tasks = dict.fromkeys(one.manifest.task for one in bundles.values() if one.manifest.task in TASK_ROWS)
    return "".join(f" --task {task}" for task in tasks or ["orientation"])


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
        key = re.sub(r"[-_.]+", "-", name).lower()
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


def _size(distribution: metadata.Distribution) -> int:
    files = (Path(str(file.locate())) for file in distribution.files or ())
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
