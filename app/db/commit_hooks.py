"""Things to do when a transaction has committed, and only then."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

Action = Callable[[], None]

_ACTIONS = "after_commit_actions"


def after_commit(session: Session, action: Action) -> None:
    """Call ``action`` once the transaction has committed; it must not use the session, and should not raise.

    Releasing a savepoint is no commit; a rollback drops all actions.
    """
    if _ACTIONS not in session.info:
        session.info[_ACTIONS] = []
        event.listen(session, "after_commit", _run)
        event.listen(session, "after_soft_rollback", _drop)
    session.info[_ACTIONS].append(action)


def _run(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint is released; nobody else sees its rows yet
        return
    actions, session.info[_ACTIONS] = session.info[_ACTIONS], []
    for action in actions:
        action()


def _drop(session: Session, previous_transaction: object) -> None:
    del previous_transaction
    if not session.in_transaction():  # else only to a savepoint
        session.info[_ACTIONS] = []
