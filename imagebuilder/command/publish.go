package command

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/client/ui"
	"conpaas/imagebuilder/build"
)

type publishOptions struct {
	cloud, conf, cache string
	upload             director.ImageUpload
	format             string
	services           []string
}

func newPublishCommand() *cobra.Command {
	var o publishOptions
	c := &cobra.Command{
		Use:   "publish FILE|KEY",
		Short: "Publish an image to a cloud, through the director",
		Long: `Publish an image to a cloud of the director that cps is logged in to (cps login), as an administrator. The
image is one of the cache, by its key or its file, or any other file, of which the options say what it
is. It goes to the cloud as it is sent, and is there when all of it has come and its SHA-256 is right;
what breaks off leaves nothing.

With --use new machines of the cloud start from it; else choose it with: cps cloud image use.`,
		Example: `  cpsimage publish 0a1b2c3d4e5f60718293a4b5 --cloud default --use
  cpsimage publish /srv/images/helloworld.tar --cloud default --name helloworld --services helloworld`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.cloud, "cloud", "", "name of the cloud")
	f.StringVar(&o.upload.Name, "name", "", "name of the image there, for people (default: of its format and key, or of the file)")
	f.BoolVar(&o.upload.Use, "use", false, "let new machines of the cloud start from it")
	f.StringVar(&o.format, "format", "", "form of a file that is not in the cache: rootfs, raw or qcow2 (default: by the file's name)")
	f.StringSliceVar(&o.services, "services", nil, "service types whose packages such a file holds (default: not told)")
	f.StringVar(&o.upload.Architecture, "architecture", "amd64", "architecture of such a file, as Debian names it")
	f.StringVar(&o.upload.Version, "image-version", "", "version of the image, for people (default: when it was made)")
	f.StringVar(&o.cache, "cache", defaultCache(), "directory of finished images")
	f.StringVar(&o.conf, "conf", "", "folder with the login of cps (default $CONPAAS_HOME or ~/.conpaas)")
	if err := c.MarkFlagRequired("cloud"); err != nil {
		panic(err) // no such flag
	}
	return c
}

func (o publishOptions) run(cmd *cobra.Command, name string) error {
	path, err := o.find(name)
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	home, err := login.Find(o.conf, os.Getenv)
	if err != nil {
		return err
	}
	client, err := home.Client()
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	image, err := o.send(cmd.Context(), client, path, ui.NewScreen(cmd.ErrOrStderr(), os.Getenv))
	if err != nil {
		return fmt.Errorf("publish %s to cloud %q: %w; nothing is left of it there", name, o.cloud, err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), image.ID)
	return err
}

// find finds out which file is meant, and what it is.
func (o *publishOptions) find(name string) (path string, err error) {
	list, err := build.List(o.cache)
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(name)
	if err == nil {
		if target, err := filepath.EvalSymlinks(real); err == nil { // the link rootfs.tar leads to the newest image
			real = target
		}
	}
	for _, image := range list {
		cached, err := filepath.EvalSymlinks(image.Path)
		if image.Key != name && (err != nil || cached != real) {
			continue
		}
		for _, packed := range []string{".zst", ".xz"} {
			if strings.HasSuffix(image.Path, packed) {
				return "", fmt.Errorf("clouds unpack tar files as they are or of gzip, not of %s; build it with a filename that ends in .tar or .tar.gz", packed)
			}
		}
		o.format, o.upload.Architecture = string(image.Format), cmp.Or(image.Architecture, o.upload.Architecture)
		o.services = nil
		for _, s := range image.Services {
			o.services = append(o.services, string(s))
		}
		o.upload.SHA256 = image.SHA256
		o.upload.Name = cmp.Or(o.upload.Name, fmt.Sprintf("%s-%.8s", image.Format, image.Key))
		o.upload.Version = cmp.Or(o.upload.Version, image.Created.UTC().Format("2006-01-02 15:04"))
		return image.Path, nil
	}
	o.upload.Name = cmp.Or(o.upload.Name, filepath.Base(name))
	if o.format == "" {
		o.format = formatOf(name)
	}
	if o.format == "" {
		return "", errors.New("it is no image of the cache (see: cpsimage list), and its name does not tell its form: pass --format")
	}
	return name, nil
}

// formatOf tells the form of a file by its name, "" where that does not say it.
func formatOf(name string) string {
	for suffix, format := range map[string]api.ImageFormat{
		".tar": api.ImageRootFS, ".tar.gz": api.ImageRootFS, ".tgz": api.ImageRootFS, ".raw": api.ImageRaw, ".img": api.ImageRaw, ".qcow2": api.ImageQCOW2,
	} {
		if strings.HasSuffix(name, suffix) {
			return string(format)
		}
	}
	return ""
}

// send publishes a file. The SHA-256 of one that is in the cache is known; where the file is another one by now, the director
// refuses it.
func (o publishOptions) send(ctx context.Context, client *director.Client, path string, screen ui.Screen) (image api.Image, err error) {
	file, err := os.Open(path)
	if err != nil {
		return image, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return image, err
	}
	if !info.Mode().IsRegular() {
		return image, fmt.Errorf("%s is no file", path)
	}
	progress := ui.NewProgress(screen, "publish "+o.upload.Name)
	defer progress.End()
	in := o.upload
	if in.SHA256 == "" {
		progress.State("digesting " + ui.Size(info.Size()))
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return image, err
		}
		in.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	in.Format, in.Size = api.ImageFormat(o.format), info.Size()
	for _, s := range o.services {
		in.Services = append(in.Services, api.ServiceType(s))
	}
	in.Content = ui.NewMeter(progress, io.NewSectionReader(file, 0, in.Size), 0, in.Size, "the cloud takes the image")
	return client.PublishImage(director.Traced(ctx), o.cloud, in)
}
