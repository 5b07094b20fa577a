package api

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSetting bounds the value of any setting, in bytes.
const MaxSetting = 4096

var (
	numberText = regexp.MustCompile(`^[0-9]{1,18}$`)
	sizeText   = regexp.MustCompile(`^([0-9]{1,18})([KMG]?)$`)
	nameText   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Parse gives a value of the setting in its usual form; the error says what a value may be. What is accepted has one line.
func (s Setting) Parse(value string) (string, error) {
	if len(value) > MaxSetting || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", fmt.Errorf("want at most %d bytes of text in one line", MaxSetting)
	}
	switch s.Kind {
	case SettingNumber:
		if !numberText.MatchString(value) {
			return "", fmt.Errorf("want a whole number from %s to %s", s.Min, s.Max)
		}
		return s.within(strconv.FormatInt(s.Amount(value), 10))
	case SettingSize:
		parts := sizeText.FindStringSubmatch(strings.ToUpper(value))
		if parts == nil {
			return "", fmt.Errorf("want a number of bytes from %s to %s, with the unit K, M or G, for example %s", s.Min, s.Max, s.Default)
		}
		digits := strings.TrimLeft(parts[1], "0")
		if digits == "" {
			digits = "0"
		}
		return s.within(digits + parts[2])
	case SettingSwitch:
		for _, form := range []string{SwitchOn, SwitchOff} {
			if strings.EqualFold(value, form) {
				return form, nil
			}
		}
		return "", errors.New("want On or Off")
	case SettingNames:
		var names []string
		for name := range strings.SplitSeq(value, ",") {
			name = strings.TrimSpace(name)
			if name == "" {
				continue
			}
			if !nameText.MatchString(name) {
				return "", fmt.Errorf("%q is no name; want names of letters, digits and '_' with commas between them", name)
			}
			names = append(names, name)
		}
		return strings.Join(names, ","), nil
	case SettingText:
	}
	return value, nil
}

// within refuses a value that is not between the bounds of the setting.
func (s Setting) within(value string) (string, error) {
	n := s.Amount(value)
	if s.Min != "" && n < s.Amount(s.Min) || s.Max != "" && n > s.Amount(s.Max) {
		return "", fmt.Errorf("%s is outside of its bounds; want %s to %s", value, s.Min, s.Max)
	}
	return value, nil
}

// Amount is the number that a value in its usual form stands for, of a setting of kind number or size: bytes, where it is a size.
func (s Setting) Amount(value string) int64 {
	unit := int64(1)
	if s.Kind == SettingSize {
		parts := sizeText.FindStringSubmatch(value)
		if parts == nil {
			return 0
		}
		value = parts[1]
		unit = map[string]int64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[parts[2]]
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	if n > math.MaxInt64/unit {
		return math.MaxInt64
	}
	return n * unit
}
