// Package memstoretest is an event store in memory for the tests of this folder, and a way to
// fill it with histories that the aggregate allows. It can fail and lie on demand.
package memstoretest
