// Package eventstoretest proves that an event store keeps the contract of package eventstore, clause by
// clause (E1–E16), and against a model.
//
//	func TestConformance(t *testing.T) {
//		eventstoretest.Run(t, func(t *testing.T) eventstore.Store { … },
//			eventstoretest.Skip("E5", "positions are byte offsets in the log"))
//	}
//
// Every check opens a store of its own through the function given, which registers its closing with
// t.Cleanup. The store need not be empty and may be shared with others: a check uses streams of its own
// and looks at nothing else, but for E5. What a store cannot do is declared with Skip and shows
// as a skipped test with its reason.
//
// No check measures time. One that would wait for ever gives up after Patience, which no healthy
// store comes near to.
//
// The suite is itself proved: its tests run it against stores that are broken on purpose, and demand
// that every clause is failed by at least one of them.
package eventstoretest
