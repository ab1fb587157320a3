-- The ids of the requests by which signals came for an open run, so that one that is sent again is known.
CREATE TABLE signal_request (
    run     INTEGER NOT NULL,
    -- Counted for each run: the oldest ones are forgotten.
    nth     INTEGER NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (run, nth)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signal_request_id ON signal_request (run, request);

-- Texts of runs that are too large for their rows: SQLite writes a whole row for each change of a status.
CREATE TABLE run_text (
    run  INTEGER NOT NULL,
    -- The column of `run` that is empty instead: `input`, `state_before` or `state`.
    part TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX run_text_part ON run_text (run, part);
