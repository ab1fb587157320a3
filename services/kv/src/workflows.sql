-- Durable workflows. `runtime/workflow/src/store` reads and writes these.

-- Each run of a workflow. Times are milliseconds since 1970.
CREATE TABLE run (
    id             INTEGER PRIMARY KEY,
    role           TEXT NOT NULL,
    workflow       TEXT NOT NULL,
    workflow_id    TEXT NOT NULL,
    run_id         TEXT NOT NULL UNIQUE,
    -- The plugin that it runs on: the SHA-256 of its modules.
    digest         TEXT NOT NULL,
    -- What the guest can read of its role's configuration, as it was when the run began: JSON.
    configuration  TEXT NOT NULL,
    input          TEXT NOT NULL,
    -- The state that the run before it left, if it was continued as new.
    state_before   TEXT,
    seed           BLOB NOT NULL,
    begun_at       INTEGER NOT NULL,
    status         TEXT NOT NULL,
    -- When it goes on: NULL if only a signal or a child wakes it, 0 for at once, -1 while a host has it in memory.
    wake_at        INTEGER,
    -- Steps that it has asked for, in all of its turns.
    asked          INTEGER NOT NULL DEFAULT 0,
    state          TEXT,
    state_version  INTEGER NOT NULL DEFAULT 0,
    -- Traps since it last went on.
    restarts       INTEGER NOT NULL DEFAULT 0,
    parent         INTEGER,
    parent_seq     INTEGER,
    on_parent_end  TEXT,
    continued_from TEXT,
    continued_to   TEXT,
    output         TEXT,
    error_code     TEXT,
    error          TEXT,
    ended_at       INTEGER,
    -- Of what does not change: a damaged row is told from a sound one.
    checksum       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX run_open ON run (role, workflow_id) WHERE ended_at IS NULL;
CREATE INDEX run_by_id ON run (workflow_id, role, id);
CREATE INDEX run_due ON run (wake_at) WHERE ended_at IS NULL;
CREATE INDEX run_by_status ON run (status, role, id);
CREATE INDEX run_by_parent ON run (parent) WHERE ended_at IS NULL AND parent IS NOT NULL;
CREATE INDEX run_ended ON run (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX run_digest ON run (digest) WHERE ended_at IS NULL;

-- The history of each run. The key fences a second host that goes on with the same run.
CREATE TABLE event (
    run      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    seq      INTEGER,
    -- The effect, or the name of a signal or a patch.
    name     TEXT,
    hash     TEXT,
    request  BLOB,
    answer   BLOB,
    attempt  INTEGER,
    next_at  INTEGER,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- What comes for a run from outside: taken into its history in the order of the ids.
CREATE TABLE inbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run     INTEGER NOT NULL,
    -- One that was sent twice is taken once.
    request TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT,
    seq     INTEGER,
    payload TEXT,
    at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX inbox_request ON inbox (run, request);

-- What starts runs at given times. Times are milliseconds since 1970.
CREATE TABLE schedule (
    id          TEXT NOT NULL,
    role        TEXT NOT NULL,
    workflow    TEXT NOT NULL,
    input       TEXT NOT NULL,
    -- `every 1h`, or a cron expression with its time zone.
    spec        TEXT NOT NULL,
    overlap     TEXT NOT NULL,
    -- How old a time may be that passed while no host ran.
    catch_up    INTEGER NOT NULL,
    paused      INTEGER NOT NULL,
    -- The next time of the schedule.
    next_at     INTEGER,
    -- When the host looks at it next: NULL while it is paused.
    due_at      INTEGER,
    -- The time of a run that begins when the one before it has ended.
    waiting_at  INTEGER,
    -- The time and the workflow id of the run that was started last.
    last_at     INTEGER,
    last_id     TEXT,
    -- Why the latest time has started no run.
    note        TEXT,
    created_at  INTEGER NOT NULL,
    -- Another number with each change.
    revision    INTEGER NOT NULL,
    PRIMARY KEY (role, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_due ON schedule (due_at) WHERE due_at IS NOT NULL;
