// Package conf puts the configurations of programs where they read them: each is tried by its program first, and has a mark
// by which a running program tells which one it has taken over.
//
// It knows no program and no service.
package conf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"conpaas/agent/host"
)

// reloadTime is for a new configuration to be in effect.
const reloadTime = 10 * time.Second

// MarkHere stands in templates where the mark goes: a name for the whole text, by which a running program tells
// which configuration it has taken over.
const MarkHere = "MARK-HERE"

// Marked puts the mark over all texts into the first.
func Marked(texts ...[]byte) (first []byte, mark string) {
	sum := sha256.Sum256(bytes.Join(texts, []byte{0}))
	mark = hex.EncodeToString(sum[:8])
	return bytes.ReplaceAll(texts[0], []byte(MarkHere), []byte(mark)), mark
}

// File is a program's configuration and how the program tries one.
type File struct {
	Name string // below the host's state directory
	Text []byte
	Mode fs.FileMode
	Try  func(path string) (output []byte, exit int, err error) // nil: the program cannot
}

// Install tries a configuration and puts it where the program reads it. One that the program refuses changes
// nothing; the error has the program's words.
func Install(h *host.Host, f File) error {
	if old, err := h.State().Read(f.Name, 16<<20); err == nil && bytes.Equal(old, f.Text) {
		return nil // it was tried when it came
	}
	dir, name := path.Split(f.Name)
	candidate := dir + "new-" + name
	if _, err := h.State().Write(candidate, f.Text, f.Mode); err != nil {
		return err
	}
	if f.Try != nil {
		path := h.State().Path(candidate)
		output, exit, err := f.Try(path)
		if err == nil && exit != 0 {
			err = fmt.Errorf("the program refuses the new %s, and goes on with the old one: %s", name, strings.ReplaceAll(Words(output), path, name))
		}
		if err != nil {
			return errors.Join(err, h.State().Remove(candidate))
		}
	}
	return h.State().Rename(candidate, f.Name)
}

// Words gives a program's output as one text of bounded size.
func Words(output []byte) string {
	const most = 2000
	text := strings.TrimSpace(strings.ToValidUTF8(string(output), "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}

// Await asks until the answer is mark, for a few seconds at most.
func Await(ctx context.Context, mark string, ask func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := ask(ctx)
		if err == nil && got == mark {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("after %s the answer is %q and not %q", reloadTime, got, mark), err)
		case <-ticker.C:
		}
	}
}
