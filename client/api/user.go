package api

import "time"

// Login asks for a token.
type Login struct {
	Username string `json:"username"`
	Password Secret `json:"password"`
}

// Token is the answer to a Login. The token goes into the Authorization header as Bearer.
type Token struct {
	Token   Secret    `json:"token"`
	Expires time.Time `json:"expires"`
	User    User      `json:"user"`
}

// User is a person or program that uses the installation.
type User struct {
	ID      UserID    `json:"id"`
	Name    string    `json:"name"`
	Role    UserRole  `json:"role"`
	Created time.Time `json:"created"`
}

// UserRole is what a user may do beyond its own applications.
type UserRole string

// The roles of users.
const (
	RoleUser  UserRole = "user"
	RoleAdmin UserRole = "admin"
)

// Version tells what a component runs.
type Version struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol" doc:"Version of the protocol between components"`
}
