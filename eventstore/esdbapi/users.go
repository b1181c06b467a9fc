package esdbapi

import "context"

// Role is what a user may do.
type Role uint8

// The roles. The zero value is none.
const (
	RoleAuditor Role = iota + 1 // reads, subscribes, consumes persistent groups
	RoleWriter                  // also appends and manages groups
)

// Users are those who may connect.
type Users struct{}

func (u *Users) verify(context.Context, string, string) (Role, bool, error) { return 0, false, nil }
