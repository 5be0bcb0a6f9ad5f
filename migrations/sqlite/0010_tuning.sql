-- Pairs of runs of one task, with whole and with compressed contexts. key: the hash of the record. record: how both
-- ended, and messages of runs that are not stored here.
CREATE TABLE pairs (
    id                    TEXT PRIMARY KEY,
    namespace             TEXT NOT NULL,
    key                   TEXT NOT NULL,
    task                  TEXT NOT NULL,
    origin                TEXT NOT NULL,
    full_trajectory       TEXT REFERENCES trajectories (id),
    compressed_trajectory TEXT REFERENCES trajectories (id),
    record                TEXT NOT NULL,
    created_ms            INTEGER NOT NULL,
    UNIQUE (namespace, key)
) STRICT;
CREATE INDEX pairs_by_time ON pairs (created_ms, id);
CREATE INDEX pairs_by_full_trajectory ON pairs (full_trajectory) WHERE full_trajectory IS NOT NULL;
CREATE INDEX pairs_by_compressed_trajectory ON pairs (compressed_trajectory) WHERE compressed_trajectory IS NOT NULL;

-- Runs that look for a better guideline. namespace: of its cases, all where it is null. spec: what was asked for.
-- command: where a command works on it instead of the daemon, the files that it reads. champion: the version that is to
-- be beaten. beside: the guidelines of its set that stay as they are. done, total: steps. unpriced: whether
-- cost_usd_micros leaves out a model without a price. worked_ms: time in work, waiting apart.
CREATE TABLE tuning_runs (
    id              TEXT PRIMARY KEY,
    namespace       TEXT,
    actor           TEXT NOT NULL,
    spec            TEXT NOT NULL,
    command         TEXT,
    state           TEXT NOT NULL,
    stage           TEXT NOT NULL,
    why             TEXT,
    done            INTEGER NOT NULL,
    total           INTEGER NOT NULL,
    tokens          INTEGER NOT NULL,
    cost_usd_micros INTEGER NOT NULL,
    unpriced        INTEGER NOT NULL,
    worked_ms       INTEGER NOT NULL,
    champion        TEXT NOT NULL,
    beside          TEXT NOT NULL,
    verdict         TEXT,
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX tuning_runs_by_time ON tuning_runs (created_ms, id);

-- The runs of agents that a tuning run measures on. length: the messages that count. evidence: what the champion lost and
-- kept for nothing, until the tuning run is done.
CREATE TABLE tuning_cases (
    run_id        TEXT NOT NULL REFERENCES tuning_runs (id),
    n             INTEGER NOT NULL,
    name          TEXT NOT NULL,
    task          TEXT NOT NULL,
    side          TEXT NOT NULL,
    trajectory_id TEXT REFERENCES trajectories (id),
    pair_id       TEXT REFERENCES pairs (id),
    length        INTEGER NOT NULL,
    evidence      TEXT,
    PRIMARY KEY (run_id, n)
) STRICT;
CREATE INDEX tuning_cases_by_trajectory ON tuning_cases (trajectory_id) WHERE trajectory_id IS NOT NULL;
CREATE INDEX tuning_cases_by_pair ON tuning_cases (pair_id) WHERE pair_id IS NOT NULL;

-- Proposed guidelines. text: empty where it could hold words of a trajectory.
CREATE TABLE tuning_candidates (
    run_id   TEXT NOT NULL REFERENCES tuning_runs (id),
    n        INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    text     TEXT NOT NULL,
    note     TEXT NOT NULL,
    proposer TEXT NOT NULL,
    status   TEXT NOT NULL,
    why      TEXT,
    PRIMARY KEY (run_id, n)
) STRICT;

-- How cases did under a version. candidate: its number, -1 for the champion. record: the score, or null with the reason
-- why there is none.
CREATE TABLE tuning_scores (
    run_id    TEXT NOT NULL,
    candidate INTEGER NOT NULL,
    case_n    INTEGER NOT NULL,
    record    TEXT,
    why       TEXT,
    PRIMARY KEY (run_id, candidate, case_n),
    FOREIGN KEY (run_id, case_n) REFERENCES tuning_cases (run_id, n)
) STRICT;
