package httpapi

import "log/slog"

// Document describes the routes for the manager.
func Document() ([]byte, error) { return routes(nil, slog.New(slog.DiscardHandler)).OpenAPI() }
