// Package credential leads from a presented refresh token to the aggregate it belongs to,
// in constant time and without a scan.
//
// # Rules
//
//   - K1: a native token is lt1_ and the unpadded base64url form (RFC 4648 §5) of session
//     id, generation and tag; the tag is a keyed BLAKE2b-256 over both. A forged
//     one is refused before anything is read.
//   - K2: a registered token is any other string of 16 to 512 VSCHAR (RFC 6749 appendix A.17).
//     Its fingerprint, a keyed BLAKE2b-256, names a pointer stream.
//   - K3: the newest key of the ring signs, all verify; tags and fingerprints live in
//     separate domains, so that one never passes for the other.
//   - K4: tags are compared in constant time.
//   - K5: a secret is a type that no verb, encoder or logger can print.
//   - K6: a key file that others can read is refused.
package credential
