"""Labels of a store's SAE over HTTP as a dictionary file to download."""

from flask import Response

from catalog.dictionary.entry import Source
from catalog.dictionary.importing import entries_of
from catalog.dictionary.neuronpedia import place_of
from catalog.dictionary.writing import SUFFIXES, TYPES, write_dictionary
from dashboard.api_route import STORE, Route, choice
from dashboard.api_schema import ANYTHING, TEXT
from dashboard.context import catalog, workspace

FORMAT = choice("format", "Format of the file; docs/labels.md describes them.", tuple(TYPES), "json")
HISTORY = choice("history", "Older versions as well.", ("yes", "no"), "no")


def export_labels(store_id: str) -> Response:
    """The labels of the store's SAE as a dictionary file, to keep or to edit and import again."""
    store, kind = workspace().open_store(store_id), FORMAT.asked()
    entries = entries_of(catalog(), store.sae_fingerprint, HISTORY.asked() == "yes")
    place = place_of(store.manifest.get("model_id"), store.hook, store.set_id or store.sae_id)
    source = Source(store.sae_id, store.sae_fingerprint, store.features)
    response = Response(write_dictionary(kind, entries, source, place), mimetype=TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="{store.sae_id}-labels{SUFFIXES[kind]}"'
    response.headers["Cache-Control"] = "no-cache"
    return response


ROUTES = (
    Route(
        "GET",
        f"{STORE}/labels/export",
        export_labels,
        {kind: ANYTHING if name == "json" else TEXT for name, kind in TYPES.items()},
        (FORMAT, HISTORY),
        refusals=(503,),
    ),
)
