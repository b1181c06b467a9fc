package activetokens

import (
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

// Changes is what a batch of events does to the read model: at most one write per session,
// however many events it had. Sessions keep the order in which they first occur.
type Changes struct {
	Inserts    []Row
	Updates    []Update
	Refused    []Refused
	Checkpoint projections.Checkpoint // after the batch
}

// Update changes a row that must be at revision Before, else there is a gap (A2).
type Update struct {
	SessionID  refreshtoken.SessionID
	Before     uint64
	Revision   uint64
	Position   eventstore.Position
	Rotated    bool
	Generation uint32 // when Rotated
	ExpiresAt  Nanos  // when Rotated
	Revoked    bool
	Revocation Revocation // when Revoked
}

// Gap is the error for an update whose row is not at Before; found says whether there is a
// row, and at which revision it is.
func (u *Update) Gap(found bool, revision uint64) error {
	e := &projections.GapError{Stream: u.SessionID.Stream(), Got: u.Before + 1, Position: u.Position}
	if found {
		e.Expected = revision + 1
	}
	return e
}

// DuplicateIssue is the error for an insert whose row is there already, at a revision.
func (r *Row) DuplicateIssue(revision uint64) error {
	return &projections.GapError{
		Stream: r.SessionID.Stream(), Expected: revision + 1, Got: 0, Position: r.Position,
	}
}
