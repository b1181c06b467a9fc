// Package credential leads from a presented refresh token to the aggregate it belongs to,
// in constant time and without a scan.
//
// # Rules
//
//   - K1: a native token is lt1_ and the unpadded base64url form (RFC 4648 §5) of session
//     id, generation and tag; the tag is a keyed BLAKE2b-256 over both. Nothing of a session is
//     read for a forged one.
//   - K2: a registered token is any other string of 16 to 512 VSCHAR (RFC 6749 appendix A.17).
//     Its fingerprint, a keyed BLAKE2b-256, names a pointer stream.
//   - K3: the active key mints, fingerprints and digests, all keys verify; tags, fingerprints, digests
//     and check values live in separate domains, so that one never passes for another.
//   - K4: tags and digests are compared in constant time.
//   - K5: a secret is a type that no verb, encoder or logger can print.
//   - K6: a key file that others can read, or with a line that was damaged, is refused.
//   - K7: the event store knows every key by its id and check value before the key makes anything.
//     A process that lacks one of them, or has another under its id, decides nothing about a token
//     that its own keys do not explain, and does not start.
//   - K8: the store decides which key is active; key files only move it forward. So processes whose
//     files differ for a while fingerprint with one key.
//   - K9: a key is never removed: what it made can be presented for ever.
package credential
