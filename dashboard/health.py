"""Whether this server lives, and whether it can do its work: what a proxy, an orchestrator and a monitor ask."""

import logging

from flask import Response
from sqlalchemy.exc import SQLAlchemyError

from dashboard.api_json import answer, installed_version
from dashboard.cache import cache_state
from dashboard.context import catalog, workspace
from loaders.errors import LoupeError

log = logging.getLogger("loupe")


def alive() -> Response:
    """The process answers; nothing else is looked at."""
    return answer({"status": "ok"})


def ready() -> Response:
    """Catalog and stores can be read: 200, or 503 with what is wrong in words.

    Whoever asks need not be logged in, so the words name no store and no address; the log does.
    """
    problems = [*_catalog_problems(), *_store_problems()]
    checked = {"status": "unready" if problems else "ok", "version": installed_version(), "cache": cache_state()}
    return answer({**checked, "problems": problems}, 503 if problems else 200)


def _catalog_problems() -> list[str]:
    try:
        with catalog().read() as session:
            session.connection()
    except (LoupeError, SQLAlchemyError) as error:
        log.warning("health: the catalog cannot be used", exc_info=error)
        return ["The catalog cannot be used: nothing can be labelled. The server's log says why."]
    return []


def _store_problems() -> list[str]:
    damaged = 0
    try:
        for store_id in workspace().store_ids():
            try:
                workspace().open_store(store_id)
            except LoupeError as error:
                log.warning("health: a store cannot be opened", exc_info=error)
                damaged += 1
    except (LoupeError, OSError) as error:
        log.warning("health: the workspace cannot be read", exc_info=error)
        return ["The workspace cannot be read. The server's log says why."]
    if damaged == 0:
        return []
    what = "1 store cannot" if damaged == 1 else f"{damaged} stores cannot"
    return [f"{what} be opened: `loupe inspect` says why."]
