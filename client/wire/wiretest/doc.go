// Package wiretest attacks an HTTP API with hostile requests that it makes from the API's own OpenAPI document: every
// parameter and every member of every body with values that are made to break something, and broken HTTP.
//
// It is for tests only. It knows no route and no component: who calls, and what names something that exists, it is told.
package wiretest
