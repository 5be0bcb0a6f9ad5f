-- Playbooks. state: what their deltas made, as JSON; version: that of the last one. budget, review: NULL where the
-- configuration says. changes: one more with each change of the row.
CREATE TABLE playbooks (
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    budget     INTEGER,
    review     INTEGER,
    changes    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT;

-- The log. trajectory: the run that its source names. reverts_to: the version that it goes back to.
CREATE TABLE playbook_deltas (
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    trajectory TEXT,
    reverts_to INTEGER,
    record     TEXT NOT NULL,
    PRIMARY KEY (namespace, name, version),
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
) STRICT;
CREATE INDEX playbook_deltas_by_trajectory ON playbook_deltas (namespace, name, trajectory) WHERE trajectory IS NOT NULL;
CREATE INDEX playbook_deltas_reverts ON playbook_deltas (namespace, name, version) WHERE reverts_to IS NOT NULL;

-- Changes that wait for somebody's word, and those that got it. status: pending, accepted, rejected. reasons: a JSON
-- list. version: the one that accepting it made.
CREATE TABLE playbook_reviews (
    id         TEXT PRIMARY KEY NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    trajectory TEXT,
    reasons    TEXT NOT NULL,
    record     TEXT NOT NULL,
    decided_ms INTEGER,
    decided_by TEXT,
    version    INTEGER,
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
) STRICT;
CREATE INDEX playbook_reviews_by_status ON playbook_reviews (namespace, name, status, at_ms, id);

-- Which playbooks name a trajectory in their log or their reviews: as a source or as evidence.
CREATE TABLE playbook_mentions (
    trajectory TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (trajectory, namespace, name),
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
) STRICT;
