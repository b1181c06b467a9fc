package credential_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/commands/credential"
)

const marker = "marker-of-a-secret"

// withExported and withUnexported are what a command and an adapter of it look like to an encoder.
type withExported struct {
	User  string
	Token credential.Secret
	Deep  struct{ List []credential.Secret }
}

type withUnexported struct {
	user  string
	token credential.Secret
	deep  struct{ list []*credential.Secret }
}

func secrets() map[string]any {
	s := credential.NewSecret(marker)
	exported := withExported{User: "alice", Token: s}
	exported.Deep.List = []credential.Secret{s}
	unexported := withUnexported{user: "alice", token: s}
	unexported.deep.list = []*credential.Secret{&s}
	return map[string]any{
		"itself": s, "a pointer": &s, "a list": []credential.Secret{s}, "a map": map[string]credential.Secret{"token": s},
		"an exported field": exported, "a pointer to a struct": &exported,
		"an unexported field": unexported, "a pointer to a struct with an unexported field": &unexported,
		"an error": errors.New(fmt.Sprint("wrong token ", s)), "nothing": credential.Secret{},
	}
}

// shows reports a text that has the secret in any spelling.
func shows(text string) bool {
	return strings.Contains(text, marker) ||
		strings.Contains(strings.ToLower(text), hex.EncodeToString([]byte(marker))) ||
		strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(marker))) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(marker)), "[]"))
}

func TestNoVerbPrintsASecret(t *testing.T) {
	t.Parallel()
	verbs := 0
	for name, value := range secrets() {
		for _, verb := range strings.Split("v +v #v T s q #q x X # x d b o O c U e E f F g G t p w", " ") {
			if text := fmt.Sprintf("%"+verb, value); shows(text) {
				t.Errorf("%%%s of %s prints the secret: %s", verb, name, text)
			}
			verbs++
		}
	}
	if verbs == 0 {
		t.Error("no verb was tried")
	}
}

func TestNoEncoderWritesASecret(t *testing.T) {
	t.Parallel()
	encoders := map[string]func(v any) ([]byte, error){
		"encoding/json":      json.Marshal,
		"json of experiment": func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		"slog text": func(v any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
			return b.Bytes(), nil
		},
		"slog json": func(v any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
			return b.Bytes(), nil
		},
		"zerolog": func(v any) ([]byte, error) {
			var b bytes.Buffer
			z := zerolog.New(&b)
			z.Info().Interface("v", v).Any("w", v).Str("s", fmt.Sprint(v)).Fields(map[string]any{"f": v}).Msgf("%v %+v", v, v)
			return b.Bytes(), nil
		},
	}
	for how, encode := range encoders {
		for name, value := range secrets() {
			// An encoder may refuse a value, but must not show it in doing so.
			b, err := encode(value)
			if shows(string(b)) || (err != nil && shows(err.Error())) {
				t.Errorf("%s of %s writes the secret: %s %v", how, name, b, err)
			}
		}
	}
}

func TestASecretIsShownAsOne(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(withExported{Token: credential.NewSecret(marker)})
	if err != nil || !strings.Contains(string(b), `"Token":"[secret]"`) {
		t.Errorf("%s %v", b, err)
	}
	if text := fmt.Sprint(credential.NewSecret(marker)); text != "[secret]" {
		t.Error(text)
	}
}

func TestRevealGivesTheTextBack(t *testing.T) {
	t.Parallel()
	if got := credential.NewSecret(marker).Reveal(); got != marker {
		t.Error(got)
	}
	if got := (credential.Secret{}).Reveal(); got != "" {
		t.Error(got)
	}
}
