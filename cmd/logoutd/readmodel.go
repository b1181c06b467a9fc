package main

import (
	"context"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
)

// newReadModel knows what --readmodel names: a file of this process, or a database that it may share
// with others. Whether it can be reached and used shows when its runner runs, and is no condition of a start.
func newReadModel(ctx context.Context, s *config.Serve) (activetokens.ReadModel, error) {
	if postgres.IsURL(s.ReadModel) {
		return postgres.New(ctx, postgres.Config{URL: s.ReadModel})
	}
	return sqlite.New(sqlite.Config{Path: s.ReadModelFile()})
}
