// Package refreshtoken decides what may happen to the refresh tokens of one session.
//
// The aggregate is the whole family: the token first issued and every successor by
// rotation. Logging out, revoking and rotating are therefore one atomic append on one
// stream, and a session cannot end while a token of it lives on.
//
// Everything here is a value. A decision is a pure function from [State] and a
// request to events or an error; [State.Apply] folds events and never judges them, so that
// history stays loadable whatever today's rules are. Time, identifiers and randomness
// come in as values. Imports are a handful of standard packages.
//
// # Invariants
//
//   - R1: a family is issued once, and nothing else happens to it before.
//   - R2: revoked is terminal. No decision on a revoked family yields an event of the family.
//   - R3: the generation rises by one with each rotation, and only then.
//   - R4: the owner's logout of a live family, in any generation, expired or not, yields
//     UserLogoutAttempted, TokenRevoked (reason logout) and UserLogoutSucceeded, in that order.
//   - R5: a logout by anybody but the owner is refused and changes nothing.
//   - R6: a logout checks existence, then ownership, then revocation.
//   - R7: no token of a family expires after the absolute expiry of the family.
//   - R8: session, owner, client, kind, time of issue and absolute expiry never change.
//   - R9: Apply is total: any event on any state gives a state.
package refreshtoken
