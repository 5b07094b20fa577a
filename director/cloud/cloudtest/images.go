package cloudtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// RunImages holds a cloud to the rules about images alone; Run does, too.
func RunImages(t *testing.T, open func(t *testing.T) cloud.Provider, o Options) {
	s := newSuite(open, o)
	if _, able := open(t).(cloud.Images); able == o.NoImages {
		t.Fatalf("the cloud keeps images: %t; Options.NoImages says %t", able, o.NoImages)
	}
	t.Run("unknown image", s.unknownImage)
	if o.NoImages {
		return
	}
	t.Run("life of an image", s.imageLife)
	t.Run("wrong image", s.wrongImage)
	t.Run("cancelled image", s.cancelledImage)
	t.Run("images restart", s.imagesRestart)
	t.Run("machine of an image", s.imageMachine)
}

// image makes an image of some content: what boots where the options have it.
func (s *suite) image(name string, content []byte) cloud.ImageSpec {
	sum := sha256.Sum256(content)
	return cloud.ImageSpec{
		Name: name, Format: cmp.Or(s.ImageFormat, api.ImageRootFS), Architecture: cmp.Or(s.Architecture, "amd64"),
		Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
	}
}

// add adds an image.
func (s *suite) add(t *testing.T, p cloud.Provider, name string, content []byte) cloud.ImageID {
	t.Helper()
	id, err := p.(cloud.Images).AddImage(t.Context(), s.image(name, content), bytes.NewReader(content))
	if err != nil || id == "" {
		t.Fatalf("add image %s: id %q, %v", name, id, err)
	}
	return id
}

// images gives the ids of all images, sorted.
func (s *suite) images(t *testing.T, p cloud.Provider) []cloud.ImageID {
	t.Helper()
	list, err := p.(cloud.Images).Images(t.Context())
	if err != nil {
		t.Fatalf("images: %v", err)
	}
	ids := []cloud.ImageID{}
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

// unknownImage: no machine is launched from what is not there.
func (s *suite) unknownImage(t *testing.T) {
	p := s.open(t)
	spec := s.spec(1)
	spec.Image = "no-such-image"
	if _, err := p.Launch(t.Context(), spec); s.wrong(t, err) != cloud.KindNotFound {
		t.Errorf("launch from an unknown image: %v", err)
	}
	if list := s.listed(t, p); len(list) != 0 {
		t.Errorf("launch from an unknown image made %v", list)
	}
	if i, ok := p.(cloud.Images); ok {
		if err := i.RemoveImage(t.Context(), "no-such-image"); err != nil {
			t.Errorf("remove an unknown image: %v", err)
		}
	}
}

// imageLife: added, listed as it was announced, removed, and removed again. The same content twice is two images.
func (s *suite) imageLife(t *testing.T) {
	p := s.open(t)
	before := time.Now().Add(-time.Minute)
	content := bytes.Repeat([]byte("an image "), 1<<16)
	first, second := s.add(t, p, "first", content), s.add(t, p, "second", content)
	if first == second {
		t.Fatalf("two images have the id %s", first)
	}
	list, err := p.(cloud.Images).Images(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("images: %v, %v", list, err)
	}
	for _, i := range list {
		want := s.image("first", content)
		if i.ID == second {
			want.Name = "second"
		}
		if i.ImageSpec != want || i.Created.Before(before) || i.Created.After(time.Now().Add(time.Minute)) || i.Created.Location() != time.UTC {
			t.Errorf("listed as %+v, want %+v of now in UTC", i, want)
		}
	}
	for range 2 {
		if err := p.(cloud.Images).RemoveImage(t.Context(), first); err != nil {
			t.Fatalf("remove image %s: %v", first, err)
		}
	}
	if diff := gocmp.Diff([]cloud.ImageID{second}, s.images(t, p)); diff != "" {
		t.Error(diff)
	}
}

// wrongImage: what is not as announced, or breaks off, leaves nothing.
func (s *suite) wrongImage(t *testing.T) {
	p := s.open(t)
	content := bytes.Repeat([]byte("an image "), 1<<14)
	cut := errors.New("the sender has gone")
	for name, from := range map[string]io.Reader{
		"short":        bytes.NewReader(content[:len(content)-1]),
		"empty":        bytes.NewReader(nil),
		"long":         io.MultiReader(bytes.NewReader(content), bytes.NewReader([]byte("x"))),
		"other digest": io.MultiReader(bytes.NewReader(content[:len(content)-1]), bytes.NewReader([]byte("x"))),
		"cut off":      io.MultiReader(bytes.NewReader(content[:1000]), broken{cut}),
	} {
		_, err := p.(cloud.Images).AddImage(t.Context(), s.image(name, content), from)
		switch kind := s.wrong(t, err); {
		case name == "cut off" && !errors.Is(err, cut):
			t.Errorf("%s: %v", name, err)
		case name != "cut off" && (kind != cloud.KindPermanent || !errors.Is(err, cloud.ErrContent)):
			t.Errorf("%s: %v, want %v", name, err, cloud.ErrContent)
		}
		if ids := s.images(t, p); len(ids) != 0 {
			t.Errorf("%s: it left %v", name, ids)
		}
	}
}

// broken is a reader that fails.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// cancelledImage: calls with a cancelled context say so, and one that is cancelled under way leaves nothing.
func (s *suite) cancelledImage(t *testing.T) {
	p := s.open(t)
	content := bytes.Repeat([]byte("an image "), 1<<14)
	kept := s.add(t, p, "kept", content)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ends := io.MultiReader(bytes.NewReader(content[:1000]), ender(cancel), bytes.NewReader(content[1000:]))
	_, under := p.(cloud.Images).AddImage(ctx, s.image("under way", content), ends)
	_, before := p.(cloud.Images).AddImage(ctx, s.image("before", content), bytes.NewReader(content))
	_, list := p.(cloud.Images).Images(ctx)
	for op, err := range map[string]error{
		"add under way": under, "add": before, "list": list, "remove": p.(cloud.Images).RemoveImage(ctx, kept),
	} {
		if s.wrong(t, err) != cloud.KindTransient {
			t.Errorf("cancelled %s: %v, want an error of kind %s", op, err, cloud.KindTransient)
		}
	}
	if diff := gocmp.Diff([]cloud.ImageID{kept}, s.images(t, p)); diff != "" {
		t.Error(diff)
	}
}

// ender ends a context when it is read.
type ender context.CancelFunc

func (e ender) Read([]byte) (int, error) {
	e()
	return 0, io.EOF
}

// imagesRestart: images are there after a restart, as they were.
func (s *suite) imagesRestart(t *testing.T) {
	p := s.open(t)
	s.add(t, p, "one", []byte("content"))
	before, err := p.(cloud.Images).Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Reopen != nil {
		p = s.Reopen(t, p)
	}
	after, err := p.(cloud.Images).Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(before, after); diff != "" {
		t.Errorf("the images before and after a restart: %s", diff)
	}
}

// imageMachine: a machine starts from an image, and whoever removes that meanwhile does not harm it.
func (s *suite) imageMachine(t *testing.T) {
	if s.BootImage == nil {
		t.Logf("no image to boot is given by Options.BootImage")
		return
	}
	p := s.open(t)
	image := s.add(t, p, "boots", s.BootImage(t))
	spec := s.spec(1)
	spec.Image = string(image)
	id, err := p.Launch(t.Context(), spec)
	if err != nil {
		t.Fatalf("launch from image %s: %v", image, err)
	}
	s.running(t, p, id)
	if err := p.(cloud.Images).RemoveImage(t.Context(), image); err != nil && s.wrong(t, err) != cloud.KindInUse {
		t.Errorf("remove the image of a machine: %v", err)
	}
	if s.Reopen != nil {
		p = s.Reopen(t, p)
	}
	s.running(t, p, id)
	s.terminate(t, p, id)
	if err := p.(cloud.Images).RemoveImage(t.Context(), image); err != nil {
		t.Errorf("remove the image when the machine is gone: %v", err)
	}
	if ids := s.images(t, p); len(ids) != 0 {
		t.Errorf("left are the images %v", ids)
	}
}
