package wire

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"conpaas/client/api"
)

// Decode reads the JSON body of a Raw route as strictly as a typed route does: one document, no unknown members
// (but of a lenient API), within the route's limit. Its errors are *api.Error.
func Decode(r *http.Request, into any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		e := api.Errorf(api.CodeInvalid, "the body must be application/json, not %.100q", r.Header.Get("Content-Type"))
		e.Status = http.StatusUnsupportedMediaType
		return e
	}
	decoder := json.NewDecoder(r.Body)
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); !ok || !x.lenient {
		decoder.DisallowUnknownFields()
	}
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); more == io.EOF {
			return nil
		}
		return api.InField("body", "there is more after the JSON document")
	}
	if known := describe(r.Context(), err); known.Code != api.CodeInternal {
		return &known
	}
	field, detail := misfit(err)
	return api.InField(field, "%s", detail)
}

// misfit says what is wrong with JSON, and in which member, in words of JSON: those of Go name types of the program.
func misfit(err error) (field, detail string) {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field = wrong.Field
		if field == "" {
			field = "body"
		}
		return field, "it cannot be a " + cut(wrong.Value, fieldMax)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "body", "there is no member " + cut(name, fieldMax)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "body", "the JSON document ends early"
	}
	return "body", strings.TrimPrefix(err.Error(), "json: ")
}

// jsonFormat reads and writes the bodies of typed routes.
func jsonFormat() huma.Format {
	return huma.Format{
		Marshal: huma.DefaultJSONFormat.Marshal,
		Unmarshal: func(text []byte, into any) error {
			err := json.Unmarshal(text, into)
			if err == nil {
				return nil
			}
			field, detail := misfit(err)
			if field != "body" {
				detail = field + ": " + detail
			}
			return errors.New(detail)
		},
	}
}
