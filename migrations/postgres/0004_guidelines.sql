-- Guidelines: their versions by content hash, which of them steers, and the log of how that came to be.
-- Times are milliseconds since 1970. Hashes are the 32 raw bytes. A share is in millionths.
-- The other engine's folder holds the same tables under the same names.

CREATE TABLE guideline_versions (
    set_name   TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    hash       BYTEA NOT NULL,
    text       TEXT NOT NULL,
    note       TEXT,
    origin     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (set_name, kind, hash)
);

-- champion: NULL stands for the text that ships; file_hash: the operator's file as it was seen last
CREATE TABLE guideline_heads (
    set_name   TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    champion   BYTEA,
    file_hash  BYTEA,
    canary     BYTEA,
    canary_ppm BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (set_name, kind)
);

CREATE TABLE guideline_events (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    set_name   TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    at_ms      BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    from_hash  BYTEA,
    to_hash    BYTEA,
    canary_ppm BIGINT NOT NULL
);
CREATE INDEX guideline_events_by_guideline ON guideline_events (set_name, kind, id);
