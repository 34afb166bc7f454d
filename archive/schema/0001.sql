-- The map of the archive. Every fact in here also stands in journal/, so that this file can be rebuilt.
-- Times are Unix seconds; 0 means "not". A modseq is the number of the journal's batch that changed the row last.

-- A source of mail.
CREATE TABLE account (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,       -- as in the configuration
	kind TEXT NOT NULL               -- 'gmail': an item per X-GM-MSGID; 'imap': an item per UID and folder
);

-- A mailbox of the archive: what readers see. Never deleted; one without entries whose source is gone is not shown.
CREATE TABLE mailbox (
	id          INTEGER PRIMARY KEY,
	account_id  INTEGER NOT NULL REFERENCES account(id),
	name        TEXT NOT NULL,               -- UTF-8, levels separated by '/'
	special_use TEXT NOT NULL DEFAULT '',    -- RFC 6154 attribute
	uidvalidity INTEGER NOT NULL UNIQUE,     -- our own; never changes, never used for another mailbox
	uidnext     INTEGER NOT NULL DEFAULT 1,  -- our own; only grows
	messages    INTEGER NOT NULL DEFAULT 0,  -- number of entries
	unseen      INTEGER NOT NULL DEFAULT 0,  -- entries whose item lacks \Seen
	bytes       INTEGER NOT NULL DEFAULT 0,  -- sum of the entries' sizes
	modseq      INTEGER NOT NULL DEFAULT 0,  -- last change of an entry, a flag or this row
	gone        INTEGER NOT NULL DEFAULT 0,  -- since when the source has no such mailbox
	UNIQUE (account_id, name)
);

-- A mailbox of the server, and the state in which all of it was recorded.
CREATE TABLE folder (
	id            INTEGER PRIMARY KEY,
	account_id    INTEGER NOT NULL REFERENCES account(id),
	name          TEXT NOT NULL,               -- the server's name, decoded to UTF-8
	delimiter     TEXT NOT NULL DEFAULT '',    -- the server's hierarchy delimiter, '' when flat
	special_use   TEXT NOT NULL DEFAULT '',
	object_id     TEXT NOT NULL DEFAULT '',    -- MAILBOXID (RFC 8474)
	mailbox_id    INTEGER NOT NULL DEFAULT 0,  -- the mailbox that shows it
	current       INTEGER NOT NULL DEFAULT 0,  -- the server's UIDVALIDITY under which locations are recorded now
	uidvalidity   INTEGER NOT NULL DEFAULT 0,  -- of the last complete pass, as the next three
	uidnext       INTEGER NOT NULL DEFAULT 0,
	source_modseq INTEGER NOT NULL DEFAULT 0,
	messages      INTEGER NOT NULL DEFAULT 0,
	gone          INTEGER NOT NULL DEFAULT 0,  -- since when the server does not list it
	UNIQUE (account_id, name)
);

-- A distinct message: one file.
CREATE TABLE message (
	id          INTEGER PRIMARY KEY,
	ref         BLOB NOT NULL UNIQUE,  -- SHA-256 of the bytes
	size        INTEGER NOT NULL,      -- bytes
	fingerprint BLOB                   -- of header block and size; NULL when not known
);
CREATE INDEX message_fingerprint ON message (fingerprint) WHERE fingerprint IS NOT NULL;

-- A message as an account holds it, with one set of flags and one date.
CREATE TABLE item (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used for another item
	account_id INTEGER NOT NULL REFERENCES account(id),
	message_id INTEGER NOT NULL REFERENCES message(id),
	source_id  TEXT NOT NULL DEFAULT '',    -- X-GM-MSGID or EMAILID
	thread_id  TEXT NOT NULL DEFAULT '',    -- X-GM-THRID or THREADID
	date       INTEGER NOT NULL,            -- INTERNALDATE
	zone       INTEGER NOT NULL,            -- its zone, minutes east of UTC
	flags      TEXT NOT NULL DEFAULT '',    -- sorted, separated by blanks
	gone       INTEGER NOT NULL DEFAULT 0,  -- since when the source has not had it
	modseq     INTEGER NOT NULL             -- last change of flags, of gone, or of the mailboxes it is in
);
CREATE INDEX item_source ON item (account_id, source_id) WHERE source_id <> '';
CREATE INDEX item_message ON item (message_id);
CREATE INDEX item_modseq ON item (modseq);

-- An item in a mailbox.
CREATE TABLE entry (
	mailbox_id INTEGER NOT NULL REFERENCES mailbox(id),
	uid        INTEGER NOT NULL,  -- our own
	item_id    INTEGER NOT NULL REFERENCES item(id),
	PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;
CREATE UNIQUE INDEX entry_item ON entry (item_id, mailbox_id);

-- An entry that was taken out.
CREATE TABLE vanished (
	mailbox_id INTEGER NOT NULL REFERENCES mailbox(id),
	modseq     INTEGER NOT NULL,
	uid        INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, modseq, uid)
) WITHOUT ROWID;

-- Where at the source an item was last seen.
CREATE TABLE location (
	folder_id INTEGER NOT NULL REFERENCES folder(id),
	validity  INTEGER NOT NULL,  -- the server's UIDVALIDITY; not the folder's current one: not confirmed since the server renumbered
	uid       INTEGER NOT NULL,  -- the server's UID
	item_id   INTEGER NOT NULL REFERENCES item(id),
	PRIMARY KEY (folder_id, validity, uid)
) WITHOUT ROWID;
CREATE INDEX location_item ON location (item_id);

-- The failure ledger: listed by the source, not delivered.
CREATE TABLE hole (
	folder_id INTEGER NOT NULL REFERENCES folder(id),
	validity  INTEGER NOT NULL,
	uid       INTEGER NOT NULL,
	reason    TEXT NOT NULL,
	tries     INTEGER NOT NULL,
	first     INTEGER NOT NULL,
	last      INTEGER NOT NULL,
	PRIMARY KEY (folder_id, validity, uid)
) WITHOUT ROWID;

-- The last batch of the journal that this file contains, and where in journal/ the next one begins.
CREATE TABLE applied (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	seq    INTEGER NOT NULL,
	file   TEXT NOT NULL,     -- name of the journal file; '' before the first batch
	offset INTEGER NOT NULL   -- bytes
);
INSERT INTO applied (one, seq, file, offset) VALUES (1, 0, '', 0);
