"""``/v1/datasets``: upload images, look at them, delete them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import inspections, wire
from app.api.answers import IfMatchHeader, check_version, tagged
from app.api.deps import EdgeDep, Reader, ReadingSession, Submitter, WritingSession
from app.api.openapi import COMMON, LISTED, UPLOAD, link, problems
from app.api.paging import PageQuery, next_after
from app.schemas.base import DatasetId, Page
from app.schemas.datasets import Dataset, DatasetQuery
from app.services import datasets

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

Id = Annotated[DatasetId, Path(alias="dataset", description="The dataset's id.")]
Name = Annotated[
    str, Path(alias="dataset", description="The file's name; only shown.", examples=["images.zip"])
]
_LINKS = {"get": link("get_dataset", "dataset", "The dataset as it is now.")}


@router.put(
    "/{dataset}",
    operation_id="put_dataset",
    summary="Upload images",
    status_code=201,
    response_model=Dataset,
    openapi_extra=UPLOAD.request_body(
        "A zip of PNG and JPEG files in a folder per class or in none, one image, or a file of CIFAR's."
    ),
    responses={
        **COMMON,
        **UPLOAD.problems,
        200: {"model": Dataset, "description": "You uploaded these bytes before", "links": _LINKS},
        201: {"description": "Inspected and accepted", "links": _LINKS},
        202: {"model": Dataset, "description": "Still being inspected; ask for it again", "links": _LINKS},
    },
)
async def put_dataset(
    request: Request,
    edge: EdgeDep,
    caller: Submitter,
    filename: Name,
    options: Annotated[DatasetQuery, Query()],
) -> Response:
    """Send the file's bytes as the body.

    It is inspected before the answer goes out: one unreadable image refuses the archive and is named, and
    a refused file is not kept.
    """
    name = inspections.plain_name(filename)
    row, created = await inspections.take_in(
        request,
        edge,
        lambda session, stored: datasets.receive(session, caller, stored, filename=name, role=options.role),
        lambda session, dataset_id: datasets.get(session, caller.tenant, dataset_id),
        lambda session, dataset_id: datasets.delete(session, caller.tenant, dataset_id),
        caller=caller,
    )
    return inspections.answer(wire.dataset(row), row, f"/v1/datasets/{row.id}", created=created)


@router.get(
    "",
    operation_id="list_datasets",
    summary="List datasets",
    responses=LISTED,
)
def list_datasets(
    session: ReadingSession, caller: Reader, query: Annotated[PageQuery, Query()]
) -> Page[Dataset]:
    """Return datasets, newest first."""
    page = datasets.page(session, caller.tenant, query.after_one_of("ds"), query.limit)
    following = next_after([row.id for row in page.rows], has_more=page.has_more)
    return Page(data=[wire.dataset(row) for row in page.rows], has_more=page.has_more, next_after=following)


@router.get(
    "/{dataset}",
    operation_id="get_dataset",
    summary="Look at a dataset",
    response_model=Dataset,
    responses={**COMMON, **problems("not_found"), 304: {"description": "Not modified"}},
)
def get_dataset(request: Request, session: ReadingSession, caller: Reader, dataset_id: Id) -> Response:
    """Return the dataset with what the inspection found."""
    return tagged(request, wire.dataset(datasets.get(session, caller.tenant, dataset_id)))


@router.delete(
    "/{dataset}",
    operation_id="delete_dataset",
    summary="Delete a dataset",
    status_code=204,
    responses={**COMMON, **problems("not_found", "upload_in_use", "precondition_failed")},
)
def delete_dataset(
    session: WritingSession, caller: Submitter, dataset_id: Id, if_match: IfMatchHeader = None
) -> None:
    """Delete the dataset, and its files within three hours. Jobs that used it keep their results."""
    seen = datasets.lock(session, caller.tenant, dataset_id)
    check_version(if_match, wire.dataset(seen))
    datasets.delete(session, caller.tenant, dataset_id)
