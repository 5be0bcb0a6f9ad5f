-- The ledger: every attempt at a call of a model. Bills outlive the trajectories that they were for.
-- cost_usd_micros: NULL where the price is unknown. error: NULL for attempts with a reply.

CREATE TABLE model_calls (
    id              INTEGER PRIMARY KEY,
    at_ms           INTEGER NOT NULL,
    namespace       TEXT NOT NULL,
    agent           TEXT NOT NULL,
    trajectory_id   TEXT REFERENCES trajectories (id),
    job_id          TEXT,
    purpose         TEXT NOT NULL,
    backend         TEXT NOT NULL,
    model           TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    prompt_tokens   INTEGER NOT NULL,
    cached_tokens   INTEGER NOT NULL,
    reply_tokens    INTEGER NOT NULL,
    cost_usd_micros INTEGER,
    ms              INTEGER NOT NULL,
    error           TEXT
) STRICT;
CREATE INDEX model_calls_by_age ON model_calls (at_ms);
CREATE INDEX model_calls_by_trajectory ON model_calls (trajectory_id);
