package gmailsim

import "strings"

// state is when a command may come.
type state int

const (
	anyState state = iota
	beforeLogin
	afterLogin
	selected
)

// command is a row of commandTable. run returns the text of the tagged OK;
// an error of kind noError, badError or errParse becomes a tagged reply, any
// other ends the connection.
type command struct {
	run          func(*session, *parser) (string, error)
	state        state
	needs        string // capability without which the command is unknown
	namesMailbox bool   // first argument is a mailbox
}

// commandTable is every command the server may know.
func commandTable() map[string]command {
	return map[string]command{
		"CAPABILITY":   {run: cmdCapability},
		"NOOP":         {run: cmdNoop},
		"LOGOUT":       {run: cmdLogout},
		"ID":           {run: cmdID, needs: "ID"},
		"STARTTLS":     {run: cmdStartTLS, state: beforeLogin, needs: "STARTTLS"},
		"LOGIN":        {run: cmdLogin, state: beforeLogin},
		"AUTHENTICATE": {run: cmdAuthenticate, state: beforeLogin},
		"ENABLE":       {run: cmdEnable, state: afterLogin, needs: "ENABLE"},
		"NAMESPACE":    {run: cmdNamespace, state: afterLogin, needs: "NAMESPACE"},
		"COMPRESS":     {run: cmdCompress, state: afterLogin, needs: "COMPRESS=DEFLATE"},
		"GETQUOTA":     {run: cmdGetQuota, state: afterLogin, needs: "QUOTA"},
		"GETQUOTAROOT": {run: cmdGetQuotaRoot, state: afterLogin, needs: "QUOTA", namesMailbox: true},
		"LIST":         {run: cmdList, state: afterLogin},
		"LSUB":         {run: cmdLsub, state: afterLogin},
		"XLIST":        {run: cmdXlist, state: afterLogin, needs: "XLIST"},
		"STATUS":       {run: cmdStatus, state: afterLogin, namesMailbox: true},
		"SELECT":       {run: cmdSelect, state: afterLogin, namesMailbox: true},
		"EXAMINE":      {run: cmdExamine, state: afterLogin, namesMailbox: true},
		"CREATE":       {run: cmdCreate, state: afterLogin, namesMailbox: true},
		"DELETE":       {run: cmdDelete, state: afterLogin, namesMailbox: true},
		"RENAME":       {run: cmdRename, state: afterLogin, namesMailbox: true},
		"SUBSCRIBE":    {run: cmdSubscribe, state: afterLogin, namesMailbox: true},
		"UNSUBSCRIBE":  {run: cmdUnsubscribe, state: afterLogin, namesMailbox: true},
		"APPEND":       {run: cmdAppend, state: afterLogin, namesMailbox: true},
		"IDLE":         {run: cmdIdle, state: afterLogin, needs: "IDLE"},
		"CHECK":        {run: cmdNoop, state: selected},
		"CLOSE":        {run: cmdClose, state: selected},
		"UNSELECT":     {run: cmdUnselect, state: selected, needs: "UNSELECT"},
		"EXPUNGE":      {run: cmdExpunge, state: selected},
		"UID EXPUNGE":  {run: cmdUIDExpunge, state: selected, needs: "UIDPLUS"},
		"FETCH":        {run: cmdFetch, state: selected},
		"UID FETCH":    {run: cmdFetch, state: selected},
		"SEARCH":       {run: cmdSearch, state: selected},
		"UID SEARCH":   {run: cmdSearch, state: selected},
		"STORE":        {run: cmdStore, state: selected},
		"UID STORE":    {run: cmdStore, state: selected},
		"COPY":         {run: cmdCopy, state: selected},
		"UID COPY":     {run: cmdCopy, state: selected},
		"MOVE":         {run: cmdMove, state: selected, needs: "MOVE"},
		"UID MOVE":     {run: cmdMove, state: selected, needs: "MOVE"},
	}
}

// allowed checks the state of the connection.
func (s *session) allowed(c command) error {
	if c.state == beforeLogin && s.authed || c.state >= afterLogin && !s.authed {
		return badError("Unknown command " + s.tag)
	}
	if c.state != selected {
		return nil
	}
	s.srv.st.mu.Lock()
	defer s.srv.st.mu.Unlock()
	if s.box == nil {
		return badError("No mailbox selected")
	}
	return nil
}

func (s *session) isUID() bool { return strings.HasPrefix(s.name, "UID ") }
