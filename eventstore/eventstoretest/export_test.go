package eventstoretest

import "github.com/logoutd/logoutd/eventstore"

// RunClause runs one check against one store.
func RunClause(c Clause, t T, store eventstore.Store, opts ...Option) {
	c.run(t, store, newOptions(opts))
}

// Validate is what Run checks before anything else.
func Validate(opts ...Option) error { return newOptions(opts).validate(Clauses()) }
