-- The ids of the requests by which signals came for an open run, so that one that is sent again is known.
CREATE TABLE signal_request (
    run     INTEGER NOT NULL,
    -- Counted for each run: the oldest ones are forgotten.
    nth     INTEGER NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (run, nth)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signal_request_id ON signal_request (run, request);
