package api

import "time"

// ShareLevel is what a share lets its user do with an application.
type ShareLevel string

// The levels of shares. What they leave out is for the owner alone: deleting and renaming the application, removing its
// services, and sharing it.
const (
	ShareView    ShareLevel = "view"    // see state, machines, events, logs
	ShareOperate ShareLevel = "operate" // and start, stop, scale, configure, upload code, run commands on machines
)

// Share lets a user who does not own an application use it.
type Share struct {
	Application ApplicationID `json:"application"`
	User        string        `json:"user" doc:"User name"`
	Level       ShareLevel    `json:"level" doc:"view or operate"`
	Created     time.Time     `json:"created"`
}

// ShareChange asks for a share.
type ShareChange struct {
	Level ShareLevel `json:"level,omitempty" doc:"view or operate; default view"`
}
