// Package ui draws what people see of the command line programs: tables, lists of fields, JSON and YAML
// documents, progress, prompts and colours.
//
// Values that it shows come from other machines and are not trusted: control characters and terminal
// escapes are neutralised. It knows nothing of the director, of HTTP or of commands.
package ui
