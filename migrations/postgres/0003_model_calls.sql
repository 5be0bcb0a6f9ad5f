-- The ledger: every attempt at a call of a model. Bills outlive the trajectories that they were for.
-- cost_usd_micros: NULL where the price is unknown. error: NULL for attempts with a reply.

CREATE TABLE model_calls (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms           BIGINT NOT NULL,
    namespace       TEXT COLLATE "C" NOT NULL,
    agent           TEXT COLLATE "C" NOT NULL,
    trajectory_id   TEXT COLLATE "C" REFERENCES trajectories (id),
    job_id          TEXT COLLATE "C",
    purpose         TEXT COLLATE "C" NOT NULL,
    backend         TEXT COLLATE "C" NOT NULL,
    model           TEXT NOT NULL,
    outcome         TEXT COLLATE "C" NOT NULL,
    prompt_tokens   BIGINT NOT NULL,
    cached_tokens   BIGINT NOT NULL,
    reply_tokens    BIGINT NOT NULL,
    cost_usd_micros BIGINT,
    ms              BIGINT NOT NULL,
    error           TEXT
);
CREATE INDEX model_calls_by_age ON model_calls (at_ms);
CREATE INDEX model_calls_by_trajectory ON model_calls (trajectory_id);
