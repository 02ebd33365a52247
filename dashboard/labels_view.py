"""What the Labels page is asked for: the tab, the filters of its table, the list that is open."""

from typing import NamedTuple

TABS = {
    "labels": "All labels",
    "queue": "Queue",
    "reviews": "Double-blind",
    "lists": "Lists",
    "files": "Import and export",
}
FILTERS = ("q", "category", "author", "origin")


class View(NamedTuple):
    """Tab and filters, "" where nothing is asked; `list` is the id of the open list."""

    tab: str = "labels"
    q: str = ""
    category: str = ""
    author: str = ""
    origin: str = ""
    list: str = ""

    @classmethod
    def read(cls, query: dict[str, str]) -> "View":
        """The view of an address; what it does not know is passed over."""
        kept = {key: value for key, value in query.items() if key in cls._fields and isinstance(value, str)}
        view = cls(**kept)
        return view if view.tab in TABS else view._replace(tab="labels")

    def query(self) -> dict[str, str | None]:
        """The parameters that bring this view back."""
        own = {key: value or None for key, value in self._asdict().items()}
        return {**own, "tab": None if self.tab == "labels" else self.tab}
