package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// List implements activetokens.Reader. It finds first how far down it may look, on an index
// alone, and then the rows above that (A9).
func (s *Store) List(ctx context.Context, q activetokens.Query) (page activetokens.Page, err error) {
	if q.Limit < 1 || q.Limit > activetokens.MaxExamined {
		return page, fmt.Errorf("limit %d: give 1 to %d", q.Limit, activetokens.MaxExamined)
	}
	err = s.read(ctx, func(tx pgx.Tx) error {
		if page.Position, err = s.position(ctx, tx); err != nil {
			return err
		}
		w := newWalk(q)
		var last [16]byte // to look at, when there are more below
		err := tx.QueryRow(ctx, s.sql("SELECT session_id FROM @sessions"+w.text()+" OFFSET "+w.arg(activetokens.MaxExamined)+" LIMIT 1"),
			w.args...).Scan(&last)
		more := err == nil
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		w = newWalk(q)
		w.downTo(last)
		w.filter(q)
		rows, err := tx.Query(ctx, s.sql(selectRow+w.text()+" LIMIT "+w.arg(q.Limit+1)), w.args...)
		if err != nil {
			return err
		}
		page.Rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (activetokens.Row, error) { return scanRow(row) })
		switch {
		case err != nil:
			return err
		case len(page.Rows) > q.Limit:
			page.Rows = page.Rows[:q.Limit]
			page.Next = page.Rows[q.Limit-1].SessionID
		case more:
			page.Next = above(last)
		}
		return nil
	})
	return page, err
}

// above gives the session id that follows a key, so that the key is the next to be examined.
func above(key [16]byte) refreshtoken.SessionID {
	for i := len(key) - 1; i >= 0; i-- {
		key[i]++
		if key[i] != 0 {
			break
		}
	}
	return refreshtoken.SessionIDFrom(key)
}

// walk goes down one index. It is written as comparisons of whole keys and sorted by all of them:
// said as "user_id = …, sorted by session_id", the planner may take the primary key instead, and
// look at everybody's sessions to find those of one user.
type walk struct {
	key   []string // columns of the index, session_id last
	fixed []any    // the values of all but the last
	terms []string
	args  []any
}

func newWalk(q activetokens.Query) *walk {
	w := &walk{}
	switch {
	case !q.UserID.IsZero():
		w.key, w.fixed = []string{"user_id"}, []any{q.UserID.String()}
	case q.ClientID != refreshtoken.ClientID{}:
		w.key, w.fixed = []string{"client_id"}, []any{q.ClientID.String()}
		w.terms = []string{"client_id <> ''"}
	}
	w.key = append(w.key, "session_id")
	operator, from := "<", q.Before.Bytes()
	if q.Before.IsZero() {
		operator = "<="
		for i := range from {
			from[i] = 0xff
		}
	}
	w.compare(operator, from)
	w.compare(">=", [16]byte{})
	return w
}

// downTo leaves out a session and what is below it; nothing where it is zero.
func (w *walk) downTo(last [16]byte) {
	if last != ([16]byte{}) {
		w.compare(">", last)
	}
}

func (w *walk) compare(operator string, session [16]byte) {
	var values []string
	for _, v := range append(w.fixed[:len(w.fixed):len(w.fixed)], session) {
		values = append(values, w.arg(v))
	}
	w.terms = append(w.terms, "("+strings.Join(w.key, ", ")+") "+operator+" ("+strings.Join(values, ", ")+")")
}

func (w *walk) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// filter adds what leaves rows out.
func (w *walk) filter(q activetokens.Query) {
	if q.ClientID != (refreshtoken.ClientID{}) && !q.UserID.IsZero() {
		w.terms = append(w.terms, "client_id = "+w.arg(q.ClientID.String()))
	}
	now := int64(activetokens.NanosOf(q.Now))
	active := "status = " + strconv.Itoa(int(activetokens.Active))
	switch q.Filter {
	case activetokens.OnlyActive:
		w.terms = append(w.terms, active, "expires_at > "+w.arg(now))
	case activetokens.OnlyExpired:
		w.terms = append(w.terms, active, "expires_at <= "+w.arg(now))
	case activetokens.OnlyRevoked:
		w.terms = append(w.terms, "status = "+strconv.Itoa(int(activetokens.Revoked)))
	case activetokens.OnlyParked:
		w.terms = append(w.terms, "status = "+strconv.Itoa(int(activetokens.Parked)))
	case activetokens.All:
	}
}

func (w *walk) text() string {
	return " WHERE " + strings.Join(w.terms, " AND ") + " ORDER BY " + strings.Join(w.key, " DESC, ") + " DESC"
}
