-- Form 1. Times are nanoseconds since 1970, buckets milliseconds since 1970; ids are written as people see
-- them.

-- The log. hash = SHA-256(previous hash || seq as 8 bytes, big-endian || entry), the first previous hash
-- being 32 zero bytes.
CREATE TABLE log (
    seq   INTEGER PRIMARY KEY CHECK (seq > 0),
    entry TEXT NOT NULL,
    hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Where the log ends: says that something was cut off, which the chain alone cannot.
CREATE TABLE head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO head VALUES (1, 0, zeroblob(32));

-- Against mistakes, not against malice: that is what the chain is for.
CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_not_deleted BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_grows_at_its_end BEFORE INSERT ON log
WHEN NEW.seq <> (SELECT ifnull(max(seq), 0) + 1 FROM log)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER head_is_not_deleted BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'the log has a head'); END;

-- This file's own name among the writers of sums: feedback is counted by the file, whichever process has it
-- open.
CREATE TABLE instance (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL
) STRICT;
INSERT INTO instance VALUES (1, 'feedback@' || lower(hex(randomblob(8))));

-- Who writes sums, and the latest bucket it wrote to.
CREATE TABLE writer (
    id          INTEGER PRIMARY KEY,
    replica     TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    latest      INTEGER NOT NULL,
    UNIQUE (replica, incarnation)
) STRICT;

-- What sums are about, and the latest bucket that has it. A sum repeats every bucket; its long names are kept
-- once.
CREATE TABLE sum_key (
    id       INTEGER PRIMARY KEY,
    feature  TEXT NOT NULL,
    revision TEXT NOT NULL,
    arm      TEXT NOT NULL,
    segment  TEXT NOT NULL,
    signal   TEXT NOT NULL,
    latest   INTEGER NOT NULL,
    UNIQUE (feature, revision, arm, segment, signal)
) STRICT;

-- The sums themselves, in the order in which they are read. `sum` is JSON: {"rate":{"n":5,"hits":1}},
-- {"amount":{"n":5,"total":9,"squares":17}} or {"levels":{"100":5}}.
CREATE TABLE sums (
    feature TEXT NOT NULL,
    bucket  INTEGER NOT NULL,
    key     INTEGER NOT NULL,
    writer  INTEGER NOT NULL,
    sum     TEXT NOT NULL,
    PRIMARY KEY (feature, bucket, key, writer)
) STRICT, WITHOUT ROWID;

-- For people.
CREATE VIEW sums_by_name AS
SELECT datetime(sums.bucket / 1000, 'unixepoch') AS bucket, sums.feature, revision, arm, segment, signal,
       replica, incarnation, sum
FROM sums JOIN sum_key ON sum_key.id = sums.key JOIN writer ON writer.id = sums.writer;

CREATE TABLE answer (
    request_id TEXT PRIMARY KEY,
    answer_id  TEXT,
    session    TEXT,
    ts         INTEGER NOT NULL,
    feature    TEXT NOT NULL,
    version    TEXT NOT NULL,
    revision   TEXT NOT NULL,
    arm        TEXT NOT NULL,
    rollout    TEXT,
    segment    TEXT NOT NULL,
    point      INTEGER,
    target     TEXT,
    tier       INTEGER,
    status     INTEGER NOT NULL
) STRICT;
CREATE INDEX answer_by_answer_id ON answer (answer_id, ts) WHERE answer_id IS NOT NULL;
CREATE INDEX answer_by_session ON answer (session, ts) WHERE session IS NOT NULL;
CREATE INDEX answer_by_ts ON answer (ts);

-- Whom each rollout's candidate reached, counted as answers arrive: asking takes no scan, and what is
-- forgotten stays counted.
CREATE TABLE reach (
    id      INTEGER PRIMARY KEY,
    rollout TEXT NOT NULL UNIQUE,
    calls   INTEGER NOT NULL,
    users   INTEGER NOT NULL,
    last    INTEGER NOT NULL
) STRICT;
CREATE TABLE reach_point (
    reach INTEGER NOT NULL,
    point INTEGER NOT NULL,
    PRIMARY KEY (reach, point)
) STRICT, WITHOUT ROWID;

CREATE TABLE feedback (
    idempotency_key TEXT PRIMARY KEY,
    ts              INTEGER NOT NULL,
    request_id      TEXT NOT NULL,
    bucket          INTEGER NOT NULL,
    signal          TEXT NOT NULL,
    observed        INTEGER NOT NULL,
    value           TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_by_ts ON feedback (ts);

CREATE TABLE sample (
    id             INTEGER PRIMARY KEY,
    request_id     TEXT NOT NULL,
    ts             INTEGER NOT NULL,
    feature        TEXT NOT NULL,
    candidate      TEXT NOT NULL,
    revision       TEXT NOT NULL,
    agreement      REAL NOT NULL,
    why            TEXT NOT NULL,
    stable_text    TEXT NOT NULL,
    candidate_text TEXT NOT NULL,
    UNIQUE (feature, revision, request_id)
) STRICT;
CREATE INDEX sample_by_agreement ON sample (feature, revision, agreement, ts);
CREATE INDEX sample_by_ts ON sample (ts);
