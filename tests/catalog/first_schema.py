"""A catalog as Loupe made it before there were migrations: version 1, written out as it was, with rows in every table."""

from sqlalchemy import Connection, create_engine, text

TABLES = """
CREATE TABLE jobs (
    job_id TEXT NOT NULL, title TEXT NOT NULL, position BIGINT NOT NULL, status TEXT NOT NULL, done BIGINT NOT NULL,
    total BIGINT, unit TEXT NOT NULL, note TEXT NOT NULL, started_at MOMENT, started_done BIGINT NOT NULL,
    advanced_at MOMENT, updated_at MOMENT NOT NULL, heartbeat MOMENT, pid BIGINT, PRIMARY KEY (job_id));
CREATE TABLE labels (
    sae_fingerprint TEXT NOT NULL, feature_id BIGINT NOT NULL, version BIGINT NOT NULL, sae_id TEXT NOT NULL,
    name TEXT NOT NULL, notes TEXT NOT NULL, author TEXT NOT NULL, created_at MOMENT NOT NULL, replaces BIGINT,
    PRIMARY KEY (sae_fingerprint, feature_id, version),
    CONSTRAINT labels_replaces FOREIGN KEY(sae_fingerprint, feature_id, replaces)
        REFERENCES labels (sae_fingerprint, feature_id, version),
    CONSTRAINT labels_version CHECK (version = coalesce(replaces, 0) + 1));
CREATE TABLE schema_version (
    id BIGINT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (id), CONSTRAINT schema_version_one_row CHECK (id = 1));
CREATE TABLE training_runs (
    run_id TEXT NOT NULL, sae_id TEXT NOT NULL, status TEXT NOT NULL, step BIGINT NOT NULL, total_steps BIGINT,
    config JSON NOT NULL, latest_metrics JSON NOT NULL, final_metrics JSON, started_at MOMENT NOT NULL,
    heartbeat MOMENT NOT NULL, completed_at MOMENT, error_message TEXT, pid BIGINT NOT NULL, PRIMARY KEY (run_id));
"""
ROWS = """
insert into schema_version values (1, 1);
insert into labels values ('f00d', 7, 1, 'minilm-l1', 'trees', 'fires on' , 'ada', '2026-01-01 00:00:00.000000', null);
insert into labels values ('f00d', 7, 2, 'minilm-l1', 'nodes ü', '', 'bob', '2026-01-02 00:00:00.123456', 1);
insert into labels values ('f00d', 9, 1, 'minilm-l1', 'roots', '', 'ada', '2026-01-03 00:00:00.000000', null);
insert into training_runs values ('r1', 'minilm-l1', 'done', 20, 20, '{"model_id": "minilm", "hook": "encoder.layer.1", "k": 8}',
    '{"fvu": 0.5}', null, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:09.000000', null, null, 7);
insert into jobs values ('train', 'Train', 2, 'done', 5, 9, 'steps', 'FVU 0.2', null, 0, null, '2026-01-01 00:00:00.000000',
    null, null);
"""


def make_first_catalog(url: str) -> None:
    engine = create_engine(url)
    moment = "TIMESTAMP WITH TIME ZONE" if engine.dialect.name == "postgresql" else "DATETIME"
    with engine.begin() as connection:
        _run(connection, TABLES.replace("MOMENT", moment))
        if engine.dialect.name == "postgresql":
            connection.execute(text("set time zone 'UTC'"))
        _run(connection, ROWS)
    engine.dispose()


def _run(connection: Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement.replace("%", "%%"))
