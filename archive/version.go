package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// Version returns a number that differs from the one of an earlier call when anything was committed in between: by a Writer of this process in any case, by another process
// when that was at least 5 milliseconds before this call. It is cheap: meant for polling, and for asking before every answer.
func (r *Reader) Version(ctx context.Context) (int64, error) {
	v, err := r.version.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the archive's version: %w", err)
	}
	return v, nil
}

// believed is how long a version is good enough. A mail program asks about one mailbox after the other, of which each answer would else cost a question to SQLite, with its locks.
const believed = 5 * time.Millisecond

// commits counts what Writers of this process have committed, to whichever archive: what they are known to have done is not overlooked for any time.
var commits atomic.Uint64

// versionWatch asks SQLite for its data_version.
type versionWatch struct {
	mu      sync.Mutex
	conn    *sql.Conn // PRAGMA data_version compares with what the same connection saw before
	stmt    *sql.Stmt
	version int64
	asked   time.Time // before version was read; zero: not yet
	commits uint64    // at that time
}

func newVersionWatch(db *sqlx.DB) (*versionWatch, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	stmt, err := conn.PrepareContext(context.Background(), "PRAGMA data_version")
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &versionWatch{conn: conn, stmt: stmt}, nil
}

func (w *versionWatch) get(ctx context.Context) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	committed, now := commits.Load(), time.Now()
	if committed == w.commits && now.Sub(w.asked) < believed {
		return w.version, nil
	}
	// Two goroutines that wait for the end of ctx would cost more than the question itself.
	if err := w.stmt.QueryRowContext(context.WithoutCancel(ctx)).Scan(&w.version); err != nil {
		w.asked = time.Time{}
		return 0, err
	}
	w.asked, w.commits = now, committed
	return w.version, nil
}

func (w *versionWatch) close() error {
	return errors.Join(w.stmt.Close(), w.conn.Close())
}
