"""``/v1/teachers``: upload a suspect network, look at it, delete it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import inspections, wire
from app.api.answers import IfMatchHeader, check_version, tagged
from app.api.deps import EdgeDep, Reader, ReadingSession, Submitter, WritingSession
from app.api.openapi import COMMON, LISTED, UPLOAD, link, problems
from app.api.paging import PageQuery, next_after
from app.schemas.base import Page, TeacherId
from app.schemas.teachers import Teacher, TeacherQuery
from app.services import teachers

router = APIRouter(prefix="/v1/teachers", tags=["teachers"])

Id = Annotated[TeacherId, Path(alias="teacher", description="The teacher's id.")]
Name = Annotated[
    str, Path(alias="teacher", description="The file's name; only shown.", examples=["teacher.pt"])
]
_LINKS = {"get": link("get_teacher", "teacher", "The teacher as it is now.")}


@router.put(
    "/{teacher}",
    operation_id="put_teacher",
    summary="Upload a teacher",
    status_code=201,
    response_model=Teacher,
    openapi_extra=UPLOAD.request_body(
        "A checkpoint: safetensors, or what torch.save(model.state_dict()) writes."
    ),
    responses={
        **COMMON,
        **UPLOAD.problems,
        200: {"model": Teacher, "description": "You uploaded these bytes before", "links": _LINKS},
        201: {"description": "Inspected and accepted", "links": _LINKS},
        202: {"model": Teacher, "description": "Still being inspected; ask for it again", "links": _LINKS},
    },
)
async def put_teacher(
    request: Request,
    edge: EdgeDep,
    caller: Submitter,
    filename: Name,
    options: Annotated[TeacherQuery, Query()],
) -> Response:
    """Send the file's bytes as the body. The file is never unpickled and none of its code runs.

    It is inspected before the answer goes out: a file that is refused is answered with the reader's code
    and is not kept.
    """
    name = inspections.plain_name(filename)
    declared = options.declared()  # refused before the body is read
    row, created = await inspections.take_in(
        request,
        edge,
        lambda session, stored: teachers.receive(session, caller, stored, filename=name, declared=declared),
        lambda session, teacher_id: teachers.get(session, caller.tenant, teacher_id),
        lambda session, teacher_id: teachers.delete(session, caller.tenant, teacher_id),
        caller=caller,
    )
    return inspections.answer(wire.teacher(row), row, f"/v1/teachers/{row.id}", created=created)


@router.get(
    "",
    operation_id="list_teachers",
    summary="List teachers",
    responses=LISTED,
)
def list_teachers(
    session: ReadingSession, caller: Reader, query: Annotated[PageQuery, Query()]
) -> Page[Teacher]:
    """Return teachers, newest first."""
    page = teachers.page(session, caller.tenant, query.after_one_of("tch"), query.limit)
    following = next_after([row.id for row in page.rows], has_more=page.has_more)
    return Page(data=[wire.teacher(row) for row in page.rows], has_more=page.has_more, next_after=following)


@router.get(
    "/{teacher}",
    operation_id="get_teacher",
    summary="Look at a teacher",
    response_model=Teacher,
    responses={**COMMON, **problems("not_found"), 304: {"description": "Not modified"}},
)
def get_teacher(request: Request, session: ReadingSession, caller: Reader, teacher_id: Id) -> Response:
    """Return the teacher with what the inspection found."""
    return tagged(request, wire.teacher(teachers.get(session, caller.tenant, teacher_id)))


@router.delete(
    "/{teacher}",
    operation_id="delete_teacher",
    summary="Delete a teacher",
    status_code=204,
    responses={**COMMON, **problems("not_found", "upload_in_use", "precondition_failed")},
)
def delete_teacher(
    session: WritingSession, caller: Submitter, teacher_id: Id, if_match: IfMatchHeader = None
) -> None:
    """Delete the teacher, and its files within three hours. Jobs that used it keep their results."""
    seen = teachers.lock(session, caller.tenant, teacher_id)
    check_version(if_match, wire.teacher(seen))
    teachers.delete(session, caller.tenant, teacher_id)
