-- Who lets go of a key or an account asks who was parked for it: those who found an account, or could not have their key. They
-- are few among the parked, of which there may be as many as users.
CREATE INDEX account_parked_for ON account (tenant, target, resource)
    WHERE state = 'parked' AND (candidate IS NOT NULL OR natural_key IS NULL);
