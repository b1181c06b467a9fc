package refreshtoken

// LogOut asks to end the session that a presented token belongs to.
type LogOut struct {
	UserID UserID // who wants to log out
	By     string // the id of the actor, for the record
}

// RefusedError is a logout that changes nothing on the family.
type RefusedError struct {
	Reason    Refusal
	SessionID SessionID // of the token, when it was recognised
}

func (e *RefusedError) Error() string { return "logout refused: " + e.Reason.String() }

// Events are the record of a refusal, for a stream of its own: nobody grows a stranger's
// stream by guessing.
func (e *RefusedError) Events(user UserID) []Event {
	return []Event{
		LogoutAttempted{UserID: user},
		LogoutFailed{UserID: user, Reason: e.Reason, SessionID: e.SessionID},
	}
}

// LogOut decides a logout (R4–R6). The zero State stands for a token that nothing is known of.
// The error is always a *RefusedError.
func (s State) LogOut(r LogOut) ([]Event, error) {
	switch {
	case s.Status == Absent:
		return nil, &RefusedError{Reason: TokenNotFound}
	case s.UserID != r.UserID:
		return nil, &RefusedError{Reason: TokenUserMismatch, SessionID: s.SessionID}
	case s.Status == Ended:
		return nil, &RefusedError{Reason: TokenAlreadyRevoked, SessionID: s.SessionID}
	}
	return []Event{
		LogoutAttempted{UserID: r.UserID},
		Revoked{
			SessionID: s.SessionID, UserID: s.UserID, Generation: s.Generation,
			Reason: ReasonLogout, RevokedBy: r.By,
		},
		LogoutSucceeded{UserID: r.UserID, SessionID: s.SessionID},
	}, nil
}
