-- What compressors with models made for trajectories. key: the hash of compressor, guideline and input, so that the
-- same work is done once in a namespace.
CREATE TABLE compressions (
    trajectory_id TEXT NOT NULL REFERENCES trajectories (id),
    key           TEXT NOT NULL,
    namespace     TEXT NOT NULL,
    record        TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    PRIMARY KEY (trajectory_id, key)
) STRICT;
CREATE INDEX compressions_by_key ON compressions (namespace, key);
