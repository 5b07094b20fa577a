package api

import "log/slog"

// Secret is text that must not be seen: it prints, formats and logs as ***. JSON carries it in clear,
// since a secret that travels is meant for its receiver; never put one into a type that is shown.
type Secret string

const masked = "***"

// String hides the secret.
func (Secret) String() string { return masked }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return masked }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// Reveal gives the text itself.
func (s Secret) Reveal() string { return string(s) }
