"""Who gets in and what they may do: one gate before every route, log-in, roles, tokens, a trusted proxy."""
