package httpapi

import "log/slog"

// Document describes the routes for the director.
func Document() ([]byte, error) {
	return routes(nil, nil, nil, nil, slog.New(slog.DiscardHandler)).OpenAPI()
}
