-- Letting go of messages: what was pruned, and what shall not come back.

-- A run of prune. Rows are never deleted.
CREATE TABLE prune (
	id       INTEGER PRIMARY KEY,          -- from 1; also names its folder in quarantine/
	time     INTEGER NOT NULL,
	policy   TEXT NOT NULL,                -- as the user gave it
	items    INTEGER NOT NULL DEFAULT 0,   -- items removed
	messages INTEGER NOT NULL DEFAULT 0,   -- of their messages: those that no other item has
	bytes    INTEGER NOT NULL DEFAULT 0,   -- sum of the sizes of these
	restored INTEGER NOT NULL DEFAULT 0,   -- lines of its list in quarantine/ that an undoing has dealt with
	undone   INTEGER NOT NULL DEFAULT 0    -- when it was taken back
);

-- An item that was pruned and shall not come back. On Gmail its source_id tells, elsewhere its bytes.
CREATE TABLE tombstone (
	id          INTEGER PRIMARY KEY,       -- of the item
	prune_id    INTEGER NOT NULL REFERENCES prune(id),
	account_id  INTEGER NOT NULL REFERENCES account(id),
	folder_id   INTEGER NOT NULL,          -- where it was last seen; 0 when it was gone
	source_id   TEXT NOT NULL DEFAULT '',
	ref         BLOB NOT NULL,             -- SHA-256 of the bytes
	fingerprint BLOB
);
CREATE INDEX tombstone_source ON tombstone (account_id, source_id) WHERE source_id <> '';
CREATE INDEX tombstone_ref ON tombstone (ref);
CREATE INDEX tombstone_fingerprint ON tombstone (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX tombstone_prune ON tombstone (prune_id);

-- A place at the source that shows a pruned message: neither a location nor a hole, and yet recorded.
CREATE TABLE buried (
	folder_id    INTEGER NOT NULL REFERENCES folder(id),
	validity     INTEGER NOT NULL,
	uid          INTEGER NOT NULL,
	tombstone_id INTEGER NOT NULL REFERENCES tombstone(id),
	PRIMARY KEY (folder_id, validity, uid)
) WITHOUT ROWID;
CREATE INDEX buried_tombstone ON buried (tombstone_id);

-- The highest id that a message had which is no longer here: ids of messages are never used again. No row before the first.
CREATE TABLE dropped (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	message INTEGER NOT NULL
);
