-- What hindsight says of the contexts that a trajectory was served. maker: the hash of the code and configuration that said it.
CREATE TABLE audits (
    trajectory_id TEXT NOT NULL PRIMARY KEY REFERENCES trajectories (id),
    maker         TEXT NOT NULL,
    record        TEXT NOT NULL,
    at_ms         INTEGER NOT NULL
) STRICT;
