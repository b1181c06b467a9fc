package natsapi

import (
	"fmt"
	"strings"
)

// ServiceName is the name under which the service is discovered.
const ServiceName = "logoutd"

// DefaultSubjectPrefix begins every subject unless --subject-prefix says otherwise.
const DefaultSubjectPrefix = "auth"

// MaxCommandBytes is the largest command that is looked at.
const MaxCommandBytes = 64 << 10

// The verbs.
const (
	VerbLogoutUser           = "logout_user"
	VerbIssueRefreshToken    = "issue_refresh_token"
	VerbRegisterRefreshToken = "register_refresh_token"
)

// Subject is where a verb is asked for.
func Subject(prefix, verb string) string { return prefix + ".commands.v1." + verb }

// CheckSubjectPrefix says whether a prefix can begin a subject.
func CheckSubjectPrefix(prefix string) error {
	for token := range strings.SplitSeq(prefix, ".") {
		if token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return fmt.Errorf("subject prefix %q: use letters, digits, _ and -, in parts separated by dots", prefix)
		}
	}
	return nil
}
