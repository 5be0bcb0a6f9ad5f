-- Trajectories, their messages and originals, what is derived from them, and the daemon's own records.
-- Times are milliseconds since 1970. JSON is TEXT. Hashes are the 32 raw bytes.
-- The other engine's folder holds the same tables under the same names.

CREATE TABLE trajectories (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    namespace      TEXT COLLATE "C" NOT NULL,
    agent          TEXT COLLATE "C",
    task           TEXT,
    model          TEXT,
    tools          TEXT,
    budget         BIGINT,
    guideline_set  TEXT,
    playbook       TEXT,
    policy         TEXT,
    metadata       TEXT,
    agent_kind     TEXT,
    length         BIGINT NOT NULL,
    full_tokens    BIGINT NOT NULL,
    outcome_status TEXT COLLATE "C",
    outcome        TEXT,
    forked_from    TEXT COLLATE "C",
    forked_length  BIGINT,
    version        BIGINT NOT NULL,
    created_ms     BIGINT NOT NULL,
    updated_ms     BIGINT NOT NULL
);
CREATE INDEX trajectories_by_age ON trajectories (created_ms DESC, id DESC);
CREATE INDEX trajectories_by_namespace ON trajectories (namespace, created_ms DESC, id DESC);
CREATE INDEX trajectories_by_fork ON trajectories (forked_from);

-- native: the message's JSON without the slices that originals hold; cuts: where they go, [[offset, style, ordinal], ...]
-- admitted: reformatted texts by block index
CREATE TABLE messages (
    trajectory_id TEXT COLLATE "C" NOT NULL REFERENCES trajectories (id),
    n             BIGINT NOT NULL,
    format        TEXT NOT NULL,
    role          TEXT NOT NULL,
    origin        TEXT NOT NULL,
    tokens        BIGINT NOT NULL,
    pinned        BIGINT NOT NULL,
    created_ms    BIGINT NOT NULL,
    native        BYTEA NOT NULL,
    cuts          TEXT,
    admitted      TEXT,
    PRIMARY KEY (trajectory_id, n)
);

CREATE TABLE originals (
    id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    text BYTEA NOT NULL
);

CREATE TABLE message_originals (
    trajectory_id TEXT COLLATE "C" NOT NULL,
    n             BIGINT NOT NULL,
    ordinal       BIGINT NOT NULL,
    hash          BYTEA NOT NULL REFERENCES originals (hash),
    PRIMARY KEY (trajectory_id, n, ordinal),
    FOREIGN KEY (trajectory_id, n) REFERENCES messages (trajectory_id, n)
);
CREATE INDEX message_originals_by_hash ON message_originals (hash, trajectory_id, n);

-- The distinct words of each original. No text is kept twice.
CREATE TABLE original_words (
    original_id BIGINT PRIMARY KEY REFERENCES originals (id) ON DELETE CASCADE,
    words       TSVECTOR NOT NULL
);
CREATE INDEX original_words_gin ON original_words USING GIN (words);

-- line: the reader's (format, budget, include)
CREATE TABLE epochs (
    trajectory_id TEXT COLLATE "C" NOT NULL REFERENCES trajectories (id),
    line          TEXT COLLATE "C" NOT NULL,
    n             BIGINT NOT NULL,
    record        TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (trajectory_id, line, n)
);

-- A live trajectory's derived state at a length, so that a restart need not read every message.
CREATE TABLE snapshots (
    trajectory_id TEXT COLLATE "C" NOT NULL REFERENCES trajectories (id),
    at_length     BIGINT NOT NULL,
    record        BYTEA NOT NULL,
    PRIMARY KEY (trajectory_id, at_length)
);

CREATE TABLE idempotency (
    trajectory_id TEXT COLLATE "C" NOT NULL REFERENCES trajectories (id),
    key           TEXT COLLATE "C" NOT NULL,
    body_hash     BYTEA NOT NULL,
    response      TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (trajectory_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_ms);

CREATE TABLE audit (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms     BIGINT NOT NULL,
    namespace TEXT COLLATE "C",
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT
);

CREATE TABLE usage_days (
    namespace     TEXT COLLATE "C" NOT NULL,
    agent         TEXT COLLATE "C" NOT NULL,
    day           BIGINT NOT NULL,
    tokens_in     BIGINT NOT NULL,
    tokens_served BIGINT NOT NULL,
    tokens_full   BIGINT NOT NULL,
    reads         BIGINT NOT NULL,
    appends       BIGINT NOT NULL,
    PRIMARY KEY (day, namespace, agent)
);

CREATE TABLE api_keys (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hash         BYTEA NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    scope        TEXT NOT NULL,
    namespace    TEXT COLLATE "C",
    created_ms   BIGINT NOT NULL,
    last_used_ms BIGINT
);
