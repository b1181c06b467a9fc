// Package bench loads a running logoutd with real commands over NATS, and in the same run, through the
// same server, with the same payload and the same load generator, a bare echo: the machine's
// own ceiling. What counts is their ratio; absolute figures belong to one machine and one moment.
package bench
