package wiretest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"conpaas/client/api"
)

// check holds what is true of every answer.
func (g Target) check(t *testing.T, s shot, answer *http.Response) {
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s: %d %s", s.op.ID, s.name, answer.StatusCode, fmt.Sprintf(format, args...))
	}
	id := answer.Header.Get(api.HeaderRequestID)
	if id == "" {
		wrong("has no request id")
	}
	if answer.StatusCode < 400 {
		if s.refused {
			wrong("want it refused")
		}
		return
	}
	if s.op.Method == http.MethodHead && answer.StatusCode < 500 {
		return // its answer has no body
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		wrong("breaks off: %v", err)
		return
	}
	if answer.StatusCode >= 500 && !g.May(s.op, answer.StatusCode) {
		wrong("%.300s", text)
		return
	}
	for _, problem := range g.problems(s, answer, text, id) {
		wrong("%s: %.300s", problem, text)
	}
}

// problems says what is wrong with an error answer.
func (g Target) problems(s shot, answer *http.Response, text []byte, id string) []string {
	var out []string
	var p api.Error
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&p)
	switch {
	case answer.Header.Get("Content-Type") != "application/problem+json" || err != nil:
		return []string{fmt.Sprintf("want a problem document (%s, %v)", answer.Header.Get("Content-Type"), err)}
	case p.Status != answer.StatusCode || p.Code == "" || p.Title == "" || p.Detail == "" || p.RequestID != id:
		out = append(out, "the problem document is not complete")
	case len(text) > problemMax:
		out = append(out, fmt.Sprintf("the problem document has %d bytes", len(text)))
	}
	if answer.StatusCode == http.StatusUnprocessableEntity && p.Code == api.CodeInvalid && s.at != "" && p.Field == "" {
		out = append(out, "it does not say which part is wrong")
	}
	if leak := internal.FindString(p.Detail + " " + p.Field); leak != "" {
		out = append(out, fmt.Sprintf("it shows the inside (%q)", leak))
	}
	for _, private := range g.Private {
		if strings.Contains(string(text), private) {
			out = append(out, fmt.Sprintf("it shows %q", private))
		}
	}
	return out
}
