package php

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// setting is one line of php.ini.
type setting struct {
	Name, Value string
}

// Text gives the value as php.ini takes it: quoted where it is a list, bare where PHP is to read a number or On and Off.
func (s setting) Text() string {
	if s.Name == "disable_functions" {
		return `"` + s.Value + `"`
	}
	return s.Value
}

var (
	shorthand  = regexp.MustCompile(`^([0-9]{1,10})([KMGkmg]?)$`) // PHP: "Shorthand byte values"
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// defaults are the values of settings that are not given.
var defaults = map[string]string{
	"max_execution_time": "30", "memory_limit": "128M", "upload_max_filesize": "2M", "post_max_size": "8M",
	"log_errors": "On", "display_errors": "Off", "disable_functions": "",
}

const maxFunctions = 8192 // bytes of disable_functions

// iniSettings gives every setting with its value, in order. The director has checked them for its user; here they
// are checked for the machine.
func iniSettings(given map[string]string) ([]setting, error) {
	for name := range given {
		if _, ok := defaults[name]; !ok {
			return nil, fmt.Errorf("%.80q is no setting of this service; those are %s", name, strings.Join(slices.Sorted(maps.Keys(defaults)), ", "))
		}
	}
	var all []setting
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		value, ok := given[name]
		if !ok {
			value = defaults[name]
		}
		if !validSetting(name, value) {
			return nil, fmt.Errorf("setting %s cannot be %.80q", name, value)
		}
		all = append(all, setting{name, value})
	}
	return all, nil
}

// validSetting gives the bounds: sizes and seconds as in the catalogue, and for all no character that ends a value.
func validSetting(name, value string) bool {
	switch name {
	case "max_execution_time":
		n, err := strconv.Atoi(value)
		return err == nil && value == strconv.Itoa(n) && 1 <= n && n <= 3600
	case "memory_limit":
		return sized(value, 16<<20, 4<<30)
	case "upload_max_filesize", "post_max_size":
		return sized(value, 1<<10, 4<<30)
	case "log_errors", "display_errors":
		return value == "On" || value == "Off"
	case "disable_functions":
		if len(value) > maxFunctions {
			return false
		}
		for f := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !identifier.MatchString(f) {
				return false
			}
		}
		return true
	}
	return false
}

func sized(value string, least, most int64) bool {
	m := shorthand.FindStringSubmatch(value)
	if m == nil {
		return false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[strings.ToUpper(m[2])]
	return err == nil && n <= most>>shift && least <= n<<shift
}
