package api

import "time"

// AuditEntry is one line of the audit log: who did or tried what. Credential, Address and Agent of others are there for
// administrators only.
type AuditEntry struct {
	ID          int64         `json:"id"`
	Time        time.Time     `json:"time"`
	Who         string        `json:"who" doc:"A user's name, or for example agent n2, anonymous"`
	Credential  string        `json:"credential,omitempty" doc:"By what it is known, for example token ci (3)"`
	Address     string        `json:"address,omitempty" doc:"IP address that the request came from"`
	Agent       string        `json:"agent,omitempty" doc:"What the program calls itself"`
	Request     string        `json:"request,omitempty" doc:"Id of the request, by which logs know it"`
	Action      string        `json:"action" doc:"Id of the route, for example start-application"`
	Application ApplicationID `json:"application,omitempty"`
	Object      string        `json:"object,omitempty" doc:"What it is about, for people"`
	Changes     []AuditChange `json:"changes,omitempty" doc:"Secrets are masked"`
	Outcome     string        `json:"outcome" doc:"done, or the code of the refusal"`
	Detail      string        `json:"detail,omitempty" doc:"Of the refusal"`
	Count       int64         `json:"count" doc:"How many requests it stands for: refusals that come in floods are counted"`
}

// AuditChange is one thing that a request has changed.
type AuditChange struct {
	What   string `json:"what"`
	Before string `json:"before,omitempty" doc:"Empty where there was nothing"`
	After  string `json:"after,omitempty"`
}
