"""Who may remove a list of features, on the page and over HTTP: whoever began it, or an admin."""

from catalog.lists import FeatureList, get_list, remove_list
from dashboard.access.errors import Refused
from dashboard.access.visitor import may
from dashboard.context import author, catalog


def may_remove(found: FeatureList) -> bool:
    """Whether who asks may remove the list."""
    return may("admin") or found.owner == author()


def remove_own_list(list_id: int) -> None:
    """Remove a list for everybody. Raises Refused for anybody else's, NotThere where there is none (any more)."""
    found = get_list(catalog(), list_id)
    if not may_remove(found):
        raise Refused(f"'{found.name}' is {found.owner}'s list: its owner or an admin removes it.")
    remove_list(catalog(), list_id)
