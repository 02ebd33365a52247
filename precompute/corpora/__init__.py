"""Texts to read: documentation strings, files, lists."""
