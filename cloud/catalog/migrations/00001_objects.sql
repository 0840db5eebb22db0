-- +goose Up
-- Keys that a listing runs over (owner, object, name) are BYTEA: both engines
-- compare bytes, so a listing is in byte order without any COLLATE.
CREATE TABLE objects (
    owner   BYTEA  NOT NULL,
    object  BYTEA  NOT NULL,
    version BIGINT NOT NULL,
    name    BYTEA  NOT NULL,
    state   BIGINT NOT NULL,
    size    BIGINT NOT NULL,
    chunk   BIGINT NOT NULL,
    k       BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    w       BIGINT NOT NULL,
    class   BIGINT NOT NULL,
    policy  TEXT   NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (owner, object, version)
);
-- At most one version of a name is stored (state 1).
CREATE UNIQUE INDEX objects_stored ON objects (name) WHERE state = 1;
CREATE INDEX objects_listed ON objects (state, name, version, object, owner);

CREATE TABLE placements (
    owner    BYTEA  NOT NULL,
    object   BYTEA  NOT NULL,
    version  BIGINT NOT NULL,
    point    BIGINT NOT NULL,
    site     TEXT   NOT NULL,
    state    BIGINT NOT NULL,
    hash_key BYTEA  NOT NULL,
    PRIMARY KEY (owner, object, version, point),
    FOREIGN KEY (owner, object, version) REFERENCES objects (owner, object, version)
);

-- What waits for repair: few rows, whatever is stored.
CREATE INDEX placements_open ON placements (owner, object, version) WHERE state <> 1;

-- One row for each run of consecutive chunks; runs of one object never overlap.
CREATE TABLE masks (
    owner   BYTEA  NOT NULL,
    object  BYTEA  NOT NULL,
    version BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    chunks  BIGINT NOT NULL,
    masks   BYTEA  NOT NULL,
    PRIMARY KEY (owner, object, version, first),
    FOREIGN KEY (owner, object, version) REFERENCES objects (owner, object, version)
);

-- +goose Down
DROP TABLE masks;
DROP TABLE placements;
DROP TABLE objects;
