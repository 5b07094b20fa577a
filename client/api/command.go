package api

import "slices"

// CommandKind is something that the machines of a service can be told to do. A command is part of what they are told to be,
// with a number: whatever is restarted meanwhile, each of them begins it once.
type CommandKind struct {
	Name string      `json:"name"`
	Help string      `json:"help"`
	When CommandTime `json:"when" doc:"When it is let through"`
}

// CommandTime says when a command is let through.
type CommandTime string

// The times of commands.
const (
	CommandIdle CommandTime = "idle" // while no program of the service's code runs on any machine
	CommandBusy CommandTime = "busy" // while some runs
)

// Bounds of the parameters of a command.
const (
	MaxCommandParams = 64
	MaxCommandBytes  = 16 << 10 // of all of them
)

// CommandRun is the body of POST …/commands/{command}.
type CommandRun struct {
	Parameters []string `json:"parameters,omitempty" doc:"Its arguments: at most 64 of 16 KiB together"`
}

// Command is a command on its way to machines.
type Command struct {
	Number     uint64   `json:"number" doc:"Greater than that of every earlier command of the service"`
	Name       string   `json:"name"`
	Parameters []string `json:"parameters,omitempty"`
	Nodes      []NodeID `json:"nodes,omitempty" doc:"Whom it is for"`
}

// CommandStatus is what a manager says of the commands of a service.
type CommandStatus struct {
	Number  uint64           `json:"number,omitempty" doc:"The command that every machine it is for has begun or refused; 0 for none"`
	Refused string           `json:"refused,omitempty" doc:"Why a machine has refused it"`
	Lacks   []string         `json:"lacks,omitempty" doc:"The commands that the code in use has no program for"`
	Running []RunningProgram `json:"running,omitempty" doc:"Programs of the code that run now"`
}

// RunningProgram is a program that runs on a machine.
type RunningProgram struct {
	Node NodeID `json:"node"`
	Name string `json:"name"`
}

// FindCommand gives a command of the type.
func (k ServiceKind) FindCommand(name string) (CommandKind, bool) {
	i := slices.IndexFunc(k.Commands, func(c CommandKind) bool { return c.Name == name })
	if i < 0 {
		return CommandKind{}, false
	}
	return k.Commands[i], true
}
