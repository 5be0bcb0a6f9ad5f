-- Recorded runs that a playbook was taught by. run: the hash of the run and of what was told of its end. epoch: how often
-- all runs were gone through, from 1.
CREATE TABLE playbook_lessons (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    run       TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (namespace, name, run, epoch),
    FOREIGN KEY (namespace, name) REFERENCES playbooks (namespace, name)
) STRICT;
