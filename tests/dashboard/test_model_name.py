"""A model is shown by its short name."""

import pytest

from dashboard.model_name import model_name


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("minilm", "minilm"),
        ("EleutherAI/pythia-70m", "EleutherAI/pythia-70m"),
        ("/srv/lab/workspace/models/grammar", "grammar"),
        ("/srv/lab/workspace/models/grammar/", "grammar"),
        ("./models/tiny", "tiny"),
        ("../tiny", "tiny"),
        ("~/models/tiny", "tiny"),
        ("workspace/models/grammar", "grammar"),
        ("my_adapter:load", "my_adapter:load"),
        ("", ""),
    ],
)
def test_a_hub_id_stays_whole_and_of_a_folder_the_last_part_is_shown(named: str, shown: str) -> None:
    assert model_name(named) == shown
