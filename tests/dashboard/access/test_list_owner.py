"""A list is removed by whoever began it or by an admin, over HTTP as on the page; nobody signs for somebody else."""

from collections.abc import Callable
from typing import Any

from flask import Flask

LISTS = "/api/v1/lists"


def test_only_its_owner_or_an_admin_removes_a_list(guarded: Flask, token: Callable[..., dict[str, str]]) -> None:
    client = guarded.test_client(use_cookies=False)

    def ask(person: str, method: str, path: str, role: str = "", **body: Any) -> Any:
        return client.open(path, method=method, headers=token(person, role or person), **body)

    of_admin, of_labeller = (
        ask(person, "POST", LISTS, json={"name": f"of {person}"}).get_json() for person in ("admin", "labeller")
    )
    assert (of_admin["owner"], of_labeller["owner"]) == ("admin", "labeller")
    refused = ask("labeller", "DELETE", f"{LISTS}/{of_admin['list_id']}")
    assert refused.status_code == 403
    assert "its owner or an admin removes it" in refused.get_json()["error"]
    assert ask("admin", "DELETE", f"{LISTS}/{of_labeller['list_id']}").status_code == 200
    assert [each["name"] for each in ask("viewer", "GET", LISTS).get_json()["items"]] == ["of admin"]
    assert ask("admin", "DELETE", f"{LISTS}/{of_admin['list_id']}", role="labeller").status_code == 200  # its owner


def test_a_bookmark_and_a_vote_are_of_whoever_owns_the_token(
    guarded: Flask, token: Callable[..., dict[str, str]], store: Any
) -> None:
    client = guarded.test_client()
    client.set_cookie("loupe_author", "admin")
    at = f"/api/v1/stores/{store.id}/features/3"
    headers = token("labeller", "labeller")
    client.put(f"{at}/label", json={"name": "oaks"}, headers=headers)
    client.put(f"{at}/bookmark", headers=headers)
    votes = client.put(f"{at}/votes", json={"version": 1, "value": 1}, headers=headers).get_json()["items"]
    assert [each["person"] for each in votes] == ["labeller"]
    marks = [client.get("/api/v1/bookmarks", headers=token(who)).get_json()["total"] for who in ("labeller", "admin")]
    assert marks == [1, 0]
