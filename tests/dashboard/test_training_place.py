"""Where the time machine stands, over a workspace on the disk and one in an object store."""

from flask import Flask

from catalog.catalog import Catalog
from dashboard.training_place import facts_of, followed, view_of
from dashboard.training_runs import collect
from loaders.workspace import Workspace


def test_the_time_machine_follows_a_run_in_an_object_store_as_on_the_disk(
    bucket_url: str, workspace: Workspace, catalog: Catalog
) -> None:
    seen = []
    for one in (workspace, Workspace(bucket_url)):
        server = Flask("loupe")
        server.config["LOUPE"] = {"workspace": one, "catalog": catalog}
        with server.test_request_context():
            runs = followed(collect(one, catalog))
            facts = facts_of(runs[0], is_own=True)
            view = view_of(1, facts)
            assert view is not None
            seen.append(([run.sae_id for run in runs], facts, view.now.step, view.now.density.tolist()))
    assert seen[0][1]["steps"] and seen[0][1]["damaged"] == []
    assert seen[1] == seen[0]
