// Package directortest runs a real director in the test process: its real port with TLS, its real database in a
// temporary folder, and a cloud in memory whose machines are goroutines that join as real machines do.
//
// Its managers are as simple as can be (every machine that has joined serves); the real ones are tested by
// managertest and by the stories.
package directortest
