from dashboard.components.examples import band_note, examples_data, strongest_note
from loaders.examples import Example, Examples

ONE = Example(5, 2, 1, 3.0, ["", "let <x>\n", ""], [1], [3.0000001], {"module": "json", "kind": None, "name": "dumps"})


def test_texts_travel_exactly_and_only_active_positions_carry_values():
    item = examples_data([ONE], ceiling=4.0)["items"][0]
    assert item["pieces"] == ["", "let <x>\n", ""]
    assert (item["active"], item["values"]) == ([1], [3.0])
    assert (item["context"], item["position"], item["value"]) == (2, 1, 3.0)


def test_heat_is_measured_against_the_features_maximum():
    assert examples_data([ONE], ceiling=4.0)["max"] == 4.0


def test_missing_metadata_is_left_out():
    assert examples_data([ONE], 4.0)["items"][0]["metadata"] == [["module", "json"], ["name", "dumps"]]


def test_a_band_says_its_values_its_population_and_that_it_is_a_sample():
    drawn = Examples([ONE] * 12, 6_000, 0.25, 0.5, True)
    note = band_note(drawn, (0.4, 0.6), 30_000)
    assert "activation 0.250 to 0.500" in note
    assert "quantiles 40 to 60 % of 30,000 firing samples" in note
    assert "sampled 12 of 6,000" in note


def test_a_band_that_is_shown_whole_does_not_call_itself_a_sample():
    note = band_note(Examples([ONE], 1, 3.0, 3.0, False), (0.4, 0.6), 5)
    assert "sampled" not in note
    assert "all 1" in note


def test_the_strongest_examples_say_out_of_how_many_contexts_they_are():
    assert "1 of 40 contexts" in strongest_note(Examples([ONE], 40, 3.0, 3.0, False))
