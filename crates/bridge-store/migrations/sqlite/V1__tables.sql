-- The tables of DESIGN section 5. Column types are text, bigint (INTEGER is SQLite's name for a row's own number) and blob.
-- Times are milliseconds since 1970. Values that are compared are folded before they get here.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE resource (
    -- Never used again, not even after a purge: the journal names it.
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    active BIGINT NOT NULL,
    state TEXT NOT NULL,
    created BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    connection TEXT NOT NULL,
    -- The rows of this resource in resource_value, so that a change removes what an earlier schema put there.
    indexed TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE UNIQUE INDEX resource_id ON resource (tenant, id);
CREATE INDEX resource_order ON resource (tenant, resource_type, key) WHERE state = 'live';
CREATE INDEX resource_gone ON resource (modified) WHERE state <> 'live';

-- How many live resources there are, and how often one came or went in the middle of the order.
CREATE TABLE resource_count (
    tenant TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    live BIGINT NOT NULL,
    shifts BIGINT NOT NULL,
    PRIMARY KEY (tenant, resource_type)
) WITHOUT ROWID;

-- attribute is the type and the path: 'User.userName'. Rows of rejected and deleted resources stay, for hand-over.
CREATE TABLE resource_value (
    tenant TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    resource BIGINT NOT NULL,
    PRIMARY KEY (tenant, attribute, value, resource)
) WITHOUT ROWID;

CREATE TABLE member (
    resource BIGINT NOT NULL,
    member TEXT NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT,
    PRIMARY KEY (resource, member)
) WITHOUT ROWID;
CREATE INDEX member_of ON member (tenant, member, resource);

CREATE TABLE account (
    resource BIGINT NOT NULL,
    target TEXT NOT NULL,
    tenant TEXT NOT NULL,
    wanted BIGINT NOT NULL,
    applied BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    urgent BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    -- How often it was claimed; the token of a lease is the count at its claim.
    claims BIGINT NOT NULL,
    lease_token BIGINT,
    lease_until BIGINT,
    doubt TEXT NOT NULL,
    remote_id TEXT,
    natural_key TEXT,
    digest TEXT,
    observed TEXT,
    kept TEXT,
    secret BLOB,
    secret_pending BIGINT NOT NULL,
    last_write_at BIGINT,
    failing_since BIGINT,
    proof TEXT,
    candidate TEXT,
    updated BIGINT NOT NULL,
    PRIMARY KEY (resource, target)
) WITHOUT ROWID;
CREATE UNIQUE INDEX account_remote_id ON account (tenant, target, remote_id) WHERE remote_id IS NOT NULL;
CREATE UNIQUE INDEX account_natural_key ON account (tenant, target, natural_key) WHERE natural_key IS NOT NULL;
CREATE INDEX account_due ON account (tenant, target, urgent, due_at) WHERE state = 'due';
CREATE INDEX account_leased ON account (tenant, target, lease_until) WHERE lease_token IS NOT NULL;
CREATE INDEX account_unsettled ON account (state, resource, target)
    WHERE state IN ('waiting', 'parked', 'held', 'task', 'handed_over');

-- Values of pools that are or were in use. A value without a row was never handed out.
CREATE TABLE assignment (
    tenant TEXT NOT NULL,
    pool TEXT NOT NULL,
    value TEXT NOT NULL,
    resource BIGINT,
    state TEXT NOT NULL,
    free_at BIGINT,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, pool, value)
) WITHOUT ROWID;
CREATE UNIQUE INDEX assignment_resource ON assignment (resource, tenant, pool) WHERE resource IS NOT NULL;
CREATE INDEX assignment_free ON assignment (tenant, pool, free_at) WHERE state = 'free';

-- How far a pool's ranges have been walked: every value before position has been handed out once.
CREATE TABLE pool (
    tenant TEXT NOT NULL,
    pool TEXT NOT NULL,
    ranges TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, pool)
) WITHOUT ROWID;

CREATE TABLE credential (
    selector TEXT NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL,
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    label TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    last_used BIGINT
) WITHOUT ROWID;

CREATE TABLE request (
    key INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    request_id TEXT NOT NULL,
    connection TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    resource BIGINT,
    received BIGINT NOT NULL,
    status BIGINT,
    outcome TEXT,
    finished BIGINT,
    notes TEXT,
    body TEXT
);
CREATE INDEX request_tenant ON request (tenant, key);
CREATE INDEX request_id ON request (tenant, request_id);
CREATE INDEX request_resource ON request (resource, key) WHERE resource IS NOT NULL;

CREATE TABLE call (
    key INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    resource BIGINT NOT NULL,
    target TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    call TEXT NOT NULL,
    answer TEXT
);
CREATE INDEX call_resource ON call (resource, key);

CREATE TABLE audit (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) WITHOUT ROWID;

CREATE TABLE backlog (
    key INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject BIGINT NOT NULL,
    position TEXT NOT NULL,
    detail TEXT,
    created BIGINT NOT NULL
);
