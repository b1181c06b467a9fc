// Package activetokens is the read model of sessions: what each one is, when it ends, who
// ended it and why, and which refused logouts named it. It owns the meaning: the [Row], the
// [Query] and how events change rows. It does not know any database; adapters live below it and pass
// the suite in activetokenstest.
//
// # Rules
//
//   - A1: one row per session, kept for ever. It appears with RefreshTokenIssued, at revision 0.
//   - A2: a row carries the revision of the last event applied to it. The next event of the family's
//     stream must have the revision after it; one that has not is unreadable (A5).
//   - A3: the stream of a refused logout starts at revision 0, and its events follow each other
//     directly, since one append wrote them. An event there that does not, or that cannot be
//     decoded, is skipped and counted; so is one of a stream that is named like a family's and is none.
//   - A4: a row is active, revoked or parked. Expired is not stored: it is active with ExpiresAt not
//     after the clock of the reader.
//   - A5: every event of a family's stream counts, whatever its type; only the types below change
//     more than revision and position. An unreadable one (of a type or schema that package codec does
//     not know, of another session, out of order) parks its family and nothing else: nobody can say
//     whether such a session lives, so it is never shown as active. A family without a row gets one.
//     From then on its events only move revision and position. What was revoked stays revoked.
//   - A6: RefreshTokenIssued fills the row, RefreshTokenRotated sets generation and expiry,
//     TokenRevoked sets the status, reason, author and time; the time is the store's.
//   - A7: UserLogoutFailed that names a session is remembered under that session, known or
//     not, with its position and stream.
//   - A8: other streams change nothing but the position.
//   - A9: pages are in falling order of session id, so that for ids of version 7 the newest
//     come first. A page may be shorter than its limit, or empty, and still have a successor:
//     a query examines at most [MaxExamined] rows.
//   - A10: what a query answers, position included, is of one moment.
//   - A11: no fingerprint is kept.
//
// Times are kept as nanoseconds since 1970; what int64 cannot hold is kept as the earliest
// or latest time that it can (the years 1677 and 2262).
package activetokens

// Name and Version say what read model this is. Whatever changes the rows that the same events
// lead to raises Version.
const (
	Name    = "activetokens"
	Version = 2
)
