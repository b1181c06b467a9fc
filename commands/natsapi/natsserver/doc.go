// Package natsserver embeds a NATS server, so that logoutd runs by itself on one machine. It is
// transport only: JetStream stays off, and nothing is stored.
//
// The embedded server has no users and therefore listens on loopback addresses only. For
// anything else, run a NATS server and name it with --nats-url.
package natsserver
