package credential

import "log/slog"

// hidden stands wherever somebody prints a secret.
const hidden = "[secret]"

// Secret holds a token or key so that nothing prints it by accident (K5). The text sits in a
// closure: fmt prints an unexported string field of an outer struct in clear, whatever
// methods the field's type has, but of a function it prints an address at most.
type Secret struct{ reveal func() string }

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{reveal: func() string { return text }} }

// Reveal gives the text to the one place that must send or check it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String hides the text from %s and %v.
func (s Secret) String() string { return hidden }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return hidden }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
