package api

import "time"

// CodeCredit says that the owner of an application cannot pay for its machines.
const CodeCredit Code = "insufficient_credit"

// Credit is what a user has and spends now. One credit pays for one machine for one hour that has begun.
type Credit struct {
	ID        UserID     `json:"id" doc:"Of the user"`
	User      string     `json:"user" doc:"Its name"`
	Balance   int64      `json:"balance" doc:"Credits that are left"`
	Unlimited bool       `json:"unlimited" doc:"An administrator, whose machines cost nothing; balance is kept for the case that it becomes a user"`
	Machines  int        `json:"machines" doc:"Machines that cost now, managers too: 1 credit each per hour"`
	Ends      *time.Time `json:"ends,omitempty" doc:"When an hour will not be paid and the applications stop, if nothing changes"`
	Low       bool       `json:"low" doc:"That is soon: in less than 6 hours"`
}

// CreditChange adds credits to a user's, or takes some.
type CreditChange struct {
	Amount int64  `json:"amount" doc:"Credits to add; negative: to take, no more than there are; at most 1000000000"`
	Reason string `json:"reason,omitempty" doc:"For the history; one line"`
}

// CreditChanged is the answer to a CreditChange.
type CreditChanged struct {
	Credit
	Entry CreditEntry `json:"entry" doc:"What was done; its amount is less than what was asked for where there was not so much to take"`
}

// CreditKind is why a balance has changed.
type CreditKind string

// The kinds of entries.
const (
	CreditInitial   CreditKind = "initial"   // a new user
	CreditGrant     CreditKind = "grant"     // by an administrator
	CreditHour      CreditKind = "hour"      // an hour of a machine has begun; 0 for an administrator
	CreditInherited CreditKind = "inherited" // 0: a replacement goes on in an hour that is paid
	CreditRefund    CreditKind = "refund"    // hour 0 of a machine that never joined
	CreditClosed    CreditKind = "closed"    // the user was deleted
)

// CreditEntry is one change of a user's balance. Entries never change.
type CreditEntry struct {
	ID          int64         `json:"id"`
	Time        time.Time     `json:"time"`
	Kind        CreditKind    `json:"kind" doc:"initial, grant, hour, inherited, refund or closed"`
	Amount      int64         `json:"amount"`
	Balance     int64         `json:"balance" doc:"After it"`
	Application ApplicationID `json:"application,omitempty"`
	Service     ServiceID     `json:"service,omitempty" doc:"0 for a manager"`
	Node        NodeID        `json:"node,omitempty"`
	Hour        int           `json:"hour" doc:"Of the node, from 0"`
	By          string        `json:"by,omitempty" doc:"Who did it, where it was a person"`
	Reason      string        `json:"reason,omitempty"`
}

// NodeCredit is what one node has cost.
type NodeCredit struct {
	Node        NodeID        `json:"node"`
	Application ApplicationID `json:"application"`
	Service     ServiceID     `json:"service" doc:"0 for a manager"`
	Hours       int           `json:"hours" doc:"That it has begun itself; a replacement goes on in an hour of its predecessor"`
	Credits     int64         `json:"credits" doc:"That were paid for it"`
	First       time.Time     `json:"first"`
	Last        time.Time     `json:"last"`
}
