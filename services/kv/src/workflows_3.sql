-- The client that a run may ask, as its guest sees it: JSON. NULL if it was not started by one.
ALTER TABLE run ADD COLUMN client TEXT;

-- Steps of runs that ask their clients, until the last of their questions is answered.
CREATE TABLE question (
    run       INTEGER NOT NULL,
    -- The step.
    seq       INTEGER NOT NULL,
    effect    TEXT NOT NULL,
    request   BLOB NOT NULL,
    -- The questions: JSON.
    questions TEXT NOT NULL,
    -- The answers that have come, by the keys of the questions: JSON.
    answers   TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
