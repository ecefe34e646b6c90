"""Things to do when a transaction has committed, and only then."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

Action = Callable[[], None]

_ACTIONS = "after_commit_actions"
_COMMITTED = "after_commit_committed"


def after_commit(session: Session, action: Action) -> None:
    """Call ``action`` once the transaction has committed and its connection is back in the pool.

    It must not use the session, and should not raise. Releasing a savepoint is no commit; a rollback drops
    all actions.
    """
    if _ACTIONS not in session.info:
        session.info[_ACTIONS] = []
        event.listen(session, "after_commit", _note)
        event.listen(session, "after_transaction_end", _run)
    session.info[_ACTIONS].append(action)


def _note(session: Session) -> None:
    if not session.in_nested_transaction():  # else a savepoint is released; nobody else sees its rows yet
        session.info[_COMMITTED] = True


def _run(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:  # a savepoint, or a flush
        return
    actions, session.info[_ACTIONS] = session.info[_ACTIONS], []
    if session.info.pop(_COMMITTED, False):
        for action in actions:
            action()
