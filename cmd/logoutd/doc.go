// Command logoutd ends sessions: truthfully, once, fast, and with a record that nobody can
// argue with. This package is the composition root: one file per subcommand; serve.go reads
// like a parts list. It is the only place that knows every other.
//
// Exit status: 0 done, 1 failed, 2 used wrongly.
package main
