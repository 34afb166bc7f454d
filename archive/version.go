package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Version returns a number that differs from the one of an earlier call when anything was committed in between, by whatever process. It is cheap: meant for polling, and for
// asking before every answer.
func (r *Reader) Version(ctx context.Context) (int64, error) {
	v, err := r.version.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the archive's version: %w", err)
	}
	return v, nil
}

// versionWatch asks SQLite for its data_version, unless the write-ahead log shows that nothing can have happened: every commit writes to it, and a look at the file's time takes a
// tenth of the time that SQLite needs with its locks.
type versionWatch struct {
	log string // path of the write-ahead log

	mu      sync.Mutex
	conn    *sql.Conn // PRAGMA data_version compares with what the same connection saw before
	stmt    *sql.Stmt
	version int64
	seen    logStamp // of the log before version was read; the zero stamp: do not trust it
	asked   time.Time
}

// logStamp tells one state of the log from later ones.
type logStamp struct {
	size     int64
	modified time.Time
}

// settled is how long ago the log must have been written for its stamp to be trusted: when two writes follow one another faster than the file system's clock ticks, both
// leave the same time.
const settled = 2 * time.Second

// trusted is how long an unchanged log is believed: a process that is halted between writing the log and announcing what it wrote would else go unnoticed until the next commit.
const trusted = 10 * time.Second

func newVersionWatch(db *sqlx.DB, path string) (*versionWatch, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	stmt, err := conn.PrepareContext(context.Background(), "PRAGMA data_version")
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &versionWatch{log: path + "-wal", conn: conn, stmt: stmt}, nil
}

func (w *versionWatch) get(ctx context.Context) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stamp := w.stamp()
	if stamp != (logStamp{}) && stamp == w.seen && time.Since(w.asked) < trusted {
		return w.version, nil
	}
	if err := w.stmt.QueryRowContext(ctx).Scan(&w.version); err != nil {
		return 0, err
	}
	w.seen, w.asked = stamp, time.Now()
	return w.version, nil
}

// stamp returns the state of the log, or the zero stamp when its time says nothing: it is new, the clock is wrong, or there is no log because the database is not open for writing.
func (w *versionWatch) stamp() logStamp {
	if runtime.GOOS == "windows" {
		return logStamp{} // the time of a file that is open for writing is not kept up to date
	}
	info, err := os.Stat(w.log)
	if err != nil {
		return logStamp{}
	}
	if age := time.Since(info.ModTime()); age < settled {
		return logStamp{}
	}
	return logStamp{info.Size(), info.ModTime()}
}

func (w *versionWatch) close() error {
	return errors.Join(w.stmt.Close(), w.conn.Close())
}
