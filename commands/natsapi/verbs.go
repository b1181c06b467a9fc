package natsapi

import (
	"cmp"
	"context"
	"embed"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
)

// Processor is what the service puts on NATS.
type Processor interface {
	LogoutUser(ctx context.Context, c commands.LogoutUser) (commands.LogoutReceipt, error)
	IssueRefreshToken(ctx context.Context, c commands.IssueRefreshToken) (commands.IssueReceipt, error)
	RegisterRefreshToken(ctx context.Context, c commands.RegisterRefreshToken) (commands.RegisterReceipt, error)
}

//go:embed schema/*.json
var schemas embed.FS

// verb is one endpoint. needs are members without which nothing is a command of it; empty makes one to
// decode into.
type verb struct {
	name  string
	needs [2]string
	empty func() wire
}

// wire is a command as it is sent.
type wire interface {
	read(h nats.Header, data []byte, whole any) (uuid.UUID, error)
	job(p Processor, id uuid.UUID, h nats.Header) (job, error)
}

// job is a command that is ready to run, and whose it is.
type job struct {
	token        string // commands of one token run in order
	user, client string
	run          func(ctx context.Context) ([]byte, error)
}

func verbs() []verb {
	return []verb{
		{VerbLogoutUser, [2]string{"user_id", "refresh_token"}, func() wire { return &logoutUser{} }},
		{VerbIssueRefreshToken, [2]string{"user_id"}, func() wire { return &issueRefreshToken{} }},
		{VerbRegisterRefreshToken, [2]string{"user_id", "expires_at"}, func() wire { return &registerRefreshToken{} }},
	}
}

// decode reads a command and returns its id, which may be known even where the command is invalid, and the
// job that carries it out.
func (v verb) decode(p Processor, h nats.Header, data []byte) (uuid.UUID, job, error) {
	w := v.empty()
	id, err := w.read(h, data, w)
	if err != nil {
		return id, job{}, err
	}
	j, err := w.job(p, id, h)
	return id, j, err
}

type logoutUser struct {
	envelope
	UserID       *string `json:"user_id"`
	RefreshToken *string `json:"refresh_token"`
}

func (w *logoutUser) job(p Processor, id uuid.UUID, h nats.Header) (job, error) {
	user, err := parseUser(w.UserID)
	if err != nil {
		return job{}, err
	}
	token, err := required("refresh_token", w.RefreshToken)
	if err != nil {
		return job{}, err
	}
	c := commands.LogoutUser{Envelope: w.convert(id, h), UserID: user, RefreshToken: credential.NewSecret(token)}
	return job{family(token), user.String(), c.Client.IPAddress, func(ctx context.Context) ([]byte, error) {
		receipt, err := p.LogoutUser(ctx, c)
		return logoutReply(receipt), err
	}}, nil
}

type issueRefreshToken struct {
	envelope
	UserID     *string `json:"user_id"`
	ClientID   *string `json:"client_id"`
	TTLSeconds *uint32 `json:"ttl_seconds"`
}

func (w *issueRefreshToken) job(p Processor, id uuid.UUID, h nats.Header) (job, error) {
	user, err := parseUser(w.UserID)
	if err != nil {
		return job{}, err
	}
	client, err := refreshtoken.ParseClientID(text(w.ClientID))
	if err != nil {
		return job{}, &commands.InvalidError{Field: "client_id", Problem: err.Error()}
	}
	c := commands.IssueRefreshToken{Envelope: w.convert(id, h), UserID: user, ClientID: client}
	if w.TTLSeconds != nil {
		if c.TTL = time.Duration(*w.TTLSeconds) * time.Second; c.TTL == 0 {
			c.TTL = -1 // zero would mean the default
		}
	}
	return job{id.String(), user.String(), cmp.Or(c.Client.IPAddress, text(w.ClientID)), func(ctx context.Context) ([]byte, error) {
		receipt, err := p.IssueRefreshToken(ctx, c)
		return issueReply(receipt), err
	}}, nil
}

type registerRefreshToken struct {
	envelope
	UserID       *string `json:"user_id"`
	RefreshToken *string `json:"refresh_token"`
	Fingerprint  *string `json:"fingerprint"`
	ExpiresAt    *string `json:"expires_at"`
	SessionID    *string `json:"session_id"`
}

func (w *registerRefreshToken) job(p Processor, id uuid.UUID, h nats.Header) (job, error) {
	c, err := w.command(id, h)
	if err != nil {
		return job{}, err
	}
	token := text(w.RefreshToken) + text(w.Fingerprint)
	return job{token, text(w.UserID), c.Client.IPAddress, func(ctx context.Context) ([]byte, error) {
		receipt, err := p.RegisterRefreshToken(ctx, c)
		return registerReply(receipt), err
	}}, nil
}

func (w *registerRefreshToken) command(id uuid.UUID, h nats.Header) (c commands.RegisterRefreshToken, err error) {
	c.Envelope = w.convert(id, h)
	if c.UserID, err = parseUser(w.UserID); err != nil {
		return c, err
	}
	expires, err := required("expires_at", w.ExpiresAt)
	if err != nil {
		return c, err
	}
	if c.ExpiresAt, err = time.Parse(time.RFC3339Nano, expires); err != nil {
		return c, &commands.InvalidError{Field: "expires_at", Problem: "must be a time as in RFC 3339"}
	}
	if w.SessionID != nil {
		if c.SessionID, err = refreshtoken.ParseSessionID(*w.SessionID); err != nil || c.SessionID.IsZero() {
			return c, &commands.InvalidError{Field: "session_id", Problem: "must be a UUID of 36 characters"}
		}
	}
	if w.Fingerprint != nil {
		if c.Fingerprint, err = credential.ParseFingerprint(*w.Fingerprint); err != nil {
			return c, &commands.InvalidError{Field: "fingerprint", Problem: "must be 64 lower-case hexadecimal digits"}
		}
	}
	c.RefreshToken = credential.NewSecret(text(w.RefreshToken))
	return c, nil
}

func parseUser(s *string) (refreshtoken.UserID, error) {
	name, err := required("user_id", s)
	if err != nil {
		return refreshtoken.UserID{}, err
	}
	user, err := refreshtoken.ParseUserID(name)
	if err != nil {
		return user, &commands.InvalidError{Field: "user_id", Problem: err.Error()}
	}
	return user, nil
}

// sessionChars is how many characters of a native token stand for nothing but its session id.
const sessionChars = len(credential.NativePrefix) + 16*8/6

// family is the part of a token that all generations of a native one have in common.
func family(token string) string {
	if strings.HasPrefix(token, credential.NativePrefix) && len(token) > sessionChars {
		return token[:sessionChars]
	}
	return token
}
