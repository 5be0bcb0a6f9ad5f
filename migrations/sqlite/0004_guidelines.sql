-- Guidelines: their versions by content hash, which of them steers, and the log of how that came to be.
-- Times are milliseconds since 1970. Hashes are the 32 raw bytes. A share is in millionths.
-- The other engine's folder holds the same tables under the same names.

CREATE TABLE guideline_versions (
    set_name   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    text       TEXT NOT NULL,
    note       TEXT,
    origin     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (set_name, kind, hash)
) STRICT;

-- champion: NULL stands for the text that ships; file_hash: the operator's file as it was seen last
CREATE TABLE guideline_heads (
    set_name   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    champion   BLOB,
    file_hash  BLOB,
    canary     BLOB,
    canary_ppm INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (set_name, kind)
) STRICT;

CREATE TABLE guideline_events (
    id         INTEGER PRIMARY KEY,
    set_name   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    from_hash  BLOB,
    to_hash    BLOB,
    canary_ppm INTEGER NOT NULL
) STRICT;
CREATE INDEX guideline_events_by_guideline ON guideline_events (set_name, kind, id);
