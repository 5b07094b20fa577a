// Package imagetest boots images that cpsimage has made, by the programs of bin: make test-images runs it. It holds tests
// only, which take minutes where processors are emulated.
package imagetest
