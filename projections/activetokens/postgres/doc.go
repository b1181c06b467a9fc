// Package postgres keeps the read model of package activetokens in a PostgreSQL database, for
// several processes that share it and for whoever reads it with tools.
//
// # Rules
//
//   - PG1: one process at a time applies. Its turn is an advisory lock on a connection of its own,
//     asked for again and again and not waited for: a statement that waits for hours holds back
//     what vacuum may remove. The turn keeps order; the epoch in the checkpoint, compared under a row
//     lock in every transaction that applies, keeps the read model right (P2, P3).
//   - PG2: a batch is one transaction of a few statements, each of which carries its rows as arrays.
//   - PG3: an answer is of one snapshot (A10): reads are repeatable and read only.
//   - PG4: the tables are in a schema of their own, made by whoever comes first. A schema with other
//     tables or of another version is refused and never changed. It is not migrated either: what
//     comes from events is rebuilt, in another schema, while the older one still serves.
//   - PG5: a server that is away is waited for; one that refuses says what to do. Open fails only
//     where waiting cannot help.
//   - PG6: no error, location or log line shows the password.
//   - PG7: a batch, a look and a connection take a bounded time, so that a server that has fallen
//     silent is an error and not a silence. The server in turn gives up on a client that vanished in
//     the middle of a transaction, or with the turn.
//
// A connection pooler must keep sessions: in transaction mode the lock of PG1 would belong to anybody.
package postgres
