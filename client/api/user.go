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
	ID       UserID    `json:"id"`
	Name     string    `json:"name"`
	Role     UserRole  `json:"role"`
	Disabled bool      `json:"disabled" doc:"It may not log in, and its tokens have ended"`
	Created  time.Time `json:"created"`
	Profile
}

// Profile is what is known of the person behind a user. Nothing depends on it.
type Profile struct {
	Email       string `json:"email,omitempty"`
	FirstName   string `json:"first_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	Affiliation string `json:"affiliation,omitempty"`
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
