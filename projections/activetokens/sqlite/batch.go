package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// batch writes the changes of one transaction. Rows go in the order of their key, so that
// those of one page follow each other.
type batch struct {
	ctx        context.Context //nolint:containedctx // lives for one call of Apply
	inside     context.Context //nolint:containedctx // the same without its end
	tx         *sql.Tx
	statements *statements
	args       *arguments
}

// arguments of one statement, reused for every row.
type arguments struct{ values []any }

func (a *arguments) set(values ...any) []any {
	a.values = append(a.values[:0], values...)
	return a.values
}

func compareSessions(a, b refreshtoken.SessionID) int {
	x, y := a.Bytes(), b.Bytes()
	return bytes.Compare(x[:], y[:])
}

// stopped looks at the context now and then.
func (b *batch) stopped(i int) error {
	if i%256 != 0 || b.ctx.Err() == nil {
		return nil
	}
	return context.Cause(b.ctx)
}

// write puts all changes into the transaction, and folds the families that do not fit.
func (b *batch) write(c *activetokens.Changes, events []eventstore.Recorded) error {
	irregular := c.Irregular
	err := b.rows(b.statements.insert, c.Inserts, func(id refreshtoken.SessionID) { irregular = append(irregular, id) })
	if err != nil {
		return err
	}
	if irregular, err = b.update(c.Updates, irregular); err != nil {
		return err
	}
	unreadable := c.Unreadable
	if len(irregular) > 0 {
		refolded, err := b.refold(irregular, events)
		if err != nil {
			return err
		}
		unreadable = append(unreadable, refolded...)
	}
	return errors.Join(b.refuse(c.Refused), b.report(unreadable))
}

// rows writes whole rows; missed is told of those that were not written.
func (b *batch) rows(statement *sql.Stmt, rows []activetokens.Row, missed func(refreshtoken.SessionID)) error {
	slices.SortFunc(rows, func(x, y activetokens.Row) int { return compareSessions(x.SessionID, y.SessionID) })
	stmt := b.tx.StmtContext(b.inside, statement)
	for i := range rows {
		if err := b.stopped(i); err != nil {
			return err
		}
		r := &rows[i]
		id := r.SessionID.Bytes()
		//nolint:gosec // revisions and positions are read back unsigned
		written, err := affected(stmt.ExecContext(b.inside, b.args.set(
			id[:], r.UserID.String(), r.ClientID.String(), int64(r.Kind), int64(r.Generation),
			int64(r.IssuedAt), int64(r.ExpiresAt), int64(r.AbsoluteExpiresAt), int64(r.Status),
			int64(r.Revocation.At), int64(r.Revocation.Reason), r.Revocation.By,
			int64(r.Revision), int64(r.Position))...))
		if err != nil {
			return err
		}
		if !written {
			missed(r.SessionID)
		}
	}
	return nil
}

// refold folds families event by event and writes what came of them.
func (b *batch) refold(ids []refreshtoken.SessionID, events []eventstore.Recorded) ([]activetokens.Unreadable, error) {
	stmt := b.tx.StmtContext(b.inside, b.statements.row)
	before := make(map[refreshtoken.SessionID]*activetokens.Row, len(ids))
	for _, id := range ids {
		key := id.Bytes()
		row, err := scanRow(stmt.QueryRowContext(b.inside, key[:]).Scan)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		before[id] = &row
	}
	unreadable := activetokens.Refold(before, events)
	rows := make([]activetokens.Row, 0, len(before))
	for _, row := range before {
		rows = append(rows, *row)
	}
	return unreadable, b.rows(b.statements.replace, rows, func(refreshtoken.SessionID) {})
}

// update changes rows, and adds those that it did not find as they should be.
func (b *batch) update(updates []activetokens.Update, irregular []refreshtoken.SessionID) ([]refreshtoken.SessionID, error) {
	slices.SortFunc(updates, func(x, y activetokens.Update) int { return compareSessions(x.SessionID, y.SessionID) })
	touch := b.tx.StmtContext(b.inside, b.statements.touch)
	rotate := b.tx.StmtContext(b.inside, b.statements.rotate)
	revoke := b.tx.StmtContext(b.inside, b.statements.revoke)
	both := b.tx.StmtContext(b.inside, b.statements.rotateAndRevoke)
	for i := range updates {
		if err := b.stopped(i); err != nil {
			return nil, err
		}
		u := &updates[i]
		id := u.SessionID.Bytes()
		stmt := touch
		args := b.args.set(int64(u.Revision), int64(u.Position)) //nolint:gosec // read back unsigned
		if u.Rotated {
			stmt = rotate
			args = append(args, int64(u.Generation), int64(u.ExpiresAt))
		}
		if u.Revoked {
			stmt = revoke
			if u.Rotated {
				stmt = both
			}
			v := &u.Revocation
			args = append(args, int64(activetokens.Revoked), int64(v.At), int64(v.Reason), v.By)
		}
		args = append(args, id[:], int64(u.Before)) //nolint:gosec // as above
		b.args.values = args
		changed, err := affected(stmt.ExecContext(b.inside, args...))
		if err != nil {
			return nil, err
		}
		if !changed {
			irregular = append(irregular, u.SessionID)
		}
	}
	return irregular, nil
}

func (b *batch) refuse(refused []activetokens.Refused) error {
	stmt := b.tx.StmtContext(b.inside, b.statements.refuse)
	for i := range refused {
		if err := b.stopped(i); err != nil {
			return err
		}
		r := &refused[i]
		id := r.SessionID.Bytes()
		if _, err := stmt.ExecContext(b.inside, b.args.set(id[:], int64(r.Position), r.Stream)...); err != nil { //nolint:gosec // read back unsigned
			return err //nolint:wrapcheck // mapError does
		}
	}
	return nil
}

func (b *batch) report(unreadable []activetokens.Unreadable) error {
	stmt := b.tx.StmtContext(b.inside, b.statements.unreadable)
	for i := range unreadable {
		if err := b.stopped(i); err != nil {
			return err
		}
		u := &unreadable[i]
		var session []byte // NULL where it is of no family
		if id := u.SessionID.Bytes(); !u.SessionID.IsZero() {
			session = id[:]
		}
		if _, err := stmt.ExecContext(b.inside, b.args.set(int64(u.Position), u.Stream, session)...); err != nil { //nolint:gosec // read back unsigned
			return err //nolint:wrapcheck // mapError does
		}
	}
	return nil
}
