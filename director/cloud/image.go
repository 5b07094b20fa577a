package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"conpaas/client/api"
)

// ImageID names an image in its cloud; its form is the cloud's own.
type ImageID string

// ImageSpec is an image that is to be added.
type ImageSpec struct {
	Name         string          // for people
	Format       api.ImageFormat // of its bytes
	Architecture string          // as Debian names it, for example amd64
	Size         int64           // bytes
	SHA256       string          // of all bytes, lower-case hex
}

// Image is what a cloud knows of one image. Clouds that do not keep all of an ImageSpec leave the rest of it zero.
type Image struct {
	ImageSpec
	ID      ImageID
	Created time.Time // UTC
}

// Images is the ability to keep images that machines are launched from, by Spec.Image.
//
// AddImage reads the content to its end, which may take hours, and gives the id of an image that machines can be launched
// from. It reads by ImageSpec.Content: content that is not what spec announces is an error that wraps ErrContent. What failed,
// was cancelled or was cut off by the end of the director leaves no image, and nothing after the next start. Images gives the
// images that were added, like Provider.List. RemoveImage may be repeated and succeeds for an unknown id; a cloud whose
// machines need their image refuses with KindInUse, and names them. A machine that runs is never harmed.
type Images interface {
	Images(ctx context.Context) ([]Image, error)
	AddImage(ctx context.Context, spec ImageSpec, content io.Reader) (ImageID, error)
	RemoveImage(ctx context.Context, id ImageID) error
}

// ErrContent is wrapped by errors about the bytes of an image that are not those that were announced.
var ErrContent = errors.New("the image is not what was announced")

// Content gives the bytes of an image as long as they can be those that are announced: of any others at least the last byte is
// not given, and the error wraps ErrContent.
func (s ImageSpec) Content(from io.Reader) io.Reader {
	return &content{from: from, spec: s, sum: sha256.New()}
}

// content counts and digests what is read.
type content struct {
	from io.Reader
	spec ImageSpec
	sum  hash.Hash
	read int64
	err  error
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.from.Read(p)
	c.sum.Write(p[:n])
	c.read += int64(n)
	switch {
	case c.read > c.spec.Size:
		c.err = fmt.Errorf("%w: it has more than %d bytes", ErrContent, c.spec.Size)
	case errors.Is(err, io.EOF) && c.read < c.spec.Size:
		c.err = fmt.Errorf("%w: it has ended after %d of %d bytes", ErrContent, c.read, c.spec.Size)
	case n > 0 && c.read == c.spec.Size && c.digest() != c.spec.SHA256:
		c.err = fmt.Errorf("%w: the SHA-256 of what has come is %s, not %s", ErrContent, c.digest(), c.spec.SHA256)
	}
	if c.err != nil {
		return 0, c.err
	}
	return n, err
}

func (c *content) digest() string { return hex.EncodeToString(c.sum.Sum(nil)) }
