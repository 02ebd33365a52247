"""One file of every format, all saying the same, and other shapes of the same formats."""

import json

JSON = """{
 "loupe": "labels",
 "format": 1,
 "labels": {
  "3": {
   "name": "trees",
   "category": "tactical",
   "notes": "nodes",
   "confidence": 0.5
  },
  "4": {"name": "graphs"}
 }
}
"""
YAML = """loupe: labels
format: 1
labels:
  3:
    name: trees
    category: tactical
    notes: nodes
    confidence: 0.5
  4: {name: graphs}
"""
CSV = """feature,name,category,notes,confidence
3,trees,tactical,nodes,0.5
4,graphs,,,
"""
CONCEPTS = """{"n_size": 64, "concepts": {
 "3": {"name": "trees", "score": 0.5},
 "4": {"name": "graphs", "score": 0.25}
}}
"""
OLD_CONCEPTS = """{"3": [{"name": "shrubs", "score": 0.1},
 {"name": "trees", "score": 0.5}],
 "4": [{"name": "graphs", "score": 0.25}]}
"""
CONCEPTS_CSV = "neuron_idx,concept_name,score\n3,shrubs,0.1\n3,trees,0.5\n4,graphs,0.25\n"
SPLAT = """{
  "3": {"name": "trees", "category": "tactical", "notes": "nodes", "timestamp": "2025-06-01T10:00:00.5"},
  "4": {"name": "graphs", "category": "none", "notes": "", "timestamp": ""},
  "5": {"name": "", "category": "none", "notes": "", "timestamp": ""}
}
"""
CONSOLIDATED = """{"3": {"feature_id": 3, "model_type": "full", "dashboard_name": "t", "dashboard_category": "tactical",
 "dashboard_notes": "nodes", "research_label": null, "hypothesis_confidence": 0.5, "display_name": "trees",
 "source": "merged", "last_updated": "2025-06-01T10:00:00"}, "4": {"display_name": "graphs", "dashboard_notes": null}}
"""
SPLAT_CSV = (
    "feature_id,display_name,category,confidence,source,notes\n3,trees,tactical,0.5,merged,nodes\n4,graphs,,,none,\n"
)
NAMES = '{"3": "trees", "4": "graphs"}'
ROWS = """{"modelId": "m", "layer": "1-a", "index": "3", "description": "trees", "notes": "nodes"}
{"modelId": "m", "layer": "1-a", "index": 4, "description": "graphs", "notes": null, "createdAt": null}
"""
FULL = {"name": "trees", "category": "tactical", "notes": "nodes", "confidence": 0.5}
FILES = {
    "json": (JSON, FULL),
    "yaml": (YAML, FULL),
    "csv": (CSV, FULL),
    "mi-crow": (CONCEPTS, {"name": "trees", "confidence": 0.5}),
    "mi-crow-csv": (CONCEPTS_CSV, {"name": "trees", "confidence": 0.5}),
    "splatnlp": (SPLAT, {"name": "trees", "category": "tactical", "notes": "nodes"}),
    "splatnlp-csv": (SPLAT_CSV, FULL),
    "neuronpedia": (ROWS, {"name": "trees", "notes": "nodes"}),
}
OTHERS = [
    ("mi-crow", OLD_CONCEPTS, {"name": "trees", "confidence": 0.5}),
    ("splatnlp", CONSOLIDATED, {"name": "trees", "category": "tactical", "notes": "nodes", "confidence": 0.5}),
    ("splatnlp", NAMES, {"name": "trees"}),
    ("neuronpedia", f"[{','.join(ROWS.splitlines())}]", {"name": "trees", "notes": "nodes"}),
    ("neuronpedia", ROWS.splitlines()[0], {"name": "trees", "notes": "nodes"}),
    ("csv", CSV.replace(",", ";"), FULL),
    ("csv", CSV.replace(",", "\t").replace("\n", "\r\n"), FULL),
    ("json", json.dumps(json.loads(JSON)), FULL),
]
