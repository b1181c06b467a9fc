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
//   - PG4: the tables are in a schema of their own, named by search_path and the version of the read
//     model, as in logoutd_2, and made by the process that comes first. So processes of two versions, each
//     with its own, work side by side while one is replaced by the other. A schema with other
//     tables, or of another store, is refused and never changed: it may be somebody else's.
//   - PG5: a server that is away, or refuses, is waited for, and the error says what to do. New fails
//     only where the URL makes no sense. A schema that is dropped is made and filled again.
//   - PG6: no error, location or log line shows the password.
//   - PG7: a batch, a read, a look and a connection take a bounded time, so that a server that has fallen
//     silent is an error and not a silence. The server in turn gives up on a client that vanished in
//     the middle of a transaction, or with the turn.
//
// A connection pooler must keep sessions: in transaction mode the lock of PG1 would belong to anybody.
package postgres
