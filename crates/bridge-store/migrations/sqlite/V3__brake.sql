-- What the brake of a target let through, holds back, or was told by a person to let go: one row per account that is to end.
CREATE TABLE brake (
    resource BIGINT NOT NULL,
    target TEXT NOT NULL,
    tenant TEXT NOT NULL,
    state TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (resource, target)
) WITHOUT ROWID;
CREATE INDEX brake_passed ON brake (tenant, target, at) WHERE state = 'passed';
