// Package api is the contract between the client, the director, the managers and the agents:
// the types of every request, answer and stream, the error codes, and the service catalogue.
//
// It holds types only and imports nothing but the standard library. It knows nothing of HTTP
// routers, databases or clouds. Times are UTC; sizes are bytes unless a name says otherwise.
package api
