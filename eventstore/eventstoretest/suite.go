package eventstoretest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/eventstore"
)

// T is what a check needs of a test. A *testing.T is one; so is the recorder that runs checks
// against broken stores.
type T interface {
	rapid.TB
	Context() context.Context
	Cleanup(f func())
}

// Clause is one check of one clause of the contract.
type Clause struct {
	ID   string // E1 to E16, or model
	Name string // what is ensured, as a sentence

	check func(*env)
}

// Option changes what Run does.
type Option func(*options)

type options struct {
	skips    []skip
	crash    func(T, eventstore.Store) eventstore.Store
	patience time.Duration
}

type skip struct{ clause, reason string }

// Skip declares that a store does not keep a clause, and why. A single check of a clause
// is named by its clause and name, as in "E14/names are checked".
func Skip(clause, reason string) Option {
	return func(o *options) { o.skips = append(o.skips, skip{clause, reason}) }
}

// WithCrash lets E3 be checked. crash ends the store as a power loss does, without closing it, and opens
// what is left. Without it E3 is left to the adapter's own tests, and shows as skipped.
func WithCrash(crash func(T, eventstore.Store) eventstore.Store) Option {
	return func(o *options) { o.crash = crash }
}

// Patience is how long a check waits for something that a healthy store does at once. The default is 30 s.
func Patience(d time.Duration) Option {
	return func(o *options) { o.patience = d }
}

// Clauses lists every check, in the order of the contract.
func Clauses() []Clause {
	return slices.Concat(appendClauses(), orderClauses(), repeatClauses(), loadClauses(), readClauses(),
		subscribeClauses(), crossingClauses(), cancelClauses(), limitClauses(), closeClauses(), modelClauses())
}

// Run checks a store against every clause, each check as a subtest with a store from open.
func Run(t *testing.T, open func(t *testing.T) eventstore.Store, opts ...Option) {
	t.Helper()
	o := newOptions(opts)
	clauses := Clauses()
	if len(clauses) == 0 {
		t.Fatal("the suite is empty")
	}
	if err := o.validate(clauses); err != nil {
		t.Fatal(err)
	}
	for _, c := range clauses {
		t.Run(c.ID+"/"+strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			if reason, ok := o.skipped(c); ok {
				t.Skip("declared: " + c.ID + ": " + reason)
			}
			t.Parallel()
			c.run(t, open(t), o)
		})
	}
}

func (c Clause) run(t T, store eventstore.Store, o *options) {
	e, release := newEnv(t, store, o)
	defer release()
	c.check(e)
}

func newOptions(opts []Option) *options {
	const patience = 30 * time.Second
	o := &options{patience: patience}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// validate refuses a skip of something that does not exist: it would hide nothing, and nobody would notice
// when the check that it once named comes back under another name.
func (o *options) validate(clauses []Clause) error {
	var problems []error
	for _, s := range o.skips {
		if s.reason == "" {
			problems = append(problems, errors.New("skip of "+s.clause+" gives no reason"))
		}
		if !slices.ContainsFunc(clauses, func(c Clause) bool { return s.names(c) }) {
			problems = append(problems, errors.New("skip of "+s.clause+": there is no such clause"))
		}
	}
	return errors.Join(problems...)
}

func (s skip) names(c Clause) bool { return s.clause == c.ID || s.clause == c.ID+"/"+c.Name }

func (o *options) skipped(c Clause) (string, bool) {
	for _, s := range o.skips {
		if s.names(c) {
			return s.reason, true
		}
	}
	if c.ID == "E3" && o.crash == nil {
		return "no crash hook: the adapter's own tests prove it", true
	}
	return "", false
}
