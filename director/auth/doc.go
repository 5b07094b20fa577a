// Package auth holds what proves who a person is: passwords, tokens, and the brake on guessing them.
//
// It must not know the database, HTTP or users: it works on strings and addresses that its callers hand to it. Certificates
// are in package certs.
package auth
