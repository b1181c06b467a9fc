package esdb_test

import (
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// Ensure that with claims the adapter keeps the whole contract, but for positions without holes: what logoutd runs on.
func TestConformanceWithClaims(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) eventstore.Store {
		s, err := claims.New(open(t, config(newServer(t))), claims.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
		eventstoretest.Skip("E5", "positions are places in the server's log"),
		eventstoretest.Skip("model", "package claims proves it over a store in memory; through gRPC it takes half a minute"))
}
