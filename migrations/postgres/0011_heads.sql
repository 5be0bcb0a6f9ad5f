-- Heads: trained weights by content hash, which of them scores lines, and the log of how that came to be. And the runs
-- that train them or write examples for training elsewhere.
-- Times are milliseconds since 1970. Hashes are the 32 raw bytes.
-- The other engine's folder holds the same tables under the same names.

-- verdict: NULL where no gate has judged it
CREATE TABLE heads (
    hash       BYTEA NOT NULL PRIMARY KEY,
    manifest   TEXT NOT NULL,
    weights    BYTEA NOT NULL,
    verdict    TEXT,
    passed     BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- one row; champion: NULL where none scores
CREATE TABLE head_state (
    id       BIGINT NOT NULL PRIMARY KEY,
    champion BYTEA,
    version  BIGINT NOT NULL
);

CREATE TABLE head_events (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms     BIGINT NOT NULL,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    from_hash BYTEA,
    to_hash   BYTEA
);

-- state: queued, running, done, failed, cancelled
CREATE TABLE distillations (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    namespace  TEXT NOT NULL,
    spec       TEXT NOT NULL,
    state      TEXT NOT NULL,
    stage      TEXT NOT NULL,
    report     TEXT NOT NULL,
    checkpoint BYTEA,
    head       BYTEA,
    error      TEXT,
    actor      TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX distillations_by_age ON distillations (created_ms DESC, id DESC);
