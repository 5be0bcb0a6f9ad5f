-- What models proposed for a tuning run, until it is checked. record: the proposal, or why there is none, and its cost.
CREATE TABLE tuning_proposals (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES tuning_runs (id),
    n      BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (run_id, n)
);

-- unscanned: values of training runs that the leak scan could not remember.
ALTER TABLE tuning_runs ADD COLUMN unscanned BIGINT NOT NULL DEFAULT 0;
