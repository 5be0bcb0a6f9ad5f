-- Playbooks. state: what their deltas made, as JSON; version: that of the last one. budget, review: NULL where the
-- configuration says. changes: one more with each change of the row.
CREATE TABLE playbooks (
    namespace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    budget     BIGINT,
    review     BIGINT,
    changes    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (namespace, name)
);

-- The log. trajectory: the run that its source names. reverts_to: the version that it goes back to.
CREATE TABLE playbook_deltas (
    namespace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    at_ms      BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    trajectory TEXT COLLATE "C",
    reverts_to BIGINT,
    record     TEXT NOT NULL,
    PRIMARY KEY (namespace, name, version),
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
);
CREATE INDEX playbook_deltas_by_trajectory ON playbook_deltas (namespace, name, trajectory) WHERE trajectory IS NOT NULL;
CREATE INDEX playbook_deltas_reverts ON playbook_deltas (namespace, name, version) WHERE reverts_to IS NOT NULL;

-- Changes that wait for somebody's word, and those that got it. status: pending, accepted, rejected. reasons: a JSON
-- list. version: the one that accepting it made.
CREATE TABLE playbook_reviews (
    id         TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    namespace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    at_ms      BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    trajectory TEXT COLLATE "C",
    reasons    TEXT NOT NULL,
    record     TEXT NOT NULL,
    decided_ms BIGINT,
    decided_by TEXT,
    version    BIGINT,
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
);
CREATE INDEX playbook_reviews_by_status ON playbook_reviews (namespace, name, status, at_ms, id);

-- Which playbooks name a trajectory in their log or their reviews: as a source or as evidence.
CREATE TABLE playbook_mentions (
    trajectory TEXT COLLATE "C" NOT NULL,
    namespace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trajectory, namespace, name),
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
);
