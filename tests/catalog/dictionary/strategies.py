"""Random dictionaries, and texts that a label may hold: any script, any sign that some format gives a meaning to."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from catalog.dictionary.entry import Entry, Source
from catalog.texts import fault, without_refused

FEATURES = 64
MEANINGFUL = "=+-@'\"\\,;:#&*!|>%{}[]~<?`\t\n \u00e9\u4e2d\U0001f600\u2028\u2029\u00a0\ufeff\uff1d\u0301\u200f"
SIGNS = st.sampled_from(MEANINGFUL)
ANYTHING = st.characters(exclude_categories=("Cc", "Cs"))
name = st.one_of(
    st.text(ANYTHING, min_size=1, max_size=12),
    st.text(SIGNS, min_size=1, max_size=8).map(lambda text: text.replace("\t", "").replace("\n", "")),
    st.sampled_from(["no", "null", "1e3", "0x1F", "- a", "=1+1", "'=1", "''+", "~"]),
).map(lambda text: text.strip() or "x")
name = name.map(lambda text: text if not fault(text) else without_refused(text).strip() or "x")
notes = (st.text(ANYTHING, max_size=20) | st.text(SIGNS, max_size=20)).map(lambda text: text if text.strip() else "")
evidence = st.sampled_from(["", "minilm-l1@docs/120/7", "-a@-b/0", f"{'s' * 250}@d/9999999999/0"])
confidence = st.none() | st.floats(0, 1, allow_nan=False)
moment = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
values = st.fixed_dictionaries(
    {"name": name, "category": st.just("") | name, "notes": notes, "confidence": confidence, "evidence": evidence}
)


@st.composite
def versions(draw: st.DrawFn, feature: int) -> Entry:
    """A feature's label with older versions."""
    made = [
        Entry(feature, draw(values), draw(st.none() | name), draw(st.none() | moment), number)
        for number in range(1, draw(st.integers(1, 2)) + 1)
    ]
    return made[-1]._replace(earlier=tuple(made[:-1]))


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Labels of some features, in their order."""
    features = draw(st.sets(st.integers(0, FEATURES - 1), max_size=3))
    return [draw(versions(feature)) for feature in sorted(features)]


SOURCE = Source("minilm-l1", "f00d", FEATURES)


def without_lines(entry: Entry) -> Entry:
    """The entry as it was before it was written."""
    return entry._replace(line=0, earlier=tuple(without_lines(old) for old in entry.earlier))
