package api

import "time"

// Login asks for a token.
type Login struct {
	Username string `json:"username"`
	Password Secret `json:"password"`
	Code     Secret `json:"code,omitempty" doc:"Of the second factor, or a recovery code; the answer second_factor asks for it"`
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
	TOTP     bool      `json:"totp" doc:"A login needs a code beside the password"`
	Created  time.Time `json:"created"`
	Profile
	Deleting *UserDeletion `json:"deleting,omitempty" doc:"It goes with the last of its applications"`
}

// UserDeletion is how far the deletion of a user with its applications is.
type UserDeletion struct {
	Since        time.Time `json:"since"`
	Applications []string  `json:"applications,omitempty" doc:"That are left, the first ten; only where one user is shown"`
}

// Profile is what is known of the person behind a user. Nothing depends on it.
type Profile struct {
	Email       string `json:"email,omitempty"`
	FirstName   string `json:"first_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	Affiliation string `json:"affiliation,omitempty"`
}

// UserCreate asks for a new user.
type UserCreate struct {
	Name     string   `json:"name" doc:"A letter, then letters, digits, '-', '_', '.' or single spaces"`
	Role     UserRole `json:"role,omitempty" doc:"user or admin; default user"`
	Password Secret   `json:"password" doc:"8 to 1024 bytes"`
	Credit   *int64   `json:"credit,omitempty" doc:"0 to MAX_CREDIT of the installation; default its INITIAL_CREDIT"`
	Profile
}

// UserChange changes what is not nil. Only an administrator changes Role and Disabled.
type UserChange struct {
	Role        *UserRole `json:"role,omitempty" doc:"user or admin"`
	Disabled    *bool     `json:"disabled,omitempty" doc:"true ends its tokens and closes the account"`
	Email       *string   `json:"email,omitempty"`
	FirstName   *string   `json:"first_name,omitempty"`
	LastName    *string   `json:"last_name,omitempty"`
	Affiliation *string   `json:"affiliation,omitempty"`
}

// PasswordChange gives a user another password. All its tokens end.
type PasswordChange struct {
	Old Secret `json:"old,omitempty" doc:"Needed by who changes its own"`
	New Secret `json:"new"`
}

// UserToken is a token without its text: that of a login, or one with a name, made for a program.
type UserToken struct {
	ID      int64      `json:"id"`
	Name    string     `json:"name,omitempty" doc:"Of a token made for a program; a login's has none"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Used    *time.Time `json:"used,omitempty" doc:"The last use, up to an hour too early"`
}

// TokenCreate asks for a token for a program.
type TokenCreate struct {
	Name    string `json:"name" doc:"What it is for; unique among the user's"`
	Seconds int64  `json:"seconds,omitempty" doc:"How long it is good: 60 to 31622400 (366 days); default 30 days"`
}

// TokenCreated is the answer to a TokenCreate. The token itself is not shown again.
type TokenCreated struct {
	UserToken
	Token Secret `json:"token" doc:"Goes into the Authorization header as Bearer"`
}

// UserExport is what the director knows of a user, without secrets.
type UserExport struct {
	User         User              `json:"user"`
	Tokens       []UserToken       `json:"tokens"`
	Certificates []UserCertificate `json:"certificates"`
	Credit       []CreditEntry     `json:"credit" doc:"Oldest first"`
	Applications []Application     `json:"applications"`
	Orphans      []Volume          `json:"orphans" doc:"Volumes that nothing needs any more, until they are destroyed"`
	Events       []Event           `json:"events" doc:"Oldest first; also of applications that are deleted"`
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
