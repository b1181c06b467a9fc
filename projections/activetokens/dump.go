package activetokens

import (
	"fmt"
	"io"

	"github.com/logoutd/logoutd/projections"
)

// DumpCheckpoint writes the first line of a dump.
func DumpCheckpoint(w io.Writer, c projections.Checkpoint) error {
	_, err := fmt.Fprintf(w, "%s@%d position %s last %q %d %s\n",
		Name, Version, c.Position, c.Last.Stream, c.Last.Revision, c.Last.ID)
	return err //nolint:wrapcheck // the writer is the caller's
}

// DumpRow writes the line of a session; sessions follow in rising order.
func DumpRow(w io.Writer, r *Row) error {
	_, err := fmt.Fprintf(w, "session %s user %q client %q %s generation %d issued %d expires %d %d %s %d %q %q revision %d position %s\n",
		r.SessionID, r.UserID, r.ClientID, r.Kind, r.Generation, r.IssuedAt, r.ExpiresAt, r.AbsoluteExpiresAt,
		r.Status, r.Revocation.At, r.Revocation.Reason, r.Revocation.By, r.Revision, r.Position)
	return err //nolint:wrapcheck // the writer is the caller's
}

// DumpRefused writes the line of a refused logout; they follow the sessions, in rising order of
// session and position.
func DumpRefused(w io.Writer, r *Refused) error {
	_, err := fmt.Fprintf(w, "refused %s position %s stream %q\n", r.SessionID, r.Position, r.Stream)
	return err //nolint:wrapcheck // the writer is the caller's
}

// DumpUnreadable writes the line of an unreadable event; they come last, in rising order of position.
func DumpUnreadable(w io.Writer, u *Unreadable) error {
	_, err := fmt.Fprintf(w, "unreadable position %s stream %q session %s\n", u.Position, u.Stream, u.SessionID)
	return err //nolint:wrapcheck // the writer is the caller's
}
