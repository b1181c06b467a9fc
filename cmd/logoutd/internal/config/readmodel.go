package config

import (
	"fmt"
	"strings"

	"github.com/logoutd/logoutd/projections/activetokens/postgres"
)

const sqlitePrefix = "sqlite:"

// checkReadModel says whether --readmodel names one. Its password stays out of the error.
func checkReadModel(s string) error {
	if postgres.IsURL(s) || strings.HasPrefix(s, sqlitePrefix) && s != sqlitePrefix {
		return nil
	}
	return fmt.Errorf("--readmodel %s: want sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE", RedactReadModel(s))
}

// RedactReadModel shows --readmodel without credentials.
func RedactReadModel(s string) string {
	if strings.Contains(s, "://") {
		return postgres.Redact(s)
	}
	return s
}
