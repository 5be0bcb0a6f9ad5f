-- Pairs of runs of one task, with whole and with compressed contexts. key: the hash of the record. record: how both
-- ended, and messages of runs that are not stored here.
CREATE TABLE pairs (
    id                    TEXT COLLATE "C" PRIMARY KEY,
    namespace             TEXT COLLATE "C" NOT NULL,
    key                   TEXT COLLATE "C" NOT NULL,
    task                  TEXT NOT NULL,
    origin                TEXT COLLATE "C" NOT NULL,
    full_trajectory       TEXT COLLATE "C" REFERENCES trajectories (id),
    compressed_trajectory TEXT COLLATE "C" REFERENCES trajectories (id),
    record                TEXT NOT NULL,
    created_ms            BIGINT NOT NULL,
    UNIQUE (namespace, key)
);
CREATE INDEX pairs_by_time ON pairs (created_ms, id);
CREATE INDEX pairs_by_full_trajectory ON pairs (full_trajectory) WHERE full_trajectory IS NOT NULL;
CREATE INDEX pairs_by_compressed_trajectory ON pairs (compressed_trajectory) WHERE compressed_trajectory IS NOT NULL;

-- Runs that look for a better guideline. namespace: of its cases, all where it is null. spec: what was asked for.
-- command: where a command works on it instead of the daemon, the files that it reads. champion: the version that is to
-- be beaten. beside: the guidelines of its set that stay as they are. done, total: steps. unpriced: whether
-- cost_usd_micros leaves out a model without a price. worked_ms: time in work, waiting apart.
CREATE TABLE tuning_runs (
    id              TEXT COLLATE "C" PRIMARY KEY,
    namespace       TEXT COLLATE "C",
    actor           TEXT NOT NULL,
    spec            TEXT NOT NULL,
    command         TEXT,
    state           TEXT COLLATE "C" NOT NULL,
    stage           TEXT COLLATE "C" NOT NULL,
    why             TEXT,
    done            BIGINT NOT NULL,
    total           BIGINT NOT NULL,
    tokens          BIGINT NOT NULL,
    cost_usd_micros BIGINT NOT NULL,
    unpriced        BIGINT NOT NULL,
    worked_ms       BIGINT NOT NULL,
    champion        TEXT COLLATE "C" NOT NULL,
    beside          TEXT COLLATE "C" NOT NULL,
    verdict         TEXT,
    created_ms      BIGINT NOT NULL,
    updated_ms      BIGINT NOT NULL
);
CREATE INDEX tuning_runs_by_time ON tuning_runs (created_ms, id);

-- The runs of agents that a tuning run measures on. length: the messages that count. evidence: what the champion lost and
-- kept for nothing, until the tuning run is done.
CREATE TABLE tuning_cases (
    run_id        TEXT COLLATE "C" NOT NULL REFERENCES tuning_runs (id),
    n             BIGINT NOT NULL,
    name          TEXT NOT NULL,
    task          TEXT NOT NULL,
    side          TEXT COLLATE "C" NOT NULL,
    trajectory_id TEXT COLLATE "C" REFERENCES trajectories (id),
    pair_id       TEXT COLLATE "C" REFERENCES pairs (id),
    length        BIGINT NOT NULL,
    evidence      TEXT,
    PRIMARY KEY (run_id, n)
);
CREATE INDEX tuning_cases_by_trajectory ON tuning_cases (trajectory_id) WHERE trajectory_id IS NOT NULL;
CREATE INDEX tuning_cases_by_pair ON tuning_cases (pair_id) WHERE pair_id IS NOT NULL;

-- Proposed guidelines. text: empty where it could hold words of a trajectory.
CREATE TABLE tuning_candidates (
    run_id   TEXT COLLATE "C" NOT NULL REFERENCES tuning_runs (id),
    n        BIGINT NOT NULL,
    hash     TEXT COLLATE "C" NOT NULL,
    text     TEXT NOT NULL,
    note     TEXT NOT NULL,
    proposer TEXT COLLATE "C" NOT NULL,
    status   TEXT COLLATE "C" NOT NULL,
    why      TEXT,
    PRIMARY KEY (run_id, n)
);

-- How cases did under a version. candidate: its number, -1 for the champion. record: the score, or null with the reason
-- why there is none.
CREATE TABLE tuning_scores (
    run_id    TEXT COLLATE "C" NOT NULL,
    candidate BIGINT NOT NULL,
    case_n    BIGINT NOT NULL,
    record    TEXT,
    why       TEXT,
    PRIMARY KEY (run_id, candidate, case_n),
    FOREIGN KEY (run_id, case_n) REFERENCES tuning_cases (run_id, n)
);
