"""Things to do when a transaction commits, and only then."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

Action = Callable[[], None]

_BEFORE = "before_commit_actions"
_AFTER = "after_commit_actions"


def before_commit(session: Session, action: Action) -> None:
    """Call ``action`` as the last thing in the transaction; it may still use the session."""
    _actions(session, _BEFORE).append(action)


def after_commit(session: Session, action: Action) -> None:
    """Call ``action`` once the transaction has committed; it must not use the session, and should not raise.

    Releasing a savepoint is no commit; a rollback drops all actions.
    """
    _actions(session, _AFTER).append(action)


def _actions(session: Session, when: str) -> list[Action]:
    if _BEFORE not in session.info:
        session.info[_BEFORE], session.info[_AFTER] = [], []
        event.listen(session, "before_commit", lambda session: _run(session, _BEFORE))
        event.listen(session, "after_commit", lambda session: _run(session, _AFTER))
        event.listen(session, "after_soft_rollback", _drop)
    actions: list[Action] = session.info[when]
    return actions


def _run(session: Session, when: str) -> None:
    if session.in_nested_transaction():  # a savepoint is released; nobody else sees its rows yet
        return
    actions, session.info[when] = session.info[when], []
    for action in actions:
        action()


def _drop(session: Session, previous_transaction: object) -> None:
    del previous_transaction
    if not session.in_transaction():  # else only to a savepoint
        session.info[_BEFORE], session.info[_AFTER] = [], []
