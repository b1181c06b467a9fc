// Package keyring decides what may happen to the keys that tokens are minted and recognised
// with. The history knows every key by its id and a check value, so that any number of
// processes agree on which keys there are; the keys themselves are in key files, and nowhere else.
//
// Everything here is a value, and a decision is a pure function, as in package refreshtoken.
//
// # Invariants
//
//   - Y1: a key that was announced stays announced: what it signed can be presented for ever.
//   - Y2: an id stands for one key. Announcing it with another check value is refused.
//   - Y3: a status only moves forward: next, active, retired. A process whose key file is behind takes
//     nothing back.
//   - Y4: one key is active, the one that was made active last, from the first announcement on.
//   - Y5: Apply is total: any event on any state gives a state.
package keyring
