package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
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

func (b *batch) insert(rows []activetokens.Row) error {
	slices.SortFunc(rows, func(x, y activetokens.Row) int { return compareSessions(x.SessionID, y.SessionID) })
	stmt := b.tx.StmtContext(b.inside, b.statements.insert)
	for i := range rows {
		if err := b.stopped(i); err != nil {
			return err
		}
		r := &rows[i]
		id := r.SessionID.Bytes()
		//nolint:gosec // revisions and positions are read back unsigned
		added, err := affected(stmt.ExecContext(b.inside, b.args.set(
			id[:], r.UserID.String(), r.ClientID.String(), int64(r.Kind), int64(r.Generation),
			int64(r.IssuedAt), int64(r.ExpiresAt), int64(r.AbsoluteExpiresAt), int64(r.Status),
			int64(r.Revocation.At), int64(r.Revocation.Reason), r.Revocation.By,
			int64(r.Revision), int64(r.Position))...))
		if err != nil {
			return err
		}
		if !added {
			_, revision, err := b.revision(id)
			return errors.Join(err, r.DuplicateIssue(revision))
		}
	}
	return nil
}

func (b *batch) update(updates []activetokens.Update) error {
	slices.SortFunc(updates, func(x, y activetokens.Update) int { return compareSessions(x.SessionID, y.SessionID) })
	touch := b.tx.StmtContext(b.inside, b.statements.touch)
	rotate := b.tx.StmtContext(b.inside, b.statements.rotate)
	revoke := b.tx.StmtContext(b.inside, b.statements.revoke)
	both := b.tx.StmtContext(b.inside, b.statements.rotateAndRevoke)
	for i := range updates {
		if err := b.stopped(i); err != nil {
			return err
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
			return err
		}
		if !changed {
			found, revision, err := b.revision(id)
			return errors.Join(err, u.Gap(found, revision))
		}
	}
	return nil
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

// revision is what a row is at, for the error that reports a gap.
func (b *batch) revision(id [16]byte) (found bool, revision uint64, err error) {
	var n int64
	err = b.tx.StmtContext(b.inside, b.statements.revision).QueryRowContext(b.inside, id[:]).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, 0, nil
	}
	return err == nil, uint64(n), err //nolint:gosec // written from unsigned
}
