package activetokenstest_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/activetokens/activetokenstest"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "5"); err != nil {
		panic(err)
	}
	m.Run()
}

// faulty is a good read model with one fault.
type faulty struct {
	activetokens.ReadModel
	fault string
}

// faults are what a read model can do wrong, and a clause that must find it.
var faults = map[string]string{
	"goes on after a gap":    "A2",
	"stops at garbage":       "A5",
	"shows the parked":       "A5",
	"applies from anywhere":  "P2",
	"takes itself back":      "P3",
	"forgets the last event": "P6",
	"applies half":           "P2",
	"ignores the filter":     "A4",
	"repeats a row":          "A9",
	"ends too early":         "A9",
	"forgets refusals":       "A7",
	"loses reasons":          "A6",
	"fails on nothing":       "P1",
	"hides other streams":    "A8",
	"invents a session":      "A1",
	"cannot cut a refusal":   "A3",
	"depends on batches":     "P7",
	"keeps the fingerprint":  "A11",
}

var errStrict = errors.New("this does not belong here")

func (f *faulty) Apply(ctx context.Context, from eventstore.Position, events []eventstore.Recorded) error {
	switch f.fault {
	case "fails on nothing":
		if len(events) == 0 {
			return errors.New("nothing to do")
		}
	case "cannot cut a refusal":
		if len(events) > 0 && events[0].Revision > 0 {
			return errStrict
		}
	case "stops at garbage":
		for i := range events {
			if events[i].Type == "Garbage" || events[i].Type == "RefreshTokenPainted" {
				return errStrict
			}
		}
	case "depends on batches", "hides other streams":
		if len(events) >= 3 {
			return nil
		}
	}
	err := f.ReadModel.Apply(ctx, from, events)
	switch {
	case err == nil:
	case f.fault == "applies from anywhere" && errors.Is(err, projections.ErrMoved):
		return nil
	case f.fault == "takes itself back" && errors.Is(err, projections.ErrFenced):
		if _, err := f.Acquire(ctx); err != nil {
			return err
		}
		return f.ReadModel.Apply(ctx, from, events)
	case f.fault == "applies half" && errors.Is(err, projections.ErrMoved):
		return errors.Join(err, f.ReadModel.Apply(ctx, events[0].Position-1, events[:1]))
	}
	return err
}

func (f *faulty) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	c, err := f.ReadModel.Checkpoint(ctx)
	if f.fault == "forgets the last event" {
		c.Last = projections.EventRef{}
	}
	return c, err
}

func (f *faulty) Session(ctx context.Context, id refreshtoken.SessionID) (activetokens.Row, eventstore.Position, error) {
	row, at, err := f.ReadModel.Session(ctx, id)
	switch f.fault {
	case "loses reasons":
		row.Revocation = activetokens.Revocation{}
	case "invents a session":
		return row, at, nil
	case "goes on after a gap":
		if row.Status == activetokens.Parked {
			row.Status = activetokens.Active
		}
	}
	return row, at, err
}

func (f *faulty) List(ctx context.Context, q activetokens.Query) (activetokens.Page, error) {
	if f.fault == "ignores the filter" {
		q.Filter = activetokens.All
	}
	if f.fault == "shows the parked" && q.Filter == activetokens.OnlyActive {
		q.Filter = activetokens.All
	}
	page, err := f.ReadModel.List(ctx, q)
	switch {
	case f.fault == "ends too early":
		page.Next = refreshtoken.SessionID{}
	case f.fault == "repeats a row" && q.Before.IsZero() && len(page.Rows) > 1 && !page.Next.IsZero():
		page.Next = page.Rows[len(page.Rows)-2].SessionID
	}
	return page, err
}

func (f *faulty) Refused(ctx context.Context, id refreshtoken.SessionID, after eventstore.Position, limit int) ([]activetokens.Refused, error) {
	refused, err := f.ReadModel.Refused(ctx, id, after, limit)
	if f.fault == "forgets refusals" {
		refused = nil
	}
	return refused, err
}

func (f *faulty) Dump(ctx context.Context, w io.Writer) error {
	if f.fault == "keeps the fingerprint" {
		if _, err := io.WriteString(w, strings.Repeat("0", 64)); err != nil {
			return err
		}
	}
	return f.ReadModel.Dump(ctx, w)
}

// verdict is a test that only remembers whether it failed.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Error(...any)          { v.failed = true }
func (v *verdict) Fatalf(string, ...any) { v.failed = true; panic(v) }
func (v *verdict) Fatal(...any)          { v.failed = true; panic(v) }

// fails runs the clauses of one rule over a read model with a fault.
func fails(t *testing.T, rule, fault string) bool {
	t.Helper()
	v := &verdict{TB: t}
	fresh := func(testing.TB) activetokenstest.Open {
		path := filepath.Join(t.TempDir(), "read.db")
		return func(testing.TB) activetokens.ReadModel {
			s, err := sqlite.New(sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			return &faulty{ReadModel: s, fault: fault}
		}
	}
	for _, c := range activetokenstest.Clauses() {
		if c.ID == rule && !v.failed {
			check(c, v, fresh)
		}
	}
	return v.failed
}

func check(c activetokenstest.Clause, v *verdict, fresh func(testing.TB) activetokenstest.Open) {
	defer func() {
		if r := recover(); r != nil && r != any(v) {
			panic(r)
		}
	}()
	c.Check(v, fresh)
}

func TestSuiteFindsEveryFault(t *testing.T) {
	t.Parallel()
	proved := map[string]bool{}
	for fault, rule := range faults {
		proved[rule] = true
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			if !fails(t, rule, fault) {
				t.Errorf("a read model that %s passes the clauses of %s", fault, rule)
			}
		})
	}
	for _, c := range activetokenstest.Clauses() {
		if !proved[c.ID] {
			t.Errorf("no fault proves clause %s", c.ID)
		}
	}
}
