-- Leased background work. A job that is done leaves no row.
-- The other engine's folder holds the same table under the same name.

-- state: ready, running, dead; again: asked for once more while it was running
CREATE TABLE jobs (
    id             TEXT NOT NULL PRIMARY KEY,
    kind           TEXT NOT NULL,
    key            TEXT NOT NULL,
    trajectory_id  TEXT REFERENCES trajectories (id),
    namespace      TEXT NOT NULL,
    payload        TEXT NOT NULL,
    state          TEXT NOT NULL,
    again          INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    run_after_ms   INTEGER NOT NULL,
    lease_token    TEXT,
    lease_until_ms INTEGER,
    last_error     TEXT,
    created_ms     INTEGER NOT NULL,
    updated_ms     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (namespace, kind, key);
-- A job is due at the end of its lease, and at run_after_ms when it has none.
CREATE INDEX jobs_by_due ON jobs (COALESCE(lease_until_ms, run_after_ms), id) WHERE state <> 'dead';
CREATE INDEX jobs_by_trajectory ON jobs (trajectory_id);
CREATE INDEX jobs_by_age ON jobs (created_ms DESC, id DESC);
