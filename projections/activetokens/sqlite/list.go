package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// List implements activetokens.Reader. It finds first how far down it may look, on an index
// alone, and then the rows above that (A9).
func (s *Store) List(ctx context.Context, q activetokens.Query) (page activetokens.Page, err error) {
	if q.Limit < 1 || q.Limit > activetokens.MaxExamined {
		return page, fmt.Errorf("limit %d: give 1 to %d", q.Limit, activetokens.MaxExamined)
	}
	err = s.read(ctx, func(tx *sql.Tx) error {
		if page.Position, err = position(ctx, tx); err != nil {
			return err
		}
		c := candidates(q)
		var lowest []byte // the last row to look at, when there are more below
		err := tx.QueryRowContext(ctx, "SELECT session_id"+c.text()+" LIMIT 1 OFFSET ?",
			append(c.args, activetokens.MaxExamined)...).Scan(&lowest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if lowest != nil {
			c.add("session_id > ?", lowest)
		}
		c.filter(q)
		page.Rows, err = c.rows(ctx, tx, q.Limit+1)
		switch {
		case err != nil:
			return err
		case len(page.Rows) > q.Limit:
			page.Rows = page.Rows[:q.Limit]
			page.Next = page.Rows[q.Limit-1].SessionID
		case lowest != nil:
			page.Next = above(lowest)
		}
		return nil
	})
	return page, err
}

// above gives the session id that follows a key, so that the key is the next to be examined.
func above(key []byte) refreshtoken.SessionID {
	next := [16]byte(key)
	for i := len(next) - 1; i >= 0; i-- {
		next[i]++
		if next[i] != 0 {
			break
		}
	}
	return refreshtoken.SessionIDFrom(next)
}

// conditions of a query over sessions, walking down one index.
type conditions struct {
	index string
	terms []string
	args  []any
}

// candidates are the rows on the walk, before any filter. Naming the index keeps the planner
// from a plan that would have to sort.
func candidates(q activetokens.Query) conditions {
	var c conditions
	switch {
	case !q.UserID.IsZero():
		c.index = " INDEXED BY sessions_by_user"
		c.add("user_id = ?", q.UserID.String())
	case q.ClientID != refreshtoken.ClientID{}:
		c.index = " INDEXED BY sessions_by_client"
		c.add("client_id <> '' AND client_id = ?", q.ClientID.String())
	}
	if !q.Before.IsZero() {
		key := q.Before.Bytes()
		c.add("session_id < ?", key[:])
	}
	return c
}

func (c *conditions) add(term string, arg any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, arg)
}

// filter adds what leaves rows out.
func (c *conditions) filter(q activetokens.Query) {
	if q.ClientID != (refreshtoken.ClientID{}) && !q.UserID.IsZero() {
		c.add("client_id = ?", q.ClientID.String())
	}
	now := int64(activetokens.NanosOf(q.Now))
	switch q.Filter {
	case activetokens.OnlyActive:
		c.add("status = ?", int64(activetokens.Active))
		c.add("expires_at > ?", now)
	case activetokens.OnlyExpired:
		c.add("status = ?", int64(activetokens.Active))
		c.add("expires_at <= ?", now)
	case activetokens.OnlyRevoked:
		c.add("status = ?", int64(activetokens.Revoked))
	case activetokens.OnlyParked:
		c.add("status = ?", int64(activetokens.Parked))
	case activetokens.All:
	}
}

func (c *conditions) text() string {
	where := ""
	if len(c.terms) > 0 {
		where = " WHERE " + strings.Join(c.terms, " AND ")
	}
	return " FROM sessions" + c.index + where + " ORDER BY session_id DESC"
}

func (c *conditions) rows(ctx context.Context, tx *sql.Tx, limit int) ([]activetokens.Row, error) {
	rows, err := tx.QueryContext(ctx, selectRow+c.text()+" LIMIT ?", append(c.args, limit)...)
	if err != nil {
		return nil, err //nolint:wrapcheck // mapError does
	}
	defer rows.Close()
	var found []activetokens.Row
	for rows.Next() {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err() //nolint:wrapcheck // mapError does
}
