"""Collections of enrolled people: who is in a picture, who is enrolled, and enrolling and forgetting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from edgeproof.core.errors import UsageError
from edgeproof.gallery.cipher import clean_name
from edgeproof.gallery.retention import parse_retention
from edgeproof.imaging.header import MAX_PIXELS, read_header
from edgeproof.serve.admission import picture_cost
from edgeproof.serve.body import stated_length
from edgeproof.serve.endpoints import Endpoint, Json
from edgeproof.serve.gallery import TASK, Galleries
from edgeproof.serve.http_errors import HttpError, error_of
from edgeproof.serve.routes import gallery_schemas as schemas
from edgeproof.serve.routes.pictures import picture_body, read_pictures
from edgeproof.serve.routes.query import read_query
from edgeproof.serve.service import Service
from edgeproof.serve.tasks import TASK_ROWS

_ALL = "/v1/collections"
_ONE = f"{_ALL}/{{collection}}"
_PEOPLE = f"{_ONE}/people"
_PERSON = f"{_PEOPLE}/{{name}}"
# "", v1, collections, COLLECTION, people, NAME
_NAME_AT = 5
# What an export holds of each template as text, and of each kept crop; it is there as a document, in the zip, and here.
_TEMPLATE_BYTES, _CROP_BYTES, _EXPORT_COPIES = 20_000, 60_000, 4


def _of(service: Service) -> Galleries:
    assert service.galleries is not None
    return service.galleries


def _collection(request: Request) -> str:
    return str(request.path_params["collection"])


def _name(request: Request) -> str:
    """The person's name in the path, where it may be any text: percent-encoded UTF-8."""
    raw = request.scope["raw_path"].split(b"/")[_NAME_AT]
    try:
        return clean_name(unquote_to_bytes(raw).decode())
    except UnicodeDecodeError:
        raise HttpError(400, "bad_name", "The name in the path is not UTF-8.") from None
    except UsageError as error:
        raise error_of(error) from error


async def _collections(service: Service, request: Request) -> Response:
    galleries = _of(service)
    rows = [(await galleries.ask(name, "facts")).head["document"] for name in galleries.facts]
    return Json({"request_id": request.scope["request_id"], "collections": rows})


async def _facts(service: Service, request: Request) -> Response:
    answer = await _of(service).ask(_collection(request), "facts")
    return Json({"request_id": request.scope["request_id"], **answer.head["document"]})


async def _people(service: Service, request: Request) -> Response:
    page = read_query(request, schemas.PAGE)
    answer = await _of(service).ask(_collection(request), "people", **page)
    people = answer.head["document"]["people"]
    more, people = len(people) > page["limit"], people[: page["limit"]]
    return Json(
        {
            "request_id": request.scope["request_id"],
            "people": people,
            "next": people[-1]["number"] if more else None,
        }
    )


async def _person(service: Service, request: Request) -> Response:
    answer = await _of(service).ask(_collection(request), "person", name=_name(request))
    return Json({"request_id": request.scope["request_id"], **answer.head["document"]})


async def _forget(service: Service, request: Request) -> Response:
    galleries, collection = _of(service), _collection(request)
    person = (await galleries.ask(collection, "person", name=_name(request))).head["document"]
    # By number, which nobody else ever gets: asked a second time after a crash, it is done all the same.
    done = await galleries.ask(collection, "forget", number=person["number"])
    await galleries.ask(collection, "facts")
    return Json(
        {
            "request_id": request.scope["request_id"],
            "forgotten": person["name"],
            "number": person["number"],
            "templates": person["templates"],
            "scrubbed": done.head["document"]["scrubbed"],
        }
    )


async def _export(service: Service, request: Request) -> Response:
    galleries, collection, name = _of(service), _collection(request), _name(request)
    person = (await galleries.ask(collection, "person", name=name)).head["document"]
    held = person["templates"] * _TEMPLATE_BYTES + person["crops"] * _CROP_BYTES
    async with service.admission.holding_work(_EXPORT_COPIES * held):
        answer = await galleries.ask(collection, "export", name=name)
    return Response(
        bytes(answer.body),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="person-{person["number"]}.zip"'},
    )


async def _search(service: Service, request: Request) -> Response:
    galleries, collection = _of(service), _collection(request)
    options = read_query(request, schemas.SEARCH)
    galleries.check_known(collection)
    size = stated_length(request, service.settings.max_upload)
    async with service.admission.holding_body(size):
        pictures = await read_pictures(service, request, size)
        rows = [await _searched(service, collection, picture, options) for picture in pictures]
    _raise_if_all_failed(rows)
    images = [
        {"width": None, "height": None, "result": None, "timing_ms": None, "error": row.as_json()}
        if isinstance(row, HttpError)
        else row
        for row in rows
    ]
    return Json({"request_id": request.scope["request_id"], "collection": collection, "images": images})


async def _searched(
    service: Service, collection: str, picture: bytes, options: Mapping[str, Any]
) -> dict[str, Any] | HttpError:
    try:
        document, faces = await _look(service, picture)
        answer = await _of(service).ask(collection, "search", faces=faces, **options)
    except HttpError as problem:
        return problem
    found = answer.head["document"]
    rows = [
        {**who, "bbox_normalised": face["bbox_normalised"], "score": face["score"]}
        for face, who in zip(faces, found["faces"], strict=True)
    ]
    for row in rows:
        _of(service).faces.add(collection, "unknown" if row["decision"] == "unknown" else "known")
    return {
        "width": document["width"],
        "height": document["height"],
        "result": {**found, "faces": rows, "model": document["result"]["model"]},
        "timing_ms": _timing(document["timing_ms"], answer.head["timing_ms"]),
        "error": None,
    }


def _timing(looked: Mapping[str, float], compared: Mapping[str, float]) -> dict[str, float]:
    both = round(looked["worker"] + compared["worker"], 3)
    return {**looked, "worker": both, "compare": compared["gallery"]}


async def _look(service: Service, picture: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The picture's answer of the task `embeddings`, and its faces, as the galleries' process wants them."""
    document, _ = await service.look(TASK, picture)
    _of(service).check_recognizer(document["result"])
    return document, document["result"]["faces"]


async def _enroll(service: Service, request: Request) -> Response:
    galleries, collection, name = _of(service), _collection(request), _name(request)
    options = read_query(request, schemas.ENROL)
    _check_retention(options["retain"])
    galleries.check_known(collection)
    galleries.check_room()
    size = stated_length(request, service.settings.max_upload)
    async with service.admission.holding_body(size):
        pictures = await read_pictures(service, request, size)
        rows = [await _enrolled(service, collection, picture, name, options) for picture in pictures]
    await galleries.ask(collection, "facts")
    images = [schemas.failed(row) if isinstance(row, HttpError) else row for row in rows]
    counts = Counter(row["decision"] for row in images)
    for row in images:
        galleries.enrolments.add(collection, row["decision"])
    summary = {"enrolled": counts["enrolled"], "refused": counts["refused"], "errors": counts["error"]}
    if not counts["enrolled"]:
        _raise_if_all_failed(rows)
        raise HttpError(
            422,
            "nothing_enrolled",
            "No face was enrolled: " + _why(images),
            details={"name": name, "images": images, "summary": summary},
        )
    return Json(
        {
            "request_id": request.scope["request_id"],
            "collection": collection,
            "name": name,
            "images": images,
            "summary": summary,
        }
    )


async def _enrolled(
    service: Service, collection: str, picture: bytes, name: str, options: Mapping[str, Any]
) -> dict[str, Any] | HttpError:
    try:
        _, faces = await _look(service, picture)
        order = {"faces": faces, "name": name, **options}
        if not options["keep_crops"]:
            return dict((await _of(service).ask(collection, "enroll", **order)).head["document"])
        # The face is cut out where it is kept, so the picture is decoded once more.
        row = TASK_ROWS[TASK]
        cost = picture_cost(read_header(picture, max_pixels=MAX_PIXELS), len(picture), row.cover)
        async with service.admission.holding_work(cost):
            return dict((await _of(service).ask(collection, "enroll", picture, **order)).head["document"])
    except HttpError as problem:
        return problem


def _check_retention(text: str | None) -> None:
    try:
        if text is not None:
            parse_retention(text)
    except UsageError as error:
        raise error_of(error) from error


def _raise_if_all_failed(rows: Sequence[Any]) -> None:
    problems = [row for row in rows if isinstance(row, HttpError)]
    if len(problems) == len(rows):
        raise problems[0]


def _why(images: Collection[Mapping[str, Any]]) -> str:
    first = next(row for row in images if row["decision"] == "refused")
    return " ".join(first["reasons"])


ENDPOINTS = (
    Endpoint(
        "GET", _ALL, _collections, "infer", "The collections: how many people each has, and its threshold.",
        bounded=True, answers=schemas.COLLECTIONS,
    ),
    Endpoint(
        "GET", _ONE, _facts, "infer", "One collection.", bounded=True, answers=schemas.COLLECTION,
    ),
    Endpoint(
        "POST", f"{_ONE}/search", _search, "infer", "One or several pictures: who is in them?", bounded=True,
        parameters=schemas.SEARCH, body=picture_body(), answers=schemas.FOUND,
    ),
    Endpoint(
        "GET", _PEOPLE, _people, "admin", "Who is in a collection, a page at a time.", bounded=True,
        parameters=schemas.PAGE, refusals=("400",), answers=schemas.PEOPLE,
    ),
    Endpoint(
        "GET", _PERSON, _person, "enrol", "Whether somebody of that name is there.", bounded=True,
        parameters=schemas.NAME, refusals=("400",), answers=schemas.PERSON,
    ),
    Endpoint(
        "POST", _PERSON, _enroll, "enrol", "Enrol a person from pictures of that person alone.", bounded=True,
        parameters={**schemas.NAME, **schemas.ENROL}, refusals=("507",), body=picture_body(),
        answers=schemas.ENROLLED,
    ),
    Endpoint(
        "DELETE", _PERSON, _forget, "enrol", "Forget a person for good: the key is destroyed.", bounded=True,
        parameters=schemas.NAME, refusals=("400", "507"), answers=schemas.FORGOTTEN,
    ),
    Endpoint(
        "GET", f"{_PERSON}/export", _export, "admin", "Everything about one person, in clear, as a zip.",
        bounded=True, parameters=schemas.NAME, refusals=("400", "413", "507"), answers=schemas.EXPORTED,
    ),
)  # fmt: skip
