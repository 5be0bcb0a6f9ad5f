-- What compressors with models made for trajectories. key: the hash of compressor, guideline and input, so that the
-- same work is done once in a namespace.
CREATE TABLE compressions (
    trajectory_id TEXT COLLATE "C" NOT NULL REFERENCES trajectories (id),
    key           TEXT COLLATE "C" NOT NULL,
    namespace     TEXT COLLATE "C" NOT NULL,
    record        TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (trajectory_id, key)
);
CREATE INDEX compressions_by_key ON compressions (namespace, key);
