-- Heads: trained weights by content hash, which of them scores lines, and the log of how that came to be. And the runs
-- that train them or write examples for training elsewhere.
-- Times are milliseconds since 1970. Hashes are the 32 raw bytes.
-- The other engine's folder holds the same tables under the same names.

-- verdict: NULL where no gate has judged it
CREATE TABLE heads (
    hash       BLOB NOT NULL PRIMARY KEY,
    manifest   TEXT NOT NULL,
    weights    BLOB NOT NULL,
    verdict    TEXT,
    passed     INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- one row; champion: NULL where none scores
CREATE TABLE head_state (
    id       INTEGER NOT NULL PRIMARY KEY,
    champion BLOB,
    version  INTEGER NOT NULL
) STRICT;

CREATE TABLE head_events (
    id        INTEGER PRIMARY KEY,
    at_ms     INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    from_hash BLOB,
    to_hash   BLOB
) STRICT;

-- state: queued, running, done, failed, cancelled
CREATE TABLE distillations (
    id         TEXT NOT NULL PRIMARY KEY,
    namespace  TEXT NOT NULL,
    spec       TEXT NOT NULL,
    state      TEXT NOT NULL,
    stage      TEXT NOT NULL,
    report     TEXT NOT NULL,
    checkpoint BLOB,
    head       BLOB,
    error      TEXT,
    actor      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX distillations_by_age ON distillations (created_ms DESC, id DESC);
