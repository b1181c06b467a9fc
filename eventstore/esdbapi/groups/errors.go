package groups

import "errors"

// The errors of this package. Callers ask with errors.Is.
var (
	// ErrNotFound: there is no such group.
	ErrNotFound = errors.New("persistent subscription group does not exist")
	// ErrExists: there is a group of that name on that stream.
	ErrExists = errors.New("persistent subscription group already exists")
	// ErrInvalid: the definition of a group breaks a rule, which the text names.
	ErrInvalid = errors.New("invalid persistent subscription group")
	// ErrFull: the group has as many consumers as it may.
	ErrFull = errors.New("persistent subscription group has its maximum of consumers")
	// ErrDropped: the group was updated and has begun anew. Connect again.
	ErrDropped = errors.New("consumer dropped: the group was updated")
	// ErrDeleted: the group was deleted while the consumer was connected.
	ErrDeleted = errors.New("consumer dropped: the group was deleted")
	// ErrClosed: the consumer was closed by its own side.
	ErrClosed = errors.New("consumer is closed")
	// ErrStopped: the manager is stopping, or has not started. Connect again later.
	ErrStopped = errors.New("persistent subscriptions are not running")
)
