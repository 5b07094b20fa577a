package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUploadCodeCommand(g *Global, kind api.ServiceType) *cobra.Command {
	var in director.Upload
	var wait waitOptions
	cmd := &cobra.Command{
		Use:   "upload-code APPLICATION SERVICE ARCHIVE",
		Short: "Upload a version of the code",
		Long: `Upload a version of the code: a tar, tar.gz, tar.bz2, tar.xz or zip archive that expands in the current
directory. It is used once it is enabled.

When the connection breaks the upload goes on as soon as the director is reached again. The same goes for one that was broken off: the
same command sends what is missing, for a day.`,
		Example: `cps php upload-code shop php shop.tar.gz
cps php upload-code shop php shop.zip --description "with a basket" --enable`,
		Args: words("APPLICATION", "SERVICE", "ARCHIVE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("upload %s for service %q of application %q", args[2], args[1], args[0])
			file, err := os.Open(args[2])
			if err != nil {
				return usagef("upload-code: %w", err)
			}
			defer func() { _ = file.Close() }()
			info, err := file.Stat()
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if !info.Mode().IsRegular() {
				return usagef("upload-code: %s is no file; pack it first, for example: tar -czf code.tar.gz -C %s .", args[2], args[2])
			}
			in.Filename = filepath.Base(args[2])
			u := &uploader{kind: kind, client: c, progress: ui.NewProgress(g.err, what), what: what, in: in, file: file, size: info.Size()}
			v, err := u.send(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if v.Operation == "" {
				return g.say(v, "Code version %s has been uploaded. Enable it with: cps %s enable-code %s %s %s", v.ID, kind, args[0], args[1], v.ID)
			}
			if g.output == formTable {
				if err := g.say(v, "Code version %s has been uploaded.", v.ID); err != nil {
					return err
				}
			}
			op, err := c.Operation(ctx, v.Operation)
			return g.await(ctx, c, fmt.Sprintf("enable code version %s of service %q of application %q", v.ID, args[1], args[0]), op, err, wait)
		}),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 2 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return g.complete(applicationNames, serviceNames)(cmd, args, toComplete)
		},
	}
	cmd.Flags().StringVar(&in.Description, "description", "", "`text` that says what the version is")
	cmd.Flags().BoolVar(&in.Enable, "enable", false, "enable it at once, and wait for that")
	wait.flags(cmd)
	return cmd
}

// uploader sends an archive over as many connections as that takes.
type uploader struct {
	kind     api.ServiceType
	client   *director.Client
	progress *ui.Progress
	what     string
	in       director.Upload
	file     *os.File
	size     int64
}

func (u *uploader) send(ctx context.Context, application, service string) (v api.CodeVersion, err error) {
	defer u.progress.End()
	sum := sha256.New()
	if _, err := io.Copy(sum, u.file); err != nil {
		return v, fmt.Errorf("%s: %w", u.what, err)
	}
	u.in.SHA256 = hex.EncodeToString(sum.Sum(nil))
	retry := newRetry(func(err error) { u.progress.Note(lost(err)) })
	for whole := false; ; {
		there, err := u.client.CodeUploaded(ctx, application, service, u.in.SHA256, u.size)
		if err == nil {
			switch {
			case whole && there.Length == 0: // it has been taken, or refused
				return v, failf(exitUnavailable, "%s: all was sent, and the answer is lost; see whether it is there: cps %s list-codes %s %s", u.what, u.kind, application, service)
			case there.Length > 0:
				u.progress.Note(fmt.Sprintf("%s: %s are there already", u.what, ui.Size(there.Length)))
			}
			if v, whole, err = u.sendRest(ctx, application, service, min(there.Length, u.size)); err == nil {
				return v, nil
			}
		}
		switch code := api.CodeFrom(err); {
		case ctx.Err() != nil:
			return v, failf(exitInterrupted, "%s: broken off; the same command goes on where it has ended", u.what)
		case code != api.CodeUnavailable && code != api.CodeThrottled && code != api.CodeTimeout:
			return v, fmt.Errorf("%s: %w", u.what, err)
		}
		if err := retry.wait(ctx, err); err != nil {
			return v, fmt.Errorf("%s: %w", u.what, err)
		}
	}
}

// sendRest sends what comes after offset. whole tells whether all of it was sent, whatever came of it.
func (u *uploader) sendRest(ctx context.Context, application, service string, offset int64) (v api.CodeVersion, whole bool, err error) {
	in := u.in
	in.Offset, in.Size = offset, u.size-offset
	sent := ui.NewMeter(u.progress, io.NewSectionReader(u.file, offset, in.Size), offset, u.size, "the director checks the archive")
	in.Archive = sent
	v, err = u.client.UploadCode(ctx, application, service, in)
	return v, sent.Whole(), err
}
