package app

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// imagesAtOnce is how many images one cloud receives at once.
const imagesAtOnce = 2

// afterwards is how long it may take to write down an image that its cloud has taken, or to remove it again.
const afterwards = time.Minute

// ImageUpload is an image on its way, and what is said of it.
type ImageUpload struct {
	Name         string
	Format       api.ImageFormat
	Architecture string
	SHA256       string
	Services     []api.ServiceType // empty: not told
	Version      string
	Use          bool  // new machines start from it
	Size         int64 // bytes of Body
	Body         io.Reader
}

var (
	imageFormat       = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)
	imageArchitecture = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,15}$`)
)

func (in ImageUpload) check() error {
	text := func(s string) bool {
		return len(s) <= 120 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
	}
	switch {
	case strings.TrimSpace(in.Name) == "" || !text(in.Name):
		return api.InField("query.name", "want a name of at most 120 bytes of printable text")
	case !imageFormat.MatchString(string(in.Format)):
		return api.InField("query.format", "want the format of the image, for example %s, %s or %s", api.ImageRootFS, api.ImageRaw, api.ImageQCOW2)
	case !imageArchitecture.MatchString(in.Architecture):
		return api.InField("query.architecture", "want the architecture as Debian names it, for example amd64")
	case !digest.MatchString(in.SHA256):
		return api.InField("query.sha256", "%.80q is no SHA-256 in lower case", in.SHA256)
	case !text(in.Version):
		return api.InField("query.version", "want at most 120 bytes of printable text")
	case in.Size < 1:
		return api.InField("body", "say by Content-Length how many bytes the image has")
	case in.Size > api.MaxImage:
		return api.Errorf(api.CodeTooLarge, "the image has more than %d GiB", int64(api.MaxImage)>>30)
	}
	for _, t := range in.Services {
		if _, ok := api.FindServiceKind(t); !ok {
			return api.InField("query.services", "there is no service type %.80q", t)
		}
	}
	return nil
}

// PublishImage gives an image to a cloud as it comes. Only when the cloud has all of it, it is written down; before that nothing is
// left of what fails. A director that ends between the two leaves an image that is listed as unknown and can be removed.
func (d *Director) PublishImage(ctx context.Context, a Actor, name string, in ImageUpload) (api.Image, error) {
	p, images, err := d.keeping(name)
	if err != nil {
		return api.Image{}, err
	}
	if err := in.check(); err != nil {
		return api.Image{}, err
	}
	select {
	case p.uploads <- struct{}{}:
		defer func() { <-p.uploads }()
	default:
		return api.Image{}, api.Errorf(api.CodeThrottled, "%d images are being published to cloud %q already; try again", imagesAtOnce, name)
	}
	spec := cloud.ImageSpec{Name: in.Name, Format: in.Format, Architecture: in.Architecture, Size: in.Size, SHA256: in.SHA256}
	id, err := images.AddImage(ctx, spec, in.Body)
	if err != nil {
		return api.Image{}, cloudProblem(err)
	}
	// Who has sent it may leave now: it is there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	p.images.Lock()
	defer p.images.Unlock()
	var i store.Image
	err = d.store.Update(ctx, "image.published", func(tx *store.Tx) error {
		i, err = tx.AddImage(store.Image{
			Cloud: name, ID: string(id), Name: in.Name, Format: in.Format, Architecture: in.Architecture, Size: in.Size, SHA256: in.SHA256,
			Services: in.Services, Version: in.Version, By: a.Name,
		})
		if err == nil && in.Use {
			err = tx.UseImage(name, i.ID)
		}
		return err
	})
	if err != nil {
		if left := images.RemoveImage(ctx, id); left != nil {
			d.log.Warn("an image that could not be written down is left; remove it", "cloud", name, "image", id, daemon.KeyError, left)
		}
		return api.Image{}, problem(err)
	}
	i.Current = in.Use
	return showImage(i, api.ImageAvailable), nil
}

// cloudProblem gives an error of a cloud about images the code that its caller, an administrator, gets. What has ended the sending
// keeps its own.
func cloudProblem(err error) error {
	if _, ok := errors.AsType[*api.Error](err); ok || err == nil {
		return err
	}
	if errors.Is(err, cloud.ErrContent) {
		return api.InField("body", "%s", err.Error())
	}
	code := api.CodeInvalid
	switch cloud.KindOf(err) {
	case cloud.KindNotFound:
		code = api.CodeNotFound
	case cloud.KindInUse:
		code = api.CodeConflict
	case cloud.KindQuota:
		code = api.CodeQuota
	case cloud.KindCapacity:
		code = api.CodeFull
	case cloud.KindThrottled:
		code = api.CodeThrottled
	case cloud.KindTransient, cloud.KindAuth:
		code = api.CodeUnavailable
	}
	return api.Errorf(code, "%s", err.Error())
}
