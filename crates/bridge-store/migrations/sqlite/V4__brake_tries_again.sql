-- Who was let through and is not gone yet ('passed') is told from who is ('ended'): the first may be tried again, however long
-- that takes; the second is forgotten with the window.
DROP INDEX brake_passed;
CREATE INDEX brake_state ON brake (tenant, target, state, at);
UPDATE brake SET state = 'ended' WHERE state = 'passed' AND NOT EXISTS (
    SELECT 1 FROM account WHERE account.resource = brake.resource AND account.target = brake.target
    AND account.state IN ('waiting', 'due', 'parked', 'held'));
