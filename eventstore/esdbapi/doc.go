// Package esdbapi serves the gRPC protocol of EventStoreDB, at the level of version 24.10, over any
// eventstore.Store: so an audit consumer written with any official client works against logoutd as it
// does against a cluster.
package esdbapi
