"""`bench`: the speed, memory and energy of networks and of whole tasks, each in fresh processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeproof.core.errors import UsageError
from edgeproof.core.files import check_writable
from edgeproof.core.options import Options
from edgeproof.devices.meters import Meter
from edgeproof.library.bench.photos import made, readable
from edgeproof.measure.bench import Plan, measure_session, new_session
from edgeproof.measure.runs import Variant
from edgeproof.measure.runs_file import RunsFile, write_runs
from edgeproof.measure.targets import Named, Wishes, network_variants, variant_id
from edgeproof.tasks.detection.task import LONG_SIDE as DETECTION_SIDE
from edgeproof.tasks.face_detection.task import LONG_SIDE as FACE_SIDE

TASKS = ("orientation", "faces", "attributes", "detect")
WORKER = "edgeproof.library.bench.worker"
SIDES = {"detect": DETECTION_SIDE, "face-detection": FACE_SIDE}
_MOST = 48
_MADE = "a made picture (seed {seed}, 1280x960, nothing to be found in it); give --input for yours"


def bench(  # noqa: PLR0913 - all but the targets have a default and a name
    targets: Sequence[str | os.PathLike[str]],
    *,
    engines: Sequence[str] = (),
    threads: Sequence[int] = (),
    batches: Sequence[int] = (),
    options: Options | None = None,
    model: str | None = None,
    input: str | os.PathLike[str] | None = None,
    input_shape: str = "",
    plan: Plan | None = None,
    out: str | os.PathLike[str] | None = None,
    energy: Meter | None = None,
    progress: Callable[[float], None] = lambda _share: None,
    stop: Callable[[], bool] = lambda: False,
) -> RunsFile:
    """Measure targets against each other, in every combination of engines, threads and batch sizes.

    Arguments:
        targets: a built-in task (orientation, faces, attributes, detect), a bundle, a model file of any format, or a
            name of `models list`.
        engines, threads, batches: none of one kind leaves it to the target.
        options: of the engines.
        model: the network of a task; the detector of `faces`.
        input: a picture or a folder of some; None for a made picture, or values by chance.
        input_shape: sizes that a network leaves open, such as "1x3x640x640".
        plan: how long to measure; None for the default.
        out: where the raw values are kept, brought up to date while measuring.
        energy: the meter to use; None for the machine's best.
        progress: told the share that is done.
        stop: asked now and then whether to end early.

    Returns:
        What was measured; a variant that failed has an `error`. `edgeproof.measure.summary.document` sums it up.

    Raises:
        UsageError: nothing to measure, too much of it, or options that don't fit the targets.
        NotFoundError, ModelMissingError, ModelError, BundleError, MissingExtraError: a target can't be read.
        ImageError, DataError: the input can't be read.
        StorageError: `out` can't be written.
    """
    plan = plan or Plan()
    if out is not None:
        check_writable(out)
    with TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        work = Path(folder)
        photos, pictures = readable(input) if input is not None else ([], [])
        wishes = Wishes(
            engines=engines,
            threads=threads,
            batches=batches,
            options=options or {},
            pictures=[picture.pixels for picture in pictures],
            input_shape=input_shape,
            sides=SIDES,
            seed=plan.seed,
        )
        named = named_variants([os.fspath(target) for target in targets], wishes, model, photos, work)
        session = new_session(
            [one.variant for one in named], plan, {one.variant.id: one.about for one in named}
        )
        return measure_session(
            session,
            save=lambda file: None if out is None else write_runs(out, file),
            progress=progress,
            stop=stop,
            energy=energy,
        )


def named_variants(
    targets: Sequence[str], wishes: Wishes, model: str | None, photos: Sequence[Path], work: Path
) -> list[Named]:
    """The variants of all targets; arguments and errors as for `bench`, `work` a folder for what feeds them."""
    if not targets:
        raise UsageError("There is nothing to measure.", hint="Name a model file, a bundle or a task.")
    if model is not None and not set(targets) & set(TASKS):
        raise UsageError(
            "--model is the network of a task, and no target is one.", hint=f"Tasks: {', '.join(TASKS)}."
        )
    found: list[Named] = []
    for number, (target, label) in enumerate(zip(targets, _labels(targets), strict=True)):
        place = work / str(number)
        place.mkdir()
        if target in TASKS:
            found += _of_task(target, label, wishes, model, photos, place)
        else:
            found += network_variants(target, label, wishes, place)
        if len(found) > _MOST:
            raise UsageError(
                f"These are {len(found)} variants or more; at most {_MOST} are measured at once.",
                hint="Give fewer targets, engines, threads or batch sizes.",
            )
    return found


def _labels(targets: Sequence[str]) -> list[str]:
    """A short name for each target, no two alike."""
    names = [Path(target).name or target for target in targets]
    names = [target if names.count(name) > 1 else name for name, target in zip(names, targets, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name}#{names[: number + 1].count(name)}"
        for number, name in enumerate(names)
    ]


def _of_task(
    task: str, label: str, wishes: Wishes, model: str | None, photos: Sequence[Path], work: Path
) -> list[Named]:
    if task == "detect" and model is None:
        raise UsageError(
            "detect needs to know with which network.", hint="Give --model, such as --model yolox-nano."
        )
    if any(batch != 1 for batch in wishes.batches) or wishes.input_shape:
        raise UsageError(
            f"{task} is measured picture by picture.", hint="Leave --batch and --input-shape out."
        )
    notes = [] if photos else [_MADE.format(seed=wishes.seed)]
    files = list(photos) or [made(work, wishes.seed)]
    found = []
    for engine in wishes.engines or ["onnxruntime"]:
        for threads in wishes.threads or [1]:
            variant = Variant(
                variant_id(label, engine, threads, 1),
                Path(model or task),
                engine,
                threads=threads,
                options=wishes.options,
                worker=WORKER,
                request={
                    "task": task,
                    "photo_model": model,
                    "photos": [str(file.absolute()) for file in files],
                },
            )
            found.append(Named(variant, {"target": task, "task": task, "notes": notes}))
    return found
