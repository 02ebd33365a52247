"""Lists keep their order and each feature once; bookmarks are everybody's own."""

import pytest

from catalog.bookmarks import bookmarks_of, put_bookmark
from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.lists import (
    add_to_list,
    list_items,
    lists,
    lists_with,
    make_list,
    order_list,
    remove_from_list,
    remove_list,
    rename_list,
)
from loaders.errors import BadInput

PRINT = "f00d"


def ids(catalog: Catalog, list_id: int) -> list[int]:
    return [item.feature_id for item in list_items(catalog, list_id)]


def test_features_are_added_at_the_end_and_once(catalog: Catalog) -> None:
    plants = make_list(catalog, " Plants ", "ada").list_id
    assert add_to_list(catalog, plants, "sae", PRINT, [9, 2, 9], "ada", "for the talk") == 2
    assert add_to_list(catalog, plants, "sae", PRINT, [2, 5], "bob") == 1
    assert ids(catalog, plants) == [9, 2, 5]
    item = list_items(catalog, plants)[0]
    assert (item.sae_id, item.note, item.added_by) == ("sae", "for the talk", "ada")
    (found,) = lists(catalog)
    assert (found.name, found.owner, found.size) == ("Plants", "ada", 3)


def test_a_list_is_put_into_another_order(catalog: Catalog) -> None:
    plants = make_list(catalog, "Plants", "ada").list_id
    add_to_list(catalog, plants, "sae", PRINT, [1, 2, 3, 4], "ada")
    order_list(catalog, plants, [(PRINT, 3), (PRINT, 1), ("elsewhere", 7)])
    assert ids(catalog, plants) == [3, 1, 2, 4]
    add_to_list(catalog, plants, "sae", PRINT, [0], "ada")
    assert ids(catalog, plants) == [3, 1, 2, 4, 0]


def test_features_are_taken_off_and_a_list_is_removed_with_its_items(catalog: Catalog) -> None:
    plants, others = (make_list(catalog, name, "ada").list_id for name in ("Plants", "Others"))
    add_to_list(catalog, plants, "sae", PRINT, [1, 2], "ada")
    add_to_list(catalog, others, "sae", PRINT, [1], "ada")
    remove_from_list(catalog, plants, [(PRINT, 1), (PRINT, 77)])
    assert ids(catalog, plants) == [2]
    remove_list(catalog, plants)
    assert [each.name for each in lists(catalog)] == ["Others"]
    assert ids(catalog, others) == [1]
    with pytest.raises(NotThere, match=f"There is no list {plants}"):
        list_items(catalog, plants)


def test_names_of_lists_are_single(catalog: Catalog) -> None:
    make_list(catalog, "Plants", "ada")
    other = make_list(catalog, "Others", "ada").list_id
    with pytest.raises(BadInput, match="There is a list 'Plants' already"):
        make_list(catalog, "Plants", "bob")
    with pytest.raises(BadInput, match="There is a list 'Plants' already"):
        rename_list(catalog, other, "Plants")
    rename_list(catalog, other, "animals")
    assert [each.name for each in lists(catalog)] == ["animals", "Plants"]
    with pytest.raises(BadInput, match="The list's name is empty"):
        make_list(catalog, " ", "ada")


def test_bookmarks_are_a_persons_own(catalog: Catalog) -> None:
    put_bookmark(catalog, "ada", "sae", PRINT, 7)
    put_bookmark(catalog, "ada", "sae", PRINT, 7)
    put_bookmark(catalog, "ada", "other", "beef", 1)
    put_bookmark(catalog, "bob", "sae", PRINT, 8)
    assert [(each.sae_id, each.feature_id) for each in bookmarks_of(catalog, "ada")] == [("other", 1), ("sae", 7)]
    assert [each.feature_id for each in bookmarks_of(catalog, "ada", PRINT)] == [7]
    put_bookmark(catalog, "ada", "sae", PRINT, 7, is_set=False)
    put_bookmark(catalog, "ada", "sae", PRINT, 7, is_set=False)
    assert bookmarks_of(catalog, "ada", PRINT) == []
    assert [each.feature_id for each in bookmarks_of(catalog, "bob")] == [8]


def test_the_lists_that_a_feature_is_on(catalog: Catalog) -> None:
    plants, trees = (make_list(catalog, name, "ada").list_id for name in ("plants", "Trees"))
    add_to_list(catalog, plants, "sae", PRINT, [1, 2], "ada")
    add_to_list(catalog, trees, "sae", PRINT, [2], "ada")
    add_to_list(catalog, trees, "other", "beef", [1], "ada")
    assert [(each.name, each.size) for each in lists_with(catalog, PRINT, 2)] == [("plants", 2), ("Trees", 2)]
    assert [each.name for each in lists_with(catalog, PRINT, 1)] == ["plants"]
    assert lists_with(catalog, PRINT, 3) == []
