package build

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"conpaas/imagebuilder/recipe"
)

// compressors are the programs that pack an archive.
var compressors = map[recipe.Compression][]string{
	recipe.XZ:   {"xz", "--threads=0", "-6", "--stdout"},
	recipe.Zstd: {"zstd", "--threads=0", "-12", "--stdout", "--quiet"},
}

// compress packs a file into another one.
func compress(ctx context.Context, c recipe.Compression, from, to string, held *os.File) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if args, ok := compressors[c]; ok {
		if err := filter(ctx, in, out, held, args...); err != nil {
			return err
		}
		return out.Close()
	}
	zip := gzip.NewWriter(out)
	if _, err := io.Copy(zip, in); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	return out.Close()
}

// filter runs a program between two files. held, if it is there, is inherited by the program.
func filter(ctx context.Context, in io.Reader, out io.Writer, held *os.File, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	if held != nil {
		cmd.ExtraFiles = []*os.File{held}
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
