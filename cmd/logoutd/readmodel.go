package main

import (
	"context"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
)

// openReadModel opens what --readmodel names: a file of this process, or a database that it may
// share with others.
func openReadModel(ctx context.Context, s *config.Serve) (activetokens.ReadModel, error) {
	if postgres.IsURL(s.ReadModel) {
		return postgres.Open(ctx, postgres.Config{URL: s.ReadModel})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: s.ReadModelFile()})
}
