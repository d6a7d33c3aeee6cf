-- Whether an account belongs into this index is asked with each change of it, and for a list of five words SQLite makes a
-- table each time, which costs as much as the change.
DROP INDEX account_unsettled;
CREATE INDEX account_unsettled ON account (state, resource, target)
    WHERE state <> 'settled' AND state <> 'out_of_scope' AND state <> 'due';
