-- The principal that has started a run. NULL for runs that nobody with a token has started.
ALTER TABLE run ADD COLUMN started_by TEXT;
