// Package postgrestest starts a PostgreSQL server for a test: a temporary cluster on a socket in a
// temporary folder, as an unprivileged user where the test is root, gone when the test ends.
package postgrestest
