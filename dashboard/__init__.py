"""SHOW: the app factory, its shell, links, figures, components and the HTTP interface."""
