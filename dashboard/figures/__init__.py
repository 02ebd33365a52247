"""Figures: a frame in, a `plotly.graph_objects.Figure` out; no Dash, no store."""
