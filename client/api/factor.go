package api

// TOTPBegin asks for a second factor: codes that change with the time (RFC 6238).
type TOTPBegin struct {
	Password Secret `json:"password"`
}

// TOTPSecret is a second factor that does not count before its first code has come.
type TOTPSecret struct {
	Secret Secret `json:"secret" doc:"For an authenticator, base 32"`
	URL    Secret `json:"url" doc:"The same as otpauth URL, for a QR code"`
}

// TOTPConfirm is the first code.
type TOTPConfirm struct {
	Code Secret `json:"code"`
}

// RecoveryCodes open the account in the place of codes, each once. They are not shown again.
type RecoveryCodes struct {
	Codes []Secret `json:"codes"`
}

// TOTPEnd takes the second factor away. Who takes away its own says password and code.
type TOTPEnd struct {
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty" doc:"Of the second factor, or a recovery code"`
}
