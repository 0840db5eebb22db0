-- +goose Up
-- Keys are BYTEA: both engines compare bytes, so lists are in byte order
-- without any COLLATE.
CREATE TABLE settings (
    name    BYTEA  NOT NULL,
    value   TEXT   NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE applications (
    app   BYTEA NOT NULL,
    node  TEXT  NOT NULL,
    title TEXT  NOT NULL,
    PRIMARY KEY (app)
);

-- Who may ask for key to share with whom, and on what terms. Times are in
-- nanoseconds, rates in bit/s.
CREATE TABLE pairs (
    master   BYTEA            NOT NULL,
    slave    BYTEA            NOT NULL,
    paths    BIGINT           NOT NULL,
    need     BIGINT           NOT NULL,
    min_rate DOUBLE PRECISION NOT NULL,
    max_rate DOUBLE PRECISION NOT NULL,
    priority BIGINT           NOT NULL,
    ttl      BIGINT           NOT NULL,
    retry    BIGINT           NOT NULL,
    PRIMARY KEY (master, slave),
    FOREIGN KEY (master) REFERENCES applications (app) ON DELETE CASCADE,
    FOREIGN KEY (slave) REFERENCES applications (app) ON DELETE CASCADE
);
CREATE INDEX pairs_slave ON pairs (slave);

-- Entries of virtual links. rest is the list of nodes still to come, joined by
-- blanks; no node id holds one.
CREATE TABLE hops (
    link      BYTEA            NOT NULL,
    node      BYTEA            NOT NULL,
    begins    TEXT             NOT NULL,
    ends      TEXT             NOT NULL,
    prev      TEXT             NOT NULL,
    rest      TEXT             NOT NULL,
    bandwidth DOUBLE PRECISION NOT NULL,
    unused    BIGINT           NOT NULL,
    PRIMARY KEY (link, node)
);

-- The one row of the leader. epoch never falls and never serves two leaders;
-- (epoch, beat) never returns to a former value.
CREATE TABLE lease (
    id     BIGINT NOT NULL,
    holder TEXT   NOT NULL,
    epoch  BIGINT NOT NULL,
    beat   BIGINT NOT NULL,
    PRIMARY KEY (id)
);
INSERT INTO lease (id, holder, epoch, beat) VALUES (1, '', 0, 0);

-- +goose Down
DROP TABLE lease;
DROP TABLE hops;
DROP TABLE pairs;
DROP TABLE applications;
DROP TABLE settings;
