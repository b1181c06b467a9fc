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
	Unreadable []Unreadable // of no family
	// Irregular are families to Refold: an event of theirs is unreadable or out of order within
	// the batch. An adapter adds those whose Insert or Update does not fit the rows that it has.
	Irregular  []refreshtoken.SessionID
	Checkpoint projections.Checkpoint // after the batch
}

// Update changes a row that must be at revision Before and not parked; else the family is irregular.
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
