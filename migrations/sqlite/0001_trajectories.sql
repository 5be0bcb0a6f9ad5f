-- Trajectories, their messages and originals, what is derived from them, and the daemon's own records.
-- Times are milliseconds since 1970. JSON is TEXT. Hashes are the 32 raw bytes.
-- The other engine's folder holds the same tables under the same names.

CREATE TABLE trajectories (
    id             TEXT NOT NULL PRIMARY KEY,
    namespace      TEXT NOT NULL,
    agent          TEXT,
    task           TEXT,
    model          TEXT,
    tools          TEXT,
    budget         INTEGER,
    guideline_set  TEXT,
    playbook       TEXT,
    policy         TEXT,
    metadata       TEXT,
    agent_kind     TEXT,
    length         INTEGER NOT NULL,
    full_tokens    INTEGER NOT NULL,
    outcome_status TEXT,
    outcome        TEXT,
    forked_from    TEXT,
    forked_length  INTEGER,
    version        INTEGER NOT NULL,
    created_ms     INTEGER NOT NULL,
    updated_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX trajectories_by_age ON trajectories (created_ms DESC, id DESC);
CREATE INDEX trajectories_by_namespace ON trajectories (namespace, created_ms DESC, id DESC);
CREATE INDEX trajectories_by_fork ON trajectories (forked_from);

-- native: the message's JSON without the slices that originals hold; cuts: where they go, [[offset, style, ordinal], ...]
-- admitted: reformatted texts by block index
CREATE TABLE messages (
    trajectory_id TEXT NOT NULL REFERENCES trajectories (id),
    n             INTEGER NOT NULL,
    format        TEXT NOT NULL,
    role          TEXT NOT NULL,
    origin        TEXT NOT NULL,
    tokens        INTEGER NOT NULL,
    pinned        INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    native        BLOB NOT NULL,
    cuts          TEXT,
    admitted      TEXT,
    PRIMARY KEY (trajectory_id, n)
) STRICT;

CREATE TABLE originals (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL
) STRICT;

CREATE TABLE message_originals (
    trajectory_id TEXT NOT NULL,
    n             INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    hash          BLOB NOT NULL REFERENCES originals (hash),
    PRIMARY KEY (trajectory_id, n, ordinal),
    FOREIGN KEY (trajectory_id, n) REFERENCES messages (trajectory_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_originals_by_hash ON message_originals (hash, trajectory_id, n);

-- The distinct words of each original, by originals.id. No text is kept twice.
CREATE VIRTUAL TABLE original_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

-- line: the reader's (format, budget, include)
CREATE TABLE epochs (
    trajectory_id TEXT NOT NULL REFERENCES trajectories (id),
    line          TEXT NOT NULL,
    n             INTEGER NOT NULL,
    record        TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    PRIMARY KEY (trajectory_id, line, n)
) STRICT;

-- A live trajectory's derived state at a length, so that a restart need not read every message.
CREATE TABLE snapshots (
    trajectory_id TEXT NOT NULL REFERENCES trajectories (id),
    at_length     INTEGER NOT NULL,
    record        BLOB NOT NULL,
    PRIMARY KEY (trajectory_id, at_length)
) STRICT;

CREATE TABLE idempotency (
    trajectory_id TEXT NOT NULL REFERENCES trajectories (id),
    key           TEXT NOT NULL,
    body_hash     BLOB NOT NULL,
    response      TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    PRIMARY KEY (trajectory_id, key)
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (created_ms);

CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    at_ms     INTEGER NOT NULL,
    namespace TEXT,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT
) STRICT;

CREATE TABLE usage_days (
    namespace     TEXT NOT NULL,
    agent         TEXT NOT NULL,
    day           INTEGER NOT NULL,
    tokens_in     INTEGER NOT NULL,
    tokens_served INTEGER NOT NULL,
    tokens_full   INTEGER NOT NULL,
    reads         INTEGER NOT NULL,
    appends       INTEGER NOT NULL,
    PRIMARY KEY (day, namespace, agent)
) STRICT;

CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    scope        TEXT NOT NULL,
    namespace    TEXT,
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER
) STRICT;
