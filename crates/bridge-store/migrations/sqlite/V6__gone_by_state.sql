-- Those who are not live are asked for by their state: the few who were rejected are not looked for among all who were deleted.
DROP INDEX resource_gone;
CREATE INDEX resource_gone ON resource (state, modified) WHERE state <> 'live';
